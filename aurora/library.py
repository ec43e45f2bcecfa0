"""The engine as a library: the names that a program may build on, and what docs/library.md promises of them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from aurora.engine.execute import GoingOn, resume_run, start_run
from aurora.engine.faults import Fault, Place, RunbookError, did_you_mean, listed
from aurora.engine.functions import FunctionTable
from aurora.engine.graph import Library
from aurora.engine.leg import Desk
from aurora.engine.lint import lint_names
from aurora.engine.loader import Loaded, value_problem_of
from aurora.engine.project import Project, find_project
from aurora.engine.prompts import Answer, Nobody, Person, Prompt
from aurora.engine.records import Record, find_run, read_record, run_ids
from aurora.engine.run import Listener
from aurora.engine.spec import Param
from aurora.engine.state import RunState, StepState
from aurora.engine.workers import (
    Attempt,
    Death,
    Failure,
    LogLine,
    Message,
    Progress,
    Request,
    Result,
    Workers,
)
from aurora.errors import AuroraError, UsageError
from aurora.evidence.keeper import SigningKeeper
from aurora.evidence.persons import PersonSignatory
from aurora.journal import Event

__all__ = [
    "Answer",
    "Attempt",
    "AuroraError",
    "Death",
    "Desk",
    "Event",
    "Failure",
    "Fault",
    "Leg",
    "Listener",
    "LogLine",
    "Message",
    "Nobody",
    "Person",
    "Place",
    "Progress",
    "Project",
    "Prompt",
    "Quiet",
    "Record",
    "Request",
    "Result",
    "RunState",
    "RunbookError",
    "StepState",
    "UsageError",
    "Workers",
    "find_project",
    "find_run",
    "lint",
    "parameters",
    "read_record",
    "resume",
    "run",
    "run_ids",
]


class Quiet:
    """A listener that shows nothing."""

    live = False

    def on_past(self, events: Sequence[Event]) -> None:
        """The run is taken up again: these events were on disk before."""

    def on_event(self, event: Event) -> None:
        """An event is on disk."""

    def on_progress(self, step: str, progress: Progress) -> None:
        """A step says how far it is."""

    def on_log(self, step: str, line: str) -> None:
        """A step logged a line."""

    def tick(self) -> None:
        """Time passes."""


@dataclass(frozen=True)
class Leg:
    """What came of one process's part in a run: the run's folder, its outcome so far, and the exit code.

    outcome: green, amber, red, broken, declined or cancelled; `waiting` or `interrupted` when it can be resumed.
    """

    folder: Path
    outcome: str
    exit_code: int

    @property
    def record(self) -> Record:
        """Read the run's journal. Raises RecordError."""
        return read_record(self.folder)


def lint(project: Project, *runbooks: str) -> list[Fault]:
    """Return every fault of the runbooks named, or of all of them. Raises UsageError when there is none of a name."""
    return lint_names(project, runbooks or project.names(), FunctionTable(project.root))


def run(
    project: Project,
    runbook: str,
    params: Mapping[str, Any] | None = None,
    *,
    desk: Desk | None = None,
    dry_run: bool = False,
    step_by_step: bool = False,
    answers: Path | None = None,
    workers: Workers | None = None,
) -> Leg:
    """Run a runbook from its start, in this process's main thread.

    params:  those that differ from their defaults; checked as on the command line.
    desk:    who listens and who answers; unless given, nobody does, and the run is sealed at its end.
    answers: a file of scripted answers, for a simulated venue.
    workers: where steps run; processes on this machine unless given. They are closed at the end.

    Raises OperatorError when it does not start: then nothing was run and there is no record.
    """
    values = parameters(project, runbook, params or {})
    how = {"dry_run": dry_run, "step_by_step": step_by_step}
    return Leg(*start_run(project, runbook, values, desk or _nobodys(project), **how, answers=answers, workers=workers))


def resume(
    project: Project,
    run_id: str,
    *,
    desk: Desk | None = None,
    accept_changes: bool = False,
    settle: Mapping[str, str] | None = None,
    waive: Sequence[str] = (),
    reason: str = "",
    cancel: str = "",
) -> Leg:
    """Go on with a run that was interrupted, or with `cancel`, the reason, end it after its `finally`.

    settle: what became of steps whose outcome is unknown: step id to `done` or `not_done`.
    waive:  steps that failed and are gone past, for the `reason`; also of a run that ended red.

    Raises RunNotFound, and ResumeRefused when it is finished, or its inputs have changed and that is not accepted.
    """
    how = GoingOn(accept_changes, settle or {}, waive, reason, cancel)
    return Leg(*resume_run(project, run_id, desk or _nobodys(project), how))


def parameters(project: Project, runbook: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return all parameters of a runbook: `given` ones, checked, and the defaults of the rest.

    Raises UsageError for a parameter that there isn't, that is missing, or that its schema refuses.
    """
    return parameters_of(Library(project).load(runbook), given)


def parameters_of(loaded: Loaded, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return all parameters of a runbook that was read; see `parameters`."""
    if loaded.runbook is None:
        raise RunbookError(loaded.faults)
    runbook, params = loaded.runbook.name, loaded.runbook.params
    for name in given:
        if name not in params:
            hint = did_you_mean(name, params) or f"it has: {listed(list(params)) or 'none'}"
            raise UsageError(f"The runbook {runbook} has no parameter {name!r}; {hint}.", means="nothing was run")
    return {param.name: _value(runbook, param, given) for param in params.values()}


def _value(runbook: str, param: Param, given: Mapping[str, Any]) -> Any:
    value = given.get(param.name)
    if value is None:
        if param.required:
            raise UsageError(f"The runbook {runbook} needs the parameter {param.name!r}.", means="nothing was run")
        return param.default
    value = _plain(value)
    problem = value_problem_of(value, param.schema)
    if problem:
        raise UsageError(f"The parameter {param.name!r} of {runbook} {problem}.", means="nothing was run")
    return value


def _plain(value: Any) -> Any:
    """Return a value as the command line would have made it: numbers with a fraction are exact."""
    if isinstance(value, float):
        return Decimal(repr(value))
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _nobodys(project: Project) -> Desk:
    keeper = SigningKeeper(project.root, logging.getLogger("aurora.records").info)
    signatory = PersonSignatory(project.root, project.runs)
    return Desk(Quiet(), Nobody("no terminal"), on_end=keeper.closed, keeper=keeper, signatory=signatory)
