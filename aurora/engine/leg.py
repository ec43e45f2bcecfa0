"""One process's part in a run: who listens and answers, the runner, and what is said when it ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from aurora.clock import Clock, SystemClock
from aurora.engine.locks import Locks, working_file
from aurora.engine.opening import Prepared
from aurora.engine.prompts import Nobody, Person, os_user
from aurora.engine.run import Facts, Listener, Run
from aurora.engine.runner import Runner
from aurora.engine.scopes import Scopes
from aurora.engine.signals import Signals
from aurora.engine.signatory import Signatory, only_reduces_orders
from aurora.engine.state import RunState
from aurora.engine.unrecorded import NO_JOURNAL, NoJournal, mark_as_failed
from aurora.engine.workers import LocalWorkers, Progress, Workers
from aurora.errors import AuroraError, JournalWriteError, SecretOnRecord
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

    def reopened(self, folder: Path, *, must: bool) -> None:
        """Take note that a finished run is about to be taken up again."""


@dataclass
class Desk:
    """What the command line hands to the engine: who listens, who answers, and what the clock says."""

    listener: Listener
    person: Person
    clock: Clock = field(default_factory=SystemClock)
    on_end: Callable[[Path], object] = bool
    """Called with the run's folder after each leg; renders the reports, and seals a run that is finished."""
    on_lost: Callable[[Path, str], object] = lambda *_: None
    """Called when the journal can't be written, with the run's folder and what that means; tells a person."""
    keeper: Keeper | None = None
    signatory: Signatory | None = None
    """Signs as the person here; without one nobody says yes on a live profile."""


@dataclass
class Leg:
    """One process's part in a run: from its journal as it stands to its end, an interruption, or an open question."""

    prepared: Prepared
    folder: Path
    desk: Desk
    person: Person
    signals: Signals
    journal: Journal
    locks: Locks
    workers: Workers | None = None
    settle: Mapping[str, str] = field(default_factory=dict)
    cancel: str = ""

    def walk(self, events: list[Event]) -> tuple[Path, str, int]:
        """Go on from `events`; return the run's folder, its outcome and the exit code."""
        project = self.prepared.project
        listener = _Unbreakable(self.desk.listener)
        past = len(events) - 1
        self._enter_ledger(events)
        listener.on_past(events[:past])
        for event in events[past:]:
            listener.on_event(event)
        workers = self.workers or LocalWorkers(project.root, project.services, self.prepared.environment)
        try:
            runner = self._runner(RunState.of(events), workers, listener)
            if self.cancel:
                runner.cancel(self.cancel)
            try:
                outcome, code = runner.run()
            except JournalWriteError as error:
                self._go_on_unrecorded(error, runner, workers, listener)
                raise
            for step in runner.unanswered:
                listener.on_log(step, _how_to_settle(self.folder.name, step))
            if outcome not in ("interrupted", "waiting"):
                self.locks.finish()
        except BaseException:
            workers.close()
            self._report(listener)
            raise
        workers.close()
        return self.folder, outcome, self._report(listener) or code

    def _enter_ledger(self, events: list[Event]) -> None:
        """Let the keeper of records know of the run before its first step, and the journal of that."""
        if self.desk.keeper is not None:
            entry = self.desk.keeper.opened(self.folder, events, must=self.prepared.must_be_on_record)
            if entry is not None:
                events.append(self.journal.append("ledger.entered", entry))

    def _go_on_unrecorded(self, error: JournalWriteError, lost: Runner, workers: Workers, listener: Listener) -> None:
        """Do what only reduces on the run's way to its end; nothing of it is on record (engine rule 23)."""
        self.desk.on_lost(self.folder, f"{error.what} Cancelling and flattening go on, and nothing of it is on record.")
        state = lost.state
        mark_as_failed(state, self.prepared.plan, lost.done_unrecorded)
        runner = self._runner(state, workers, listener, unrecorded=True)
        runner.fail(NO_JOURNAL)
        try:
            runner.run()
        except Exception as problem:  # noqa: BLE001 - what counts is told: the journal's own error
            self.desk.on_lost(self.folder, f"Stopping without a journal failed: {type(problem).__name__}: {problem}")

    def _runner(self, state: RunState, workers: Workers, listener: Listener, *, unrecorded: bool = False) -> Runner:
        prepared, opened = self.prepared, state.opened
        run = self.folder.name
        facts = Facts(
            run,
            self.folder,
            working_file(prepared.project.runs / LOCKS, run),
            self.desk.clock,
            opened["dry_run"],
            opened.get("step_by_step", False),
            self.settle,
            os_user(),
            prepared.is_live,
            only_reduces_orders(prepared),
            prepared.policy,
            unrecorded,
        )
        scopes = Scopes(prepared.plan, state, prepared.functions, opened["params"], prepared.load)
        journal = NoJournal(self.desk.clock, prepared.masker) if unrecorded else self.journal
        parts = Run(prepared.plan, prepared.functions, scopes, state, journal, listener, facts, prepared.masker)
        person = Nobody(NO_JOURNAL) if unrecorded else self.person
        return Runner(parts, workers, person, self.signals, self.desk.signatory)

    def _report(self, listener: Listener) -> int:
        """Write the reports and seal; return the exit code that a secret in a file of the run makes of it, else 0."""
        try:
            self.desk.on_end(self.folder)
        except SecretOnRecord as error:
            listener.on_log("record", f"NOT SEALED: {error.what} It means: {error.means}. To do: {error.todo}.")
            return error.exit_code
        except Exception as error:  # noqa: BLE001 - a report that can't be made does not change what the run was
            said = error.what if isinstance(error, AuroraError) else f"{type(error).__name__}: {error}"
            listener.on_log("report", f"it could not be written: {said}; the journal is whole, so: invoke report")
        return 0


class _Unbreakable:
    """Hands on to a listener what happens; one that fails (a terminal that is gone) is told nothing more."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._broken = False
        self.live = listener.live

    def on_past(self, events: Sequence[Event]) -> None:
        self._tell(lambda listener: listener.on_past(events))

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
