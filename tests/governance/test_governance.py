"""Which check blocks: turned over only by sealed runs that verify, in a confirmed run; comments stay."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aurora.engine.faults import RunbookError
from aurora.errors import OperatorError
from aurora.evidence.keys import ensure_key
from aurora.governance.flips import flip, look_at_checks
from aurora.governance.standing import CheckRun, flaky_reds, greens_in_a_row, propose
from aurora.governance.table import FILE, Check, phase_of, read_table
from tests.engine.kit import bound_steps
from tests.evidence.sealed import Records
from tests.trading import ROOT

TABLE = """\
# why it is as it is
checks:
  book:
    {named: Book, runbook: book, phase: 2, state: STATE, promote: {greens: 3, days: 1}, demote: {flaky_reds: 2, of: 6}}
  other: {named: Other, phase: 1, state: blocking}  # in CI only
"""
STEPS = """
    from dataclasses import dataclass
    from aurora.engine.context import Context
    from aurora.engine.registry import step

    @dataclass(frozen=True)
    class Mood:
        good: bool

    @step(repeat="safe")
    def look(context: Context[None]) -> Mood:
        return Mood((context.project / "runs/mood").read_text() == "good")
"""
BOOK = """
    params:
      least: {type: number, default: 0.5}
      profile: {type: string, default: paper}
    steps:
      - {id: look, uses: mood.look, gate: good}
"""


class Desk(Records):
    """A project with one check, which is green or red as it is told, and a repository of its own."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, BOOK)
        self.lab.steps("mood", STEPS)
        self.lab.write(".gitignore", "runs/\n.keys/\n__pycache__/\n")
        self.state("advisory")
        ensure_key(root, self.runs)
        self.git("init", "-q")
        self.commit()

    def git(self, *words: str) -> None:
        """Run git."""
        who = ["-c", "user.name=t", "-c", "user.email=t@example.invalid", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *who, *words], cwd=self.lab.root, check=True, capture_output=True)

    def commit(self) -> None:
        """Commit all that there is."""
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "x")

    def state(self, state: str) -> None:
        """Write the table."""
        self.lab.write(FILE, TABLE.replace("STATE", state))

    def check(self, moods: str, **params: Any) -> list[Path]:
        """Run the check, once for each letter: g is green, r red."""
        folders = []
        for mood in moods:
            (self.runs / "mood").write_text("good" if mood == "g" else "bad")
            folders.append(self.run(**params))
        return folders


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Return a desk with no run."""
    with bound_steps():
        yield Desk(tmp_path / "project")


def test_the_shipped_table_is_the_documents_phase_1() -> None:
    """What blocks today blocks in phase 1; canary-smoke, golden and security have phases 2, 3 and 4."""
    table = read_table(ROOT)
    assert phase_of(table) == 1
    later = {check.name: (check.phase, check.state) for check in table.values() if check.phase > 1}
    assert later == {"canary_smoke": (2, "advisory"), "golden": (3, "advisory"), "security": (4, "advisory")}
    assert {check.named for check in table.values() if check.phase == 1} == {
        "Smoke / smoke", "Smoke / Promote gate", "Datasanity", "model_eval",
    }  # fmt: skip
    assert all((ROOT / f"runbooks/{check.runbook}.yaml").exists() for check in table.values() if check.runbook)


def test_enough_sealed_greens_turn_an_advisory_check_over(desk: Desk) -> None:
    """Two greens propose nothing, three do, with the runs as evidence; comments stay, and by whom it was is said."""
    desk.check("gg")
    assert look_at_checks(desk.lab.root).check == ""
    folders = desk.check("g")
    found = look_at_checks(desk.lab.root)
    assert (found.check, found.to, found.phase) == ("book", "blocking", 1)
    assert len(found.evidence) == 3
    assert folders[0].name in found.evidence[-1]
    flipped = flip(desk.lab.root, "book", "blocking", "run-7")
    assert (flipped.state, flipped.phase) == ("blocking", 2)
    text = (desk.lab.root / FILE).read_text()
    assert "# why it is as it is" in text
    assert "# in CI only" in text
    assert "by: run-7" in text
    assert flip(desk.lab.root, "book", "blocking", "run-8").state == "blocking"  # once more changes nothing
    assert (desk.lab.root / FILE).read_text() == text


def test_what_is_no_run_of_the_check_is_no_evidence(desk: Desk) -> None:
    """Dry runs, and runs with other parameters than those that it ships with, are not counted."""
    desk.check("gg")
    desk.check("ggg", least=0)
    desk.run(dry_run=True)
    assert look_at_checks(desk.lab.root).check == ""


def test_a_run_that_was_changed_ends_the_row(desk: Desk) -> None:
    """A sealed green whose journal was changed is unknown; a ledger that was changed is no evidence at all."""
    desk.check("g")
    changed = desk.check("g")[0] / "journal.jsonl"
    desk.check("gg")
    changed.write_bytes(changed.read_bytes().replace(b"good", b"gold"))
    assert look_at_checks(desk.lab.root).check == ""
    desk.ledger.write_bytes(desk.ledger.read_bytes().replace(b"green", b"grean", 1))
    with pytest.raises(OperatorError, match="The ledger does not verify"):
        look_at_checks(desk.lab.root)


def test_a_flaky_check_is_proposed_back(desk: Desk) -> None:
    """A blocking check that fails on a commit on which it was green, too, twice, is proposed to advise again."""
    desk.state("blocking")
    desk.commit()
    desk.check("rr")  # red through and through: the code is broken, the check is not
    assert look_at_checks(desk.lab.root).check == ""
    desk.check("g")
    found = look_at_checks(desk.lab.root)
    assert (found.check, found.to) == ("book", "advisory")
    assert "it is flaky" in found.why
    assert flip(desk.lab.root, "book", "advisory", "run-9").phase == 1


def test_a_mended_check_is_not_flaky(desk: Desk) -> None:
    """Red on one commit and green on the next is what a check is for; a tree with changes is no commit."""
    desk.state("blocking")
    desk.commit()
    desk.check("rr")
    desk.commit()
    desk.check("g")
    (desk.lab.root / "changed.txt").write_text("x")
    desk.check("rr")
    assert look_at_checks(desk.lab.root).check == ""


def test_what_does_not_speak_for_it_any_more_is_not_written(desk: Desk) -> None:
    """Between the look and the flip a red came: nothing is written."""
    desk.check("ggg")
    assert look_at_checks(desk.lab.root).check == "book"
    desk.check("r")
    before = (desk.lab.root / FILE).read_text()
    with pytest.raises(OperatorError, match="Nothing speaks for book"):
        flip(desk.lab.root, "book", "blocking", "run-7")
    assert (desk.lab.root / FILE).read_text() == before


def test_an_unknown_check_is_refused(desk: Desk) -> None:
    """A slip in a check's name proposes nothing in silence."""
    with pytest.raises(OperatorError, match="no check 'boook'"):
        look_at_checks(desk.lab.root, "boook")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("checks: {}\n", ""),
        ("checks: {a: {named: A, phase: 1, state: loud}}\n", "loud"),
        ("checks: {a: {named: A, phase: 1, state: advisory, promote: {greens: 0, days: 1}}}\n", "at least 1"),
        ("checks: {a: {named: A, phase: 1}}\n", "state"),
    ],
)
def test_a_wrong_table_is_refused_with_its_place(desk: Desk, text: str, said: str) -> None:
    """A table that is wrong has faults with line and column, as a runbook has."""
    desk.lab.write(FILE, text)
    with pytest.raises(RunbookError) as caught:
        read_table(desk.lab.root)
    assert said in caught.value.diagnostics()
    assert FILE in caught.value.diagnostics()


CHECK = Check("c", "C", "c", 2, "advisory", greens=3, days=3, flaky_reds=2, of=4)


def runs(outcomes: str, *, hours: int = 24) -> list[CheckRun]:
    """Return runs so many hours apart: g green, a amber, r red, b broken, u unknown, all of one commit."""
    names = {"g": "green", "a": "amber", "r": "red", "b": "broken", "u": "unknown"}
    start = datetime(2026, 11, 2, 15, tzinfo=UTC)
    return [
        CheckRun(f"r{n}", start + timedelta(hours=n * hours), names[sign], "c0ffee") for n, sign in enumerate(outcomes)
    ]


@pytest.mark.parametrize(
    ("outcomes", "row"), [("", 0), ("ggg", 3), ("ggr", 0), ("rgg", 2), ("gag", 1), ("gug", 1), ("gbg", 1)]
)
def test_a_row_ends_at_what_was_not_green(outcomes: str, row: int) -> None:
    """Amber, broken and unknown end a row of greens as red does."""
    assert len(greens_in_a_row(runs(outcomes))) == row


def test_a_week_of_greens_is_days_and_not_runs() -> None:
    """Many greens of one day are one day."""
    assert propose(CHECK, runs("ggggggg", hours=1)) is None
    assert propose(CHECK, runs("ggg")) is not None
    assert propose(Check(**{**vars(CHECK), "greens": 0}), runs("ggg")) is None


def test_only_the_newest_runs_make_a_check_flaky() -> None:
    """What was flaky long ago, and was mended since, is not held against it."""
    blocking = Check(**{**vars(CHECK), "state": "blocking"})
    assert len(flaky_reds(runs("rrgg"))) == 2
    assert propose(blocking, runs("rrgg")) is not None
    assert propose(blocking, runs("rrggg")) is None


@pytest.mark.parametrize(
    ("mood", "state", "code", "said"),
    [("good", "advisory", 0, ""), ("bad", "advisory", 0, "::warning title=Book::"), ("bad", "blocking", 3, "")],
)
def test_a_ci_is_stopped_by_what_blocks(desk: Desk, mood: str, state: str, code: int, said: str) -> None:
    """`python -m aurora.governance CHECK` exits as its runbook does where it blocks; an advisory red is a warning."""
    desk.state(state)
    (desk.runs / "mood").write_text(mood)
    done = ci(desk.lab.root, "book")
    assert done.returncode == code, done.stdout + done.stderr
    assert said in done.stdout
    assert ("::warning" in done.stdout) is bool(said)


def ci(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a named check as CI does."""
    command = [sys.executable, "-m", "aurora.governance", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CI": "true"}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("words", [(), ("nothing",), ("other",), ("book", "book")])
def test_a_ci_is_told_what_is_no_check(desk: Desk, words: tuple[str, ...]) -> None:
    """A check that there is not, or that has no runbook, is exit 2 and never green."""
    done = ci(desk.lab.root, *words)
    assert done.returncode == 2
    assert "one of: book" in done.stderr


def test_the_runbook_asks_before_it_writes(tmp_path: Path) -> None:
    """`governance` on a desk with nothing to propose is green and asks nobody."""
    for name in ("runbooks", "steps", "profiles"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CI": "true"}
    command = [sys.executable, "-m", "aurora", "runbook", "governance"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "canary_smoke: advisory, phase 2" in done.stdout
    assert (tmp_path / FILE).read_text() == (ROOT / FILE).read_text()
