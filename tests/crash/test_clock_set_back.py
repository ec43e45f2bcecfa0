"""The machine's clock is set back, between the legs of a run and during one: order is that of the journal's lines."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from aurora.engine.project import Project
from aurora.engine.records import find_run, run_ids
from aurora.engine.state import RunState
from aurora.evidence.files import write_reports
from tests.crash.matrix import Case, Driver, template
from tests.engine.kit import Lab

HOUR, DAY = 3_600, 86_400


@pytest.fixture(scope="module")
def undisturbed(driver: Driver, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A project, and the end of its run under a clock that nobody touched."""
    folder = tmp_path_factory.mktemp("clock")
    case = Case(driver, template(folder / "project", "green"), folder / "undisturbed")
    assert driver.engine("run", case.root) == 0
    return folder / "project", case.end()


def is_set_back(case: Case) -> bool:
    """Return whether a line of the journal says an earlier time than the one above it."""
    times = [event.ts for event in case.events]
    return times != sorted(times)


def check(case: Case, end: dict[str, Any]) -> None:
    """Check that the run ended as it would have, and that nothing took less than no time."""
    assert is_set_back(case)
    case.check(end)
    assert all(event.data["elapsed_s"] >= 0 for event in case.events if "elapsed_s" in event.data)
    write_reports(case.journal.parent)
    assert not re.search(r"(?<![\w-])-\d[\d.]* ?(s|ms|min|h)\b", case.journal.with_name("report.md").read_text())


@pytest.mark.parametrize("line", [2, 9, 16, 24])
def test_clock_set_back_before_a_resume(driver: Driver, tmp_path: Path, undisturbed: Any, line: int) -> None:
    """A run that is resumed on the day before it began goes on where it was."""
    case = Case(driver, undisturbed[0], tmp_path / "project")
    case.kill("run", "synced", line)
    for _ in range(2):
        if case.events[-1].type != "run.finished":
            assert driver.engine("resume", case.root, settle=case.settled(), back=DAY) == 0
    check(case, undisturbed[1])


@pytest.mark.parametrize("reads", [2, 5, 11, 20])
def test_clock_set_back_during_a_run(driver: Driver, tmp_path: Path, undisturbed: Any, reads: int) -> None:
    """A run does not notice that it is an hour earlier."""
    case = Case(driver, undisturbed[0], tmp_path / "project")
    assert driver.engine("run", case.root, back=HOUR, jump=reads) == 0
    check(case, undisturbed[1])


@pytest.mark.parametrize("back", [HOUR, -HOUR])
def test_timeouts_and_delays_do_not_ask_the_clock(driver: Driver, tmp_path: Path, back: int) -> None:
    """A step that hangs is ended though the clock went back; one that works is not, though it went on by an hour."""
    lab = Lab(tmp_path / "template")
    lab.book("""
        lock: desk
        steps:
          - {id: works, needs: [], uses: lab.work, with: {seconds: 0.2}, timeout: 1m}
          - {id: fails, needs: [], uses: lab.flaky, with: {good: 2}, retry: {max_attempts: 2, delay: 100ms}}
          - {id: hangs, needs: [], uses: lab.work, with: {seconds: 30}, timeout: 300ms, on_failure: continue}
    """)
    lab.write("answers.yaml", "{}")
    case = Case(driver, lab.root, tmp_path / "project")
    assert driver.engine("run", case.root, back=back, jump=4) == 0
    ends = {name: step.status for name, step in RunState.of(case.events).steps.items()}
    assert ends == {"works": "passed", "fails": "passed", "hangs": "timed_out"}


def test_last_run_is_the_one_that_began_last(driver: Driver, tmp_path: Path, undisturbed: Any) -> None:
    """`last`, which resume and cancel take when no run is named, is never a run from before the clock was set back."""
    case = Case(driver, undisturbed[0], tmp_path / "project")
    project = Project(case.root)
    for number in range(1, 4):
        before = run_ids(project)
        assert driver.engine("run", case.root, back=DAY if number > 1 else 0) == 0
        (new,) = set(run_ids(project)) - set(before)
        assert find_run(project, "last").name == new
        assert len(run_ids(project)) == number
