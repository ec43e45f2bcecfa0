"""The command line as users type it: real processes of invoke and aurora; a doubt runs nothing (engine rule 28)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INVOKE = [sys.executable, "-m", "invoke"]
AURORA = [sys.executable, "-c", "from aurora.commands.main import entry; entry()"]

STEPS = """
from dataclasses import dataclass
from aurora.engine.registry import step

@dataclass(frozen=True)
class Out:
    n: int
    names: list[str]

@step(repeat="safe")
def work(n: int, names: list[str]) -> Out:
    return Out(n, names)
"""
BOOK = """
runbook: book
title: A book
params:
  symbols: {type: array, items: {type: string}, default: [SPY, TSLA], help: what to trade}
  count: {type: integer, default: 3, minimum: -5, help: how often}
  fast: {type: boolean, default: false}
  profile: {type: string, default: base}
steps:
  - {id: work, uses: w.work, with: {n: "{{ params.count }}", names: "{{ params.symbols }}"}, gate: n == params.count}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a project of its own, with a three-line tasks.py."""
    for folder in ("runbooks", "steps", "profiles", "deep/er"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "steps/w.py").write_text(STEPS)
    (tmp_path / "runbooks/book.yaml").write_text(BOOK)
    (tmp_path / "profiles/base.yaml").write_text("mode: paper\nvenue: simulated\n")
    (tmp_path / "tasks.py").write_text(
        "from aurora.commands.invoke_bridge import collection\n\nnamespace = collection()\n"
    )
    return tmp_path


def run(project: Path, program: list[str], *words: str, folder: str = ".") -> subprocess.CompletedProcess[str]:
    """Run a program in the project, with no terminal."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("CI", None)
    return subprocess.run(
        [*program, *words],
        cwd=project / folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def runs(project: Path) -> list[Path]:
    """Return the folders of the runs that there are."""
    return sorted(project.glob("runs/2*"))


@pytest.mark.parametrize("program", [INVOKE, AURORA], ids=["invoke", "aurora"])
@pytest.mark.parametrize("folder", [".", "deep/er"])
def test_a_book_runs_from_any_folder(project: Path, program: list[str], folder: str) -> None:
    """Both programs run a book from the project's root and from below it; flags take values either way."""
    done = run(project, program, "runbook", "book", "--symbols", "A,B", "--count=-2", "--fast", folder=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    opened = json.loads((runs(project)[0] / "journal.jsonl").read_text().splitlines()[0])["data"]
    assert opened["params"] == {"symbols": ["A", "B"], "count": -2, "fast": True, "profile": "base"}


WRONG = [
    ("--dry", "'--dry-run'"),
    ("--dry-ru", "'--dry-run'"),
    ("-R", "has no flag '-R'"),
    ("-w", "has no flag '-w'"),
    ("-e", "has no flag '-e'"),
    ("--echo", "has no flag '--echo'"),
    ("--symbol A", "'--symbols'"),
    ("--count many", "must be a whole number, was 'many'"),
    ("--count 1.5", "must be a whole number, was '1.5'"),
    ("--count -9", "must be at least -5"),
    ("--count", "--count needs a value"),
    ("--dry-run=yes", "--dry-run takes no value"),
    ("book", "does not take 'book'"),
    ("runs", "does not take 'runs'"),
    ("--answers nowhere.yaml", "There is no answers file nowhere.yaml"),
    ("--profile bas", "There is no profile 'bas'; did you mean 'base'?"),
]


@pytest.mark.parametrize("program", [INVOKE, AURORA], ids=["invoke", "aurora"])
@pytest.mark.parametrize(("words", "says"), WRONG, ids=[words for words, _ in WRONG])
def test_a_doubtful_command_line_runs_nothing(project: Path, program: list[str], words: str, says: str) -> None:
    """Invoke's own flags, shortened flags, wrong values and second words are exit 2 with what to do, and no run."""
    done = run(project, program, "runbook", "book", *words.split())
    assert done.returncode == 2, done.stdout + done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert runs(project) == []


@pytest.mark.parametrize("before", ["--dry", "-R", "-e", "--echo", "-w", "--no-dedupe"])
def test_invokes_own_flags_before_the_command_run_nothing(project: Path, before: str) -> None:
    """`invoke --dry runbook book` would run the book for real: refused."""
    done = run(project, INVOKE, before, "runbook", "book")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "invoke's own flag" in done.stderr
    assert runs(project) == []


@pytest.mark.parametrize("words", ["runbook", "runbook --help", "runbook book --help", "--list", "--help"])
def test_help_runs_nothing(project: Path, words: str) -> None:
    """Help is help, wherever it is asked for."""
    done = run(project, INVOKE, *words.split())
    assert done.returncode == 0, done.stderr
    assert runs(project) == []
    if words == "runbook book --help":
        assert "--symbols A,B" in done.stdout
        assert "default" in done.stdout
        assert "SPY,TSLA" in done.stdout
    elif words.startswith("runbook"):
        assert "A book" in done.stdout


BROKEN = {
    "a: b: c": "this is not YAML",
    "runbook: book\n": "the key 'steps' is missing",
    BOOK.replace("w.work", "w.wrok"): "did you mean 'work'?",
    BOOK.replace("uses: w.work", "uses: nowhere.work"): "there is no module steps.nowhere",
    BOOK.replace("gate: n ==", "gate: m =="): "has no output 'm'",
    BOOK.replace("gate: n", "gates: n"): "did you mean 'gate'?",
    BOOK.replace("{{ params.count }}", "{{ params.symbols }}"): "needs a whole number",
    BOOK.replace("id: work,", "id: work, needs: [later],") + "  - {id: later, gate: 1 == 1}\n": "in a circle: ",
    BOOK.replace("uses: w.work", "approve: {by: [risk]}, uses: w.work"): "'approve' is not built yet",
}


@pytest.mark.parametrize(("text", "says"), BROKEN.items(), ids=list(BROKEN.values()))
def test_a_broken_runbook_runs_nothing(project: Path, text: str, says: str) -> None:
    """Every fault stands with file:line:col and what to do; exit 2, no traceback, no run."""
    (project / "runbooks/book.yaml").write_text(text)
    for words in (("runbook", "book"), ("lint",)):
        done = run(project, AURORA, *words)
        assert done.returncode == 2
        assert says in done.stderr
        assert "runbooks/book.yaml:" in done.stderr
        assert "Traceback" not in done.stderr
    assert runs(project) == []


def test_a_step_module_that_does_not_import_is_a_fault(project: Path) -> None:
    """An import error, or a sys.exit at import, is lint's to say, with the line that raised."""
    for text, says in (("import nowhere_at_all\n", "nowhere_at_all"), ("import sys\nsys.exit(0)\n", "SystemExit")):
        (project / "steps/w.py").write_text(text)
        done = run(project, AURORA, "runbook", "book")
        assert done.returncode == 2, done.stdout + done.stderr
        assert "does not import" in done.stderr
        assert says in done.stderr
    assert runs(project) == []


@pytest.mark.parametrize("how", ["folder", "no rights"])
def test_a_profile_that_can_not_be_read_runs_nothing(project: Path, how: str) -> None:
    """An unreadable profile is exit 2 with its name and why, not a traceback."""
    profile = project / "profiles/base.yaml"
    if how == "folder":
        profile.unlink()
        profile.mkdir()
    else:
        profile.chmod(0)
        if os.access(profile, os.R_OK):
            pytest.skip("root reads every file")
    done = run(project, AURORA, "runbook", "book")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "profiles/base.yaml" in done.stderr
    assert "can't be read" in done.stderr
    assert runs(project) == []


def test_no_project_here_is_said(tmp_path: Path) -> None:
    """Outside of a project the message says what a project is."""
    done = run(tmp_path, AURORA, "runs")
    assert done.returncode == 2
    assert "There is no project here" in done.stderr


def test_an_unknown_command_or_book_is_answered_with_the_nearest(project: Path) -> None:
    """Did you mean, for commands and for runbooks, through invoke too."""
    assert "did you mean 'runbook'?" in run(project, INVOKE, "runbok", "book").stderr
    done = run(project, INVOKE, "runbook", "bok")
    assert done.returncode == 2
    assert "did you mean 'book'?" in done.stderr


def test_json_output_is_json_lines_and_nothing_else(project: Path) -> None:
    """`--json` prints the journal's events, one a line; a program needs no other parser."""
    done = run(project, AURORA, "runbook", "book", "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["type"] == "run.finished"
    shown = run(project, AURORA, "show", "last", "--json")
    assert [json.loads(line) for line in shown.stdout.splitlines()] == events


def test_the_other_commands_speak_of_the_run(project: Path) -> None:
    """runs, show, report, explain, schema and lint answer from any folder."""
    run(project, AURORA, "runbook", "book")
    name = runs(project)[0].name
    assert name in run(project, AURORA, "runs", folder="deep/er").stdout
    assert "GREEN" in run(project, AURORA, "show", name).stdout
    assert "report.html" in run(project, AURORA, "report", "last", folder="deep").stdout
    assert "uses w.work" in run(project, AURORA, "explain", "book").stdout
    assert run(project, AURORA, "explain", "book", "--format", "mermaid").stdout.startswith("flowchart TD")
    assert json.loads(run(project, AURORA, "schema").stdout)["title"] == "Aurora runbook"
    session = json.loads(run(project, AURORA, "schema", "session").stdout)
    assert session["title"] == "A line of a session's record"
    assert "no faults" in run(project, INVOKE, "lint", "../runbooks/book.yaml", folder="deep").stdout
    finished = run(project, AURORA, "resume", name)
    assert finished.returncode == 2
    assert "is finished: green" in finished.stderr
