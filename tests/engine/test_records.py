"""Runs by name: ids sort as the runs began, `last` is the last, and a short name must be unambiguous."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aurora.engine.project import Project
from aurora.engine.records import find_run, new_run, run_ids
from aurora.errors import RunNotFound

NINE = datetime(2026, 11, 23, 14, 0, 0, 250_000, tzinfo=UTC)


def test_two_runs_of_one_second_sort_as_they_began(tmp_path: Path) -> None:
    """A preflight and a go-live in one second: `last` is the go-live, though its name sorts before."""
    project = Project(tmp_path)
    first = new_run(project, "preflight", NINE).name
    second = new_run(project, "go-live", NINE + timedelta(milliseconds=300)).name
    assert run_ids(project) == [first, second]
    assert find_run(project, "last").name == second


def test_two_runs_of_one_instant_have_folders_of_their_own(tmp_path: Path) -> None:
    """A folder is made, never shared: the second of one instant is counted up."""
    project = Project(tmp_path)
    names = {new_run(project, "eod", NINE).name for _ in range(3)}
    assert len(names) == 3
    assert all((tmp_path / "runs" / name / "inputs").is_dir() for name in names)


def test_an_ambiguous_end_of_an_id_is_refused(tmp_path: Path) -> None:
    """`show eod` with two of them names both and guesses none; `show nothing` lists how to look."""
    project = Project(tmp_path)
    names = [new_run(project, "eod", NINE + timedelta(days=day)).name for day in range(2)]
    with pytest.raises(RunNotFound) as told:
        find_run(project, "eod")
    assert all(name in str(told.value.todo) for name in names)
    with pytest.raises(RunNotFound):
        find_run(project, "nothing")
    assert find_run(project, names[0][:10]).name == names[0]


def test_clock_that_was_set_back_does_not_move_the_last_run(tmp_path: Path) -> None:
    """A run sorts after those before it, whatever the clock says; a folder without a time in its name is no matter."""
    project = Project(tmp_path)
    first = new_run(project, "preflight", NINE).name
    second = new_run(project, "go-live", NINE - timedelta(days=1)).name
    assert run_ids(project) == [first, second]
    (project.runs / "zoo").mkdir()
    assert new_run(project, "eod", NINE).name == "2026-11-23T140000.250Z-eod"
