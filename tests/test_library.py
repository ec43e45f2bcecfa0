from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aurora.errors import ResumeRefused
from aurora.journal import Event
from aurora.library import (
    Attempt,
    Desk,
    Message,
    Nobody,
    Project,
    Quiet,
    Request,
    Result,
    RunbookError,
    UsageError,
    lint,
    parameters,
    resume,
    run,
    run_ids,
)
from aurora.testing.plugin import steps_given_back

STEPS = """
from dataclasses import dataclass
from aurora.engine.registry import step

@dataclass(frozen=True)
class Out:
    n: int

@step(repeat="safe")
def count(n: int = 1) -> Out:
    return Out(n)

@step()
def once() -> Out:
    return Out(1)
"""
DAY = """
runbook: day
title: A day
params:
  n: {type: integer, default: 3, maximum: 9}
  ratio: {type: number, default: 0.5}
  names: {type: array, items: {type: string}, default: [a]}
  word: {type: string}
steps:
  - {id: a, uses: s.count, with: {n: "{{ params.n }}"}, gate: n < 5}
  - {id: b, uses: s.once}
"""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A small project."""
    for name, text in {"steps/s.py": STEPS, "runbooks/day.yaml": DAY.lstrip()}.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    with steps_given_back():
        yield Project(tmp_path)


class Told:
    """An attempt that has its answer, or none at all and stops the engine."""

    def __init__(self, message: Message) -> None:
        self.message = message
        self.reader, self.writer = os.pipe()
        os.write(self.writer, b".")

    def descriptors(self) -> Sequence[int]:
        return (self.reader,)

    def read(self) -> list[Message]:
        return [self.message]

    def stop(self, grace: float) -> None:
        """It has ended."""


class Elsewhere:
    """A place where each step returns 1; `dead` is a step at which the engine's process ends instead."""

    def __init__(self, dead: str = "") -> None:
        self.dead, self.asked, self.closed = dead, list[Request](), False

    def start(self, request: Request, *, timeout: float | None, grace: float, fresh: bool) -> Attempt:
        self.asked.append(request)
        if request.step == self.dead:
            raise KeyboardInterrupt
        return Told(Result({"n": 1}))

    def release(self, attempt: Attempt) -> None:
        assert isinstance(attempt, Told)
        os.close(attempt.reader)
        os.close(attempt.writer)

    def close(self) -> None:
        self.closed = True


def test_steps_may_run_elsewhere(project: Project) -> None:
    """Whatever has the methods of `Workers` runs the steps, and is closed at the end."""
    place = Elsewhere()
    leg = run(project, "day", {"word": "x"}, workers=place)
    assert (leg.outcome, leg.exit_code) == ("green", 0)
    assert [(request.step, dict(request.with_)) for request in place.asked] == [("a", {"n": 3}), ("b", {})]
    assert len({request.token for request in place.asked}) == 2
    assert place.closed


def test_a_leg_has_its_record_and_its_reports(project: Project) -> None:
    """Without a desk the run is silent, and leaves its journal and its reports."""
    leg = run(project, "day", {"word": "x"}, workers=Elsewhere())
    assert leg.record.state.outcome == "green"
    assert (leg.folder / "report.md").is_file()
    assert run_ids(project) == [leg.folder.name]


def test_a_listener_hears_what_is_on_disk(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """A desk's listener gets each event; nothing is printed."""
    heard: list[str] = []

    class Ear(Quiet):
        def on_event(self, event: Event) -> None:
            heard.append(event.type)

    run(project, "day", {"word": "x"}, desk=Desk(Ear(), Nobody("no terminal")), workers=Elsewhere())
    assert heard[0] == "run.opened"
    assert heard[-1] == "run.finished"
    assert capsys.readouterr() == ("", "")


def test_a_run_goes_on_where_its_process_ended(project: Project) -> None:
    """A step that was under way is settled by whoever resumes; done steps are not run again; the end is final."""
    with pytest.raises(KeyboardInterrupt):
        run(project, "day", {"word": "x"}, workers=Elsewhere(dead="b"))
    (run_id,) = run_ids(project)
    waiting = resume(project, run_id)
    assert (waiting.outcome, waiting.exit_code) == ("waiting", 4)
    leg = resume(project, run_id, settle={"b": "done"})
    assert (leg.outcome, leg.record.state.steps["a"].attempt) == ("green", 1)
    with pytest.raises(ResumeRefused):
        resume(project, run_id)


def test_a_run_may_be_cancelled(project: Project) -> None:
    """An unfinished run is ended with a reason; a step that is safe to repeat leaves nothing unknown."""
    with pytest.raises(KeyboardInterrupt):
        run(project, "day", {"word": "x"}, workers=Elsewhere(dead="a"))
    leg = resume(project, "last", cancel="a drill")
    assert (leg.outcome, leg.exit_code) == ("cancelled", 5)
    assert [leg.record.state.steps[step].status for step in "ab"] == ["cancelled", "cancelled"]


def test_lint_tells_all_faults(project: Project) -> None:
    """Faults come as values, of the runbooks named or of all."""
    assert lint(project) == lint(project, "day") == []
    (project.runbooks / "night.yaml").write_text("runbook: night\ntitle: N\nsteps: [{id: a, uses: s.cuont}]\n")
    (fault,) = lint(project)
    assert fault.place.file == "runbooks/night.yaml"
    assert lint(project, "day") == []
    with pytest.raises(UsageError, match="no runbook 'nigth'"):
        lint(project, "nigth")


def test_parameters_are_completed_and_checked(project: Project) -> None:
    """Defaults are filled in, numbers with a fraction are exact, and None is a default."""
    assert parameters(project, "day", {"word": "x", "ratio": 0.1, "names": ("b", "c"), "n": None}) == {
        "n": 3,
        "ratio": Decimal("0.1"),
        "names": ["b", "c"],
        "word": "x",
    }


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "needs the parameter 'word'"),
        ({"word": "x", "m": 1}, r"no parameter 'm'; did you mean|no parameter 'm'; it has: n, ratio, names, word"),
        ({"word": "x", "n": 10}, "'n' of day"),
        ({"word": "x", "n": "3"}, "'n' of day"),
        ({"word": 3}, "'word' of day"),
        ({"word": "x", "names": [1]}, "'names' of day"),
    ],
)
def test_a_wrong_parameter_refuses_the_run(project: Project, given: dict[str, Any], said: str) -> None:
    """What the command line would refuse is refused here, and nothing was run."""
    with pytest.raises(UsageError, match=said):
        run(project, "day", given)
    assert run_ids(project) == []


def test_a_runbook_with_faults_has_no_parameters(project: Project) -> None:
    """Faults are raised, all of them."""
    (project.runbooks / "day.yaml").write_text("runbook: day\ntitle: D\nsteps: [{id: A}]\ncolour: red\n")
    with pytest.raises(RunbookError) as caught:
        parameters(project, "day", {})
    assert len(caught.value.faults) >= 2
