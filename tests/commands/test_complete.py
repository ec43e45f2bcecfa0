"""TAB: in real shells, for `aurora` and for `invoke`; it starts nothing and complains of nothing."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import pexpect
import pytest

from aurora.commands.complete import candidates
from aurora.commands.completion import SCRIPTS
from tests.engine.kit import COMMAND, INVOKE, ROOT, Lab

BOOK = """
    params:
      profile: {type: string, default: base}
      speed: {type: string, enum: [slow, fast, "$(touch hacked)"], default: slow}
      poll_sec: {type: integer, default: 3}
      loud: {type: boolean, default: false}
    steps: [{id: a, uses: lab.once}]
"""
FLAGS = [
    "--answers",
    "--dry-run",
    "--help",
    "--json",
    "--loud",
    "--no-loud",
    "--poll-sec",
    "--profile",
    "--speed",
    "--step-by-step",
]


@pytest.fixture
def filled(lab: Lab) -> Lab:
    """A project with a runbook, two profiles, a folder of a run, and a tasks.py."""
    lab.book(BOOK, "go-live")
    lab.profile("strict", "extends: base\n")
    lab.write("tasks.py", "from aurora.commands.invoke_bridge import collection\n\nnamespace = collection()\n")
    (lab.root / "runs/2026-11-20T143000.000Z-go-live").mkdir(parents=True)
    return lab


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("re", ["resume", "reconcile", "report", "review"]),
        ("runbook ", ["go-live"]),
        ("runbook go-live ", FLAGS),
        ("runbook go-live --json --p", ["--poll-sec", "--profile"]),
        ("runbook go-live --poll-sec ", []),
        ("runbook go-live --poll-sec 5 --poll", []),
        ("runbook go-live --loud --no-lo", []),
        ("runbook go-live --profile ", ["base", "strict"]),
        ("runbook go-live --profile=st", ["--profile=strict"]),
        ("runbook go-live --profile = st", ["strict"]),
        ("runbook go-live --profile =", ["base", "strict"]),
        ("runbook go-live --profile = strict --speed f", ["fast"]),
        ("explain ", ["go-live"]),
        ("show ", ["last", "2026-11-20T143000.000Z-go-live"]),
        ("resume 2026", ["2026-11-20T143000.000Z-go-live"]),
        ("cancel last --re", ["--reason"]),
        ("resume last --settle a=done --se", ["--settle"]),
        ("report last ", ["--help", "--open"]),
        ("lint ", []),
        ("lint runbooks/go-live.yaml --h", ["--help"]),
        ("completion ", ["bash", "zsh", "fish"]),
        ("new st", ["step"]),
    ],
)
def test_what_may_come_next(filled: Lab, monkeypatch: pytest.MonkeyPatch, line: str, found: list[str]) -> None:
    """Commands, names, a runbook's own flags but for those that were given, values that are known, and runs."""
    monkeypatch.chdir(filled.root)
    assert candidates(["aurora", *line.split(" ")]) == found


@pytest.mark.parametrize("command", [COMMAND, INVOKE], ids=["aurora", "invoke"])
@pytest.mark.parametrize(
    "words",
    [["nonsense", ""], ["runbook", "bad", "--"], ["runbook", "none", ""], ["runbook", "\udcff", "--"], []],
    ids=["command", "faulty", "missing", "not UTF-8", "nothing"],
)
def test_mistakes_are_silent(filled: Lab, words: list[str], command: list[str]) -> None:
    """Whatever is wrong with the line or the project, TAB prints nothing beside candidates, and ends with 0."""
    filled.write("runbooks/bad.yaml", "runbook: [\n")
    done = filled.command("--complete", "--", "program", *words, command=command)
    assert (done.returncode, done.stderr) == (0, "")
    assert "runbook" in done.stdout.split() if not words else done.stdout == ""


def test_outside_of_a_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a project the commands are known, and nothing is asked of one."""
    monkeypatch.chdir(tmp_path)
    assert candidates(["aurora", "doc"]) == ["doctor"]
    assert list(tmp_path.iterdir()) == []


# ── In real shells ───────────────────────────────────────────────────────────────────────────────────────────────────
START: dict[str, Sequence[str]] = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "--interactive"],
}


@pytest.fixture(params=START)
def shell(request: pytest.FixtureRequest, filled: Lab, tmp_path: Path) -> tuple[str, dict[str, str]]:
    """A shell, and an environment in which `aurora` and `invoke` are programs that stand on its path."""
    if shutil.which(request.param) is None:
        pytest.skip(f"there is no {request.param} on this machine")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, start in (("aurora", "-m aurora"), ("invoke", "-m invoke")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {start} "$@"\n')
        (programs / name).chmod(0o755)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(tmp_path), "TERM": "dumb", "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"}
    return request.param, environment


@pytest.mark.slow
@pytest.mark.parametrize("program", ["aurora", "invoke"])
def test_tab_in_a_shell(filled: Lab, shell: tuple[str, dict[str, str]], program: str) -> None:
    """A person types the beginning of words and TAB; the shell fills in a runbook, a flag, a profile and a run."""
    name, environment = shell
    typed = f"{program} runb\tgo\t--prof\tst\t--spe\tfa\t"
    wanted = [program, "runbook", "go-live", "--profile", "strict", "--speed", "fast"]
    assert _filled_in(filled, name, environment, typed) == wanted
    assert _filled_in(filled, name, environment, f"{program} show 2026\t")[2] == "2026-11-20T143000.000Z-go-live"
    assert _filled_in(filled, name, environment, f"{program} runbook go-live --profile=st\t")[3] == "--profile=strict"
    assert not (filled.root / "hacked").exists()
    assert len(list((filled.root / "runs").glob("2*"))) == 1


def _filled_in(lab: Lab, name: str, environment: dict[str, str], typed: str) -> list[str]:
    """Return the words of the line that stands there after `typed`: the shell writes them to a file instead."""
    script, out = lab.root.parent / f"completion.{name}", lab.root.parent / "words.txt"
    script.write_text(SCRIPTS[name])
    out.unlink(missing_ok=True)
    child = pexpect.spawn(START[name][0], [*START[name][1:]], cwd=lab.root, env=environment, timeout=20)
    try:
        child.sendline(f"source {script}; echo 'rea'dy")
        child.expect_exact("ready")
        # the beginning of the line (Ctrl-A) gets a program that shows its words
        child.send(f"{typed}\x01printf '%s\\n' \x05 >{out}\r")
        child.sendline("echo 'do'ne")
        child.expect_exact("done")
    finally:
        child.close(force=True)
    return out.read_text().split()
