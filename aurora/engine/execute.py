"""Opens, resumes and cancels runs: everything around the runner that makes one life of a run (see ARCHITECTURE.md)."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from aurora.clock import Clock, SystemClock
from aurora.engine.locks import Locks, wait_for_workers, working_file
from aurora.engine.opening import (
    GitState,
    Prepared,
    changes_since,
    check_requirements,
    input_files,
    lock_names,
    mode_and_venue,
    opening_facts,
    operator,
    prepare,
    read_params,
)
from aurora.engine.project import Project
from aurora.engine.prompts import Person, Scripted, os_user, read_answers
from aurora.engine.records import JOURNAL, Record, find_run, is_unfinished, new_run, read_record
from aurora.engine.run import Facts, Listener, Run
from aurora.engine.runner import Runner
from aurora.engine.scopes import Scopes
from aurora.engine.signals import Signals
from aurora.engine.state import RunState
from aurora.engine.values import encode
from aurora.engine.workers import LocalWorkers, Progress, keep_standard_descriptors
from aurora.errors import AuroraError, OperatorError, ResumeRefused, UsageError
from aurora.journal import Event, Journal

LOCKS = ".locks"


class Keeper(Protocol):
    """Whoever keeps the records of runs beyond their journals: signs them, and knows which runs there were."""

    def ready(self, runs: Path, *, simulated: bool, must: bool) -> None:
        """See whether a run can leave a record; raise RecordError when it can't and `must`."""

    def required(
        self, runs: Path, asked: Sequence[Mapping[str, Any]], asking: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """Return the `verdict`, `reason` and `run` of each requirement."""

    def opened(self, folder: Path, events: Sequence[Event], *, must: bool) -> Mapping[str, Any] | None:
        """Take note of a run before its first step; return what its journal says of that, once."""


@dataclass
class Desk:
    """What the command line hands to the engine: who listens, who answers, and what the clock says."""

    listener: Listener
    person: Person
    clock: Clock = field(default_factory=SystemClock)
    on_end: Callable[[Path], object] = bool
    """Called with the run's folder after each leg; renders the reports, and seals a run that is finished."""
    keeper: Keeper | None = None


def start_run(
    project: Project,
    name: str,
    params: Mapping[str, Any],
    desk: Desk,
    *,
    dry_run: bool = False,
    answers: Path | None = None,
    workers: LocalWorkers | None = None,
) -> tuple[Path, str, int]:
    """Run a runbook from its start. Return the run's folder, its outcome and the exit code.

    Raises OperatorError (exit 2) when it does not start: then nothing was run and no run exists.
    """
    keep_standard_descriptors()
    prepared = prepare(project, name, params)
    _refuse_secrets(prepared, answers)
    person = desk.person
    if answers is not None:
        if not prepared.simulated:
            raise UsageError(
                "--answers works with a simulated venue only.",
                means="on a real venue a person answers; nothing was run",
                todo="leave --answers out, or choose a profile with venue: simulated",
            )
        person = Scripted(read_answers(answers), answers.name)
    requirements = check_requirements(prepared, None if desk.keeper is None else desk.keeper.required, dry_run=dry_run)
    if desk.keeper is not None:
        desk.keeper.ready(project.runs, simulated=prepared.simulated, must=prepared.must_be_on_record)
    with contextlib.ExitStack() as held:
        code = held.enter_context(GitState(project.root))
        signals = held.enter_context(Signals())
        held.enter_context(signals.caught())
        folder = new_run(project, prepared.plan.root.name, desk.clock.now())
        try:
            locks = held.enter_context(_locks(prepared, folder.name))
            opened = opening_facts(prepared, folder, dry_run, answers, requirements, code.read())
            journal = held.enter_context(Journal.create(folder / JOURNAL, desk.clock, prepared.masker))
            event = journal.append("run.opened", opened)
        except BaseException:
            _remove_unopened(folder)
            raise
        leg = _Leg(prepared, folder, desk, person, signals, journal, locks, workers)
        return leg.walk([event])


def resume_run(
    project: Project,
    run: str,
    desk: Desk,
    *,
    accept_changes: bool = False,
    settle: Mapping[str, str] | None = None,
    cancel: str = "",
) -> tuple[Path, str, int]:
    """Go on with a run that was interrupted, or (with `cancel`, the reason) end it: only its `finally` runs then.

    Raises ResumeRefused when it is finished, or when its runbooks, profile or step modules have changed.
    """
    keep_standard_descriptors()
    folder = find_run(project, run)
    record = read_record(folder)
    if record.state.outcome is not None:
        raise ResumeRefused(
            f"The run {record.id} is finished: {record.state.outcome}.",
            means="a finished run is a record and stays as it is",
            todo=f"start a new one: invoke runbook {record.state.opened['runbook']}",
        )
    prepared, changes = _prepared_again(project, record, accept_changes=accept_changes)
    _refuse_settled(record.state, settle or {})
    with contextlib.ExitStack() as held:
        signals = held.enter_context(Signals())
        held.enter_context(signals.caught())
        locks = held.enter_context(_locks(prepared, record.id))
        wait_for_workers(working_file(project.runs / LOCKS, record.id), record.id)
        journal, events = Journal.resume(folder / JOURNAL, desk.clock, prepared.masker)
        held.enter_context(journal)
        if events[-1].type == "run.finished":
            raise ResumeRefused(f"The run {record.id} has just been finished by another process.")
        who = {"pid": os.getpid(), "operator": operator()}
        data = {**who, "changes": changes, "accepted": accept_changes, "cancel": cancel}
        event = journal.append("run.resumed", data)
        person = _same_person(desk, record)
        leg = _Leg(prepared, folder, desk, person, signals, journal, locks, None, settle or {}, cancel)
        return leg.walk([*events, event])


def _prepared_again(project: Project, record: Record, *, accept_changes: bool) -> tuple[Prepared, list[str]]:
    """Return the run's runbook as it is today, and what differs from what it was opened with."""
    opened = record.state.opened
    prepared = prepare(project, opened["runbook"], read_params(project, opened))
    changes = changes_since(prepared, opened)
    if changes and not accept_changes:
        raise ResumeRefused(
            f"The run {record.id} was opened with other inputs: {'; '.join(changes)}.",
            means="what has passed was checked against the old ones; nothing was run",
            todo=f"put the old ones back (they are in {record.folder / 'inputs'}), or say so: --accept-changes",
        )
    _refuse_another_venue(prepared, record.id, opened)
    return prepared, changes


def _same_person(desk: Desk, record: Record) -> Person:
    """Return who answers in a resumed run: the script that the run was opened with, or whoever is here."""
    scripted = record.state.opened["answers"]
    if scripted is None or not record.state.opened["simulated"]:
        return desk.person
    return Scripted(read_answers(record.folder / "inputs" / scripted["file"]), scripted["file"])


@dataclass
class _Leg:
    """One process's part in a run: from its journal as it stands to its end, an interruption, or an open question."""

    prepared: Prepared
    folder: Path
    desk: Desk
    person: Person
    signals: Signals
    journal: Journal
    locks: Locks
    workers: LocalWorkers | None
    settle: Mapping[str, str] = field(default_factory=dict)
    cancel: str = ""

    def walk(self, events: list[Event]) -> tuple[Path, str, int]:
        project = self.prepared.project
        listener = _Unbreakable(self.desk.listener)
        self._enter_ledger(events)
        for event in events:
            listener.on_event(event)
        workers = self.workers or LocalWorkers(project.root, project.services, self.prepared.environment)
        try:
            runner = self._runner(RunState.of(events), workers, listener)
            if self.cancel:
                runner.cancel(self.cancel)
            outcome, code = runner.run()
            for step in runner.unanswered:
                listener.on_log(step, _how_to_settle(self.folder.name, step))
            if outcome not in ("interrupted", "waiting"):
                self.locks.finish()
        finally:
            workers.close()
            self._report(listener)
        return self.folder, outcome, code

    def _enter_ledger(self, events: list[Event]) -> None:
        """Let the keeper of records know of the run before its first step, and the journal of that."""
        if self.desk.keeper is not None:
            entry = self.desk.keeper.opened(self.folder, events, must=self.prepared.must_be_on_record)
            if entry is not None:
                events.append(self.journal.append("ledger.entered", entry))

    def _runner(self, state: RunState, workers: LocalWorkers, listener: Listener) -> Runner:
        prepared, opened = self.prepared, state.opened
        run = self.folder.name
        facts = Facts(
            run,
            self.folder,
            working_file(prepared.project.runs / LOCKS, run),
            self.desk.clock,
            opened["dry_run"],
            self.settle,
            os_user(),
        )
        scopes = Scopes(prepared.plan, state, prepared.functions, opened["params"], prepared.load)
        parts = Run(prepared.plan, prepared.functions, scopes, state, self.journal, listener, facts, prepared.masker)
        return Runner(parts, workers, self.person, self.signals)

    def _report(self, listener: Listener) -> None:
        try:
            self.desk.on_end(self.folder)
        except Exception as error:  # noqa: BLE001 - a report that can't be made does not change what the run was
            said = error.what if isinstance(error, AuroraError) else f"{type(error).__name__}: {error}"
            listener.on_log("report", f"it could not be written: {said}; the journal is whole, so: invoke report")


class _Unbreakable:
    """Hands on to a listener what happens; one that fails (a terminal that is gone) is told nothing more."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._broken = False
        self.live = listener.live

    def on_event(self, event: Event) -> None:
        self._tell(lambda listener: listener.on_event(event))

    def on_progress(self, step: str, progress: Progress) -> None:
        self._tell(lambda listener: listener.on_progress(step, progress))

    def on_log(self, step: str, line: str) -> None:
        self._tell(lambda listener: listener.on_log(step, line))

    def tick(self) -> None:
        self._tell(lambda listener: listener.tick())

    def _tell(self, say: Callable[[Listener], None]) -> None:
        if self._broken:
            return
        try:
            say(self._listener)
        except Exception:  # noqa: BLE001 - whoever watches a run must not be what stops it
            self._broken = True
            self.live = False


def _how_to_settle(run: str, step: str) -> str:
    return (
        f"nobody knows what {step} did before the engine ended; look, then say: "
        f"invoke resume {run} --settle {step}=done   or   --settle {step}=not_done"
    )


def _refuse_secrets(prepared: Prepared, answers: Path | None) -> None:
    """Refuse parameters and files that hold a secret: they are copied into the record."""
    masker = prepared.masker
    if masker.holds(json.dumps({name: encode(value) for name, value in prepared.params.items()})):
        raise UsageError(
            "A parameter holds a secret.",
            means="parameters are written down and can be seen by other processes; nothing was run",
            todo="leave it out; a step reads secrets from its environment",
        )
    files = {**input_files(prepared), **({answers.name: answers} if answers is not None else {})}
    for name, path in files.items():
        if path.is_file() and masker.holds(path.read_text("utf-8", "replace")):
            raise OperatorError(
                f"{name} holds a secret.",
                means="it is copied into each run's record; nothing was run",
                todo="take it out (and change it, if the file was shared); secrets live in the environment or in .env",
            )


def _refuse_another_venue(prepared: Prepared, run: str, opened: Mapping[str, Any]) -> None:
    """Refuse to go on elsewhere: what was rehearsed must not end on a real account, whoever accepts changes."""
    now = mode_and_venue(prepared)
    before = {name: opened[name] for name in now}
    if now != before:
        raise ResumeRefused(
            f"The run {run} was opened as {before['mode']} on {before['venue']}; its profile now says {now['mode']} on "
            f"{now['venue']}.",
            means="a run stays where it began; nothing was run",
            todo="put the profile back, or cancel the run and start another",
        )


def _refuse_settled(state: RunState, settle: Mapping[str, str]) -> None:
    functions = {entry["id"] for entry in state.opened["plan"] if entry["kind"] == "uses"}
    unknown = [name for name, step in state.steps.items() if step.doubtful and name.partition("[")[0] in functions]
    for step_id in settle:
        if step_id not in unknown:
            raise UsageError(
                f"--settle names {step_id!r}, which is no step whose outcome is unknown.",
                means="nothing was run",
                todo=f"steps that had begun when the engine ended: {', '.join(unknown) or 'none'}",
            )


def _locks(prepared: Prepared, run: str) -> Locks:
    project = prepared.project
    return Locks(project.runs / LOCKS, lock_names(prepared, run), run, lambda other: is_unfinished(project, other))


def _remove_unopened(folder: Path) -> None:
    """Take away the folder of a run that was never opened; one whose journal has a line stays."""
    journal = folder / JOURNAL
    if not journal.exists() or journal.stat().st_size == 0:
        shutil.rmtree(folder, ignore_errors=True)
