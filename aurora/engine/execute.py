"""Opens, resumes and cancels runs: everything around the runner that makes one life of a run (see ARCHITECTURE.md)."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aurora.clock import Clock, iso
from aurora.consent import Signed
from aurora.engine.freshness import stale_steps
from aurora.engine.leg import LOCKS, Desk, Leg
from aurora.engine.locks import Locks, holder_of, wait_for_workers, working_file
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
from aurora.engine.refusals import refusals_on_record
from aurora.engine.signals import Signals
from aurora.engine.signatory import asks_person, only_reduces_orders, require_person
from aurora.engine.state import RunState
from aurora.engine.values import encode
from aurora.engine.waivers import signed_waivers, waivers
from aurora.engine.workers import Workers, keep_standard_descriptors
from aurora.errors import OperatorError, ResumeRefused, UsageError
from aurora.journal import Event, Journal


def start_run(
    project: Project,
    name: str,
    params: Mapping[str, Any],
    desk: Desk,
    *,
    dry_run: bool = False,
    step_by_step: bool = False,
    answers: Path | None = None,
    workers: Workers | None = None,
) -> tuple[Path, str, int]:
    """Run a runbook from its start. Return the run's folder, its outcome and the exit code.

    With `step_by_step` a person is asked before each step.

    Raises OperatorError (exit 2) when it does not start: then nothing was run and no run exists.
    """
    keep_standard_descriptors()
    how = {"dry_run": dry_run, "step_by_step": step_by_step}
    with contextlib.ExitStack() as held:
        with refusals_on_record(project, desk.clock, "runbook", name):
            leg, events = _open(prepare(project, name, params), desk, how, answers, held)
        leg.workers = workers
        return leg.walk(events)


def _open(
    prepared: Prepared, desk: Desk, how: Mapping[str, bool], answers: Path | None, held: contextlib.ExitStack
) -> tuple[Leg, list[Event]]:
    """Check what has to hold before a run may exist, make its folder, and write its first event."""
    _refuse_secrets(prepared, answers)
    person = _who_answers(prepared, desk, how, answers)
    requirements = _requirements(prepared, desk, how)
    if desk.keeper is not None:
        runs = prepared.project.runs
        desk.keeper.ready(runs, simulated=prepared.simulated, must=prepared.must_be_on_record)
    asks = not how["dry_run"] and (how["step_by_step"] or asks_person(prepared))
    signer = require_person(prepared, desk.signatory, prepared.plan.root.name, desk.clock.now, asks=asks)
    code = held.enter_context(GitState(prepared.project.root))
    signals = held.enter_context(Signals())
    held.enter_context(signals.caught())
    folder = new_run(prepared.project, prepared.plan.root.name, desk.clock.now())
    try:
        locks = held.enter_context(_locks(prepared, folder.name))
        opened = opening_facts(prepared, folder, how, answers, requirements, code.read(), signer)
        journal = held.enter_context(Journal.create(folder / JOURNAL, desk.clock, prepared.masker))
        event = journal.append("run.opened", opened)
    except BaseException:
        _remove_unopened(folder)
        raise
    return Leg(prepared, folder, desk, person, signals, journal, locks), [event]


def _requirements(prepared: Prepared, desk: Desk, how: Mapping[str, bool]) -> list[dict[str, Any]]:
    """Return what the runbook requires and what was found of it. Raises OperatorError when it is not met."""
    lookup = None if desk.keeper is None else desk.keeper.required
    return check_requirements(prepared, lookup, dry_run=how["dry_run"])


def _who_answers(prepared: Prepared, desk: Desk, how: Mapping[str, bool], answers: Path | None) -> Person:
    if how["step_by_step"] and (how["dry_run"] or answers is not None):
        raise UsageError(
            "--step-by-step asks a person before each step; --dry-run and --answers ask nobody.",
            means="nothing was run",
            todo="leave one of them out",
        )
    if answers is None:
        return desk.person
    if not prepared.simulated or prepared.is_live:
        raise UsageError(
            "--answers works with a simulated venue only.",
            means="on a real venue a person answers; nothing was run",
            todo="leave --answers out, or choose a profile with venue: simulated",
        )
    return Scripted(read_answers(answers), answers.name)


@dataclass(frozen=True)
class GoingOn:
    """How a run is gone on with.

    settle: what became of steps whose outcome is unknown: step id to `done` or `not_done`.
    waive:  steps that failed and are gone past, for the `reason`; a run that ended red is taken up again then.
    cancel: why the run is ended instead; only its `finally` runs then.
    """

    accept_changes: bool = False
    settle: Mapping[str, str] = field(default_factory=dict)
    waive: Sequence[str] = ()
    reason: str = ""
    cancel: str = ""


def resume_run(project: Project, run: str, desk: Desk, how: GoingOn | None = None) -> tuple[Path, str, int]:
    """Go on with a run that was interrupted, or end it.

    Raises ResumeRefused when it is finished, or when its runbooks, profile or step modules have changed.
    """
    keep_standard_descriptors()
    with contextlib.ExitStack() as held:
        with refusals_on_record(project, desk.clock, "resume", run):
            leg, events = _reopen(project, read_record(find_run(project, run)), desk, how or GoingOn(), held)
        return leg.walk(events)


def _reopen(
    project: Project, record: Record, desk: Desk, how: GoingOn, held: contextlib.ExitStack
) -> tuple[Leg, list[Event]]:
    _refuse_finished(record, how.waive)
    prepared, changes = _prepared_again(project, record, accept_changes=how.accept_changes)
    _refuse_settled(record.state, how.settle)
    _refuse_unsigned_settling(prepared, how.settle)
    waived = waivers(prepared.plan, record.state, prepared.policy, how.waive, how.reason, os_user())
    signals = held.enter_context(Signals())
    held.enter_context(signals.caught())
    locks = held.enter_context(_locks(prepared, record.id))
    wait_for_workers(working_file(project.runs / LOCKS, record.id), record.id)
    journal, events = Journal.resume(record.folder / JOURNAL, desk.clock, prepared.masker)
    held.enter_context(journal)
    _refuse_taken_up(record, events)
    cancel = how.cancel or record.state.cancelled
    if not cancel:
        _requirements(prepared, desk, {"dry_run": record.state.opened["dry_run"]})  # what held then may be too old now
    signer = None if cancel else _signer_again(prepared, desk, record)
    must = prepared.is_live and not only_reduces_orders(prepared)
    waived = signed_waivers(waived, record.id, journal.head, desk.signatory, must=must)
    data = {
        "pid": os.getpid(),
        "operator": operator(signer),
        "changes": changes,
        "accepted": how.accept_changes,
        "cancel": cancel,
        "waivers": waived,
        "repeat": [] if cancel else _too_old(prepared, RunState.of(events), waived, desk.clock),
    }
    if record.state.outcome is not None and desk.keeper is not None:
        desk.keeper.reopened(record.folder, must=prepared.must_be_on_record)
    event = journal.append("run.resumed", data)
    person = _same_person(desk, record)
    leg = Leg(prepared, record.folder, desk, person, signals, journal, locks, None, how.settle, cancel)
    return leg, [*events, event]


def _signer_again(prepared: Prepared, desk: Desk, record: Record) -> Signed | None:
    """Return who signs from here on. Raises OperatorError when a question is left, and nobody can."""
    opened, steps = record.state.opened, record.state.steps
    over = {name for name, step in steps.items() if step.over and step.status not in ("omitted", "cancelled")}
    asks = not opened["dry_run"] and (opened.get("step_by_step", False) or asks_person(prepared, over.__contains__))
    return require_person(prepared, desk.signatory, record.id, desk.clock.now, asks=asks)


def _too_old(prepared: Prepared, state: RunState, waived: list[dict[str, Any]], clock: Clock) -> list[str]:
    """Return the steps to repeat, looked at as the run will stand once it goes on."""
    now = clock.now()
    state.apply(Event(0, iso(now), "run.resumed", {"waivers": waived}))
    return stale_steps(prepared.plan, state, prepared.guards, now)


def _refuse_finished(record: Record, waive: Sequence[str]) -> None:
    outcome = record.state.outcome
    if outcome is None or (waive and outcome in ("red", "broken")):
        return
    raise ResumeRefused(
        f"The run {record.id} is finished: {outcome}.",
        means="a finished run is a record and stays as it is",
        todo=f"start a new one: invoke runbook {record.state.opened['runbook']}"
        + ("   or go on past what failed: --waive STEP --reason TEXT" if outcome in ("red", "broken") else ""),
    )


def _refuse_taken_up(record: Record, events: Sequence[Event]) -> None:
    if any(event.type != "journal.recovered" for event in events[len(record.text.events) :]):
        raise ResumeRefused(
            f"The run {record.id} has just been taken up by another process.",
            means="nothing was run",
            todo=f"look at what it did: invoke show {record.id}",
        )


def engine_of(project: Project, run: str) -> int:
    """Return the process that has the run now; 0 when none has."""
    return holder_of(project.runs / LOCKS, f"run:{run}")


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


def _refuse_secrets(prepared: Prepared, answers: Path | None) -> None:
    """Refuse parameters and files that hold a secret: they are copied into the record."""
    masker = prepared.masker
    if masker.holds_in({name: encode(value) for name, value in prepared.params.items()}):
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
    if bool(opened.get("live")) != prepared.is_live:
        raise ResumeRefused(
            f"The run {run} was opened on a profile that {'was' if opened.get('live') else 'was not'} live; now it is "
            f"{'live' if prepared.is_live else 'not'}.",
            means="a run stays where it began; nothing was run",
            todo="put the profile back, or cancel the run and start another",
        )
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


def _refuse_unsigned_settling(prepared: Prepared, settle: Mapping[str, str]) -> None:
    """Refuse, on a live profile, a word on the command line that counts for a step: at the terminal it is signed."""
    if settle and prepared.is_live and not only_reduces_orders(prepared):
        raise UsageError(
            f"On the live profile {prepared.profile.name} what became of a step is signed by who says it.",
            means="nothing was run",
            todo="leave --settle out: the question is asked at the terminal",
        )


def _locks(prepared: Prepared, run: str) -> Locks:
    project = prepared.project
    return Locks(project.runs / LOCKS, lock_names(prepared, run), run, lambda other: is_unfinished(project, other))


def _remove_unopened(folder: Path) -> None:
    """Take away the folder of a run that was never opened; one whose journal has a line stays."""
    journal = folder / JOURNAL
    if not journal.exists() or journal.stat().st_size == 0:
        shutil.rmtree(folder, ignore_errors=True)
