"""SIGKILL at every write of the journal, resume, and the end is the same (engine rules 9, 18 and 20)."""

from __future__ import annotations

import itertools
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from aurora.engine.state import RunState
from tests.crash.matrix import BOOKS, LINES, OUTCOMES, POINTS, Case, Driver, template
from tests.engine.kit import processes_in, wait_until


@pytest.fixture(scope="module")
def undisturbed(
    driver: Driver, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Path, dict[str, Any], int]]:
    """Each book's project, the end of a run of it that nobody killed, and how many lines that run's journal has."""
    found = {}
    for book in BOOKS:
        folder = tmp_path_factory.mktemp(book)
        project = template(folder / "project", book)
        case = Case(driver, project, folder / "undisturbed")
        assert driver.engine("run", case.root) == 0
        case.check(case.end())
        shutil.copytree(case.root / "runs" / ".cache", project / "runs" / ".cache")
        found[book] = (project, case.end(), len(case.events))
    return found


@pytest.fixture
def case(request: pytest.FixtureRequest, driver: Driver, undisturbed: Any, tmp_path: Path) -> Case:
    """A run of the book that the test names."""
    return Case(driver, undisturbed[request.getfixturevalue("book")][0], tmp_path / "project")


def finish(case: Case, undisturbed: Any, book: str) -> None:
    """Go on to the end and check it."""
    case.finish()
    case.check(undisturbed[book][1])


EVERY = [(book, point, line) for book in BOOKS for point in POINTS for line in range(1, LINES[book] + 1)]
DAILY = [
    (book, point, line)
    for book, point, line in EVERY
    if point == "torn" or (book in ("green", "red") and (point == "before" or line % 4 == POINTS.index(point) % 2))
]
NIGHTLY = [each for each in EVERY if each not in DAILY]


@pytest.mark.parametrize("book", BOOKS)
def test_matrix_covers_every_write(undisturbed: Any, book: str) -> None:
    """The matrix knows how many lines each run writes; one more would be a write that nobody has been killed at."""
    assert undisturbed[book][2] == LINES[book]
    assert undisturbed[book][1]["outcome"] == OUTCOMES[book]


@pytest.mark.parametrize(("book", "point", "line"), DAILY)
def test_kill_at_a_write(case: Case, undisturbed: Any, book: str, point: str, line: int) -> None:
    """Killed at any write of its journal a run ends as if it had not been: no step twice, no event lost."""
    if case.kill("run", point, line):
        finish(case, undisturbed, book)
    else:
        assert (line, case.effects) == (1, [])


@pytest.mark.nightly
@pytest.mark.parametrize(("book", "point", "line"), NIGHTLY)
def test_kill_at_every_other_write(case: Case, undisturbed: Any, book: str, point: str, line: int) -> None:
    """Killed at any write of its journal a run ends as if it had not been: no step twice, no event lost."""
    if case.kill("run", point, line):
        finish(case, undisturbed, book)
    else:
        assert (line, case.effects) == (1, [])


@pytest.mark.parametrize(
    ("book", "first", "second", "third"),
    [
        ("green", 4, 1, 3),
        ("green", 9, 2, 2),
        ("green", 14, 5, 4),
        ("red", 3, 3, 5),
        ("red", 9, 1, 1),
        ("red", 15, 2, 2),
    ],
)
def test_kill_of_a_resume(case: Case, undisturbed: Any, book: str, first: int, second: int, third: int) -> None:
    """A resume that is killed, and the one after it, leave no more behind than the first kill did."""
    for verb, point, line in (("run", "synced", first), ("resume", "before", second), ("resume", "torn", third)):
        case.kill(verb, point, line)
    finish(case, undisturbed, book)


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("book", "first", "second"),
    [
        (book, first, second)
        for book in BOOKS
        for first, second in itertools.product(range(2, LINES[book], 2), range(1, 14, 2))
    ],
)
def test_kill_of_every_resume(case: Case, undisturbed: Any, book: str, first: int, second: int) -> None:
    """Whatever two moments a run is killed at, it ends as if it had not been."""
    case.kill("run", "torn", first)
    case.kill("resume", "before", second)
    finish(case, undisturbed, book)


@pytest.mark.nightly
@pytest.mark.parametrize("book", BOOKS)
@pytest.mark.parametrize("seed", range(40))
def test_kill_at_any_time(case: Case, undisturbed: Any, book: str, seed: int) -> None:
    """Killed again and again at moments that have nothing to do with its journal, a run still ends as it should."""
    times = random.Random(seed)
    verb = "run"
    for _ in range(4):
        if case.kill(verb, "none", 0, after=times.uniform(0.02, 0.6)):
            verb = "resume"
        if case.events and case.events[-1].type == "run.finished":
            break
        if not case.events:
            shutil.rmtree(case.root / "runs", ignore_errors=True)
    if verb == "run":
        case.kill(verb, "none", 0)
    finish(case, undisturbed, book)


@pytest.mark.parametrize("book", ["green"])
@pytest.mark.parametrize(
    "line", [pytest.param(line, marks=() if line % 2 else pytest.mark.nightly) for line in range(1, 17)]
)
def test_kill_of_a_cancel(case: Case, book: str, line: int) -> None:
    """A cancel that is killed is cancelled again: its `finally` acts once, and what began is unknown, not repeated."""
    case.kill("run", "synced", 11)
    lost = {name for name, step in RunState.of(case.events).steps.items() if step.unsettled} & {"right", "q[0]"}
    case.kill("cancel", "torn", line)
    if case.events[-1].type != "run.finished":
        case.kill("cancel", "none", 0)
    state = RunState.of(case.events)
    assert state.outcome == ("broken" if lost else "cancelled")
    assert {name for name, step in state.steps.items() if step.status == "unknown"} == lost
    assert state.steps["bye"].status == "passed"
    acted = Counter(line.partition(":")[2].rpartition(":")[0] for line in case.effects if " never" in line)
    assert set(acted.values()) == {1}
    assert acted.keys() <= {"a", "right", "q[0]", "bye"}
    wait_until(lambda: not processes_in(case.root), 10, "the end of all workers")
