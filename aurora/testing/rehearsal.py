"""A rehearsal: a runbook run by the real engine, with mocks for its steps and a script for its person."""

from __future__ import annotations

import functools
import signal
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aurora.clock import ManualClock
from aurora.engine.execute import start_run
from aurora.engine.functions import FunctionTable
from aurora.engine.graph import Library, Plan, build_plan
from aurora.engine.leg import Desk
from aurora.engine.lint import lint_plan, require_sound
from aurora.engine.profiles import load_profile
from aurora.engine.project import Project
from aurora.engine.scopes import Scopes
from aurora.engine.state import RunState
from aurora.engine.values import exposed
from aurora.engine.workers import Progress
from aurora.journal import Event
from aurora.library import parameters_of
from aurora.profile import Profile, Section
from aurora.testing.calling import Services, services_of
from aurora.testing.mocks import MockWorkers, Stage
from aurora.testing.outcomes import Mock, Real, RehearsalError
from aurora.testing.people import Answers, PretendedSignatory, person_of
from aurora.testing.record import RehearsedRun

START = datetime(2026, 1, 5, 14, 30, tzinfo=UTC)
"""When a rehearsal begins, by its own clock, unless it says otherwise."""
PATIENCE = 60
"""How often the clock is moved, a tenth of a second each, with nothing happening."""
CACHE = ".cache"
NO_PROFILE = "(none)"


@dataclass(frozen=True)
class RehearsedProject(Project):
    """A project whose records go to another folder: a rehearsal leaves nothing in the project."""

    records: Path = Path("runs")

    @property
    def runs(self) -> Path:
        """Return the folder of the records."""
        return self.records


class Rehearsal:
    """Runs a project's runbooks with mocks: each call is one run, from its start, with records of its own.

    project: the project, or its root folder.
    folder:  where the records go.
    shared:  a folder that other rehearsals use, too, for what one loader tells the next; `folder` unless given.
    """

    def __init__(self, project: Project | Path, folder: Path, *, shared: Path | None = None) -> None:
        self.project = project if isinstance(project, Project) else Project(project)
        self._folder = folder
        self._shared = shared or folder
        self.runs: list[RehearsedRun] = []
        self._count = 0

    def __call__(
        self,
        runbook: str,
        *,
        profile: str | None = None,
        params: Mapping[str, Any] | None = None,
        steps: Mapping[str, Mock] | None = None,
        real: Iterable[str] = (),
        answers: Answers = "nobody",
        services: object = None,
        dry_run: bool = False,
        start: datetime = START,
    ) -> RehearsedRun:
        """Run `runbook` and return what its journal says.

        profile:  short for `params={"profile": …}`.
        params:   as on the command line; those that are not given have their defaults.
        steps:    what mocked steps do, by id; `quotes[0]` is an item of a `foreach`, `preflight/*` and `*` stand for
                  all that have no mock of their own.
        real:     steps whose own function runs, in this process, by id or pattern.
        answers:  who is asked: "nobody", "all yes", or answers by step id.
        services: what real steps get as `context.services` instead of what the project's factory builds.
        start:    the time by the rehearsal's clock, which jumps over every wait.

        Raises RehearsalError when the rehearsal says what can't be, and whatever keeps a run from starting:
        RunbookError (lint), ProfileError, UsageError and their kin.
        """
        __tracebackhide__ = True
        mocks = _merged(steps or {}, real)
        given = {**(params or {}), **({} if profile is None else {"profile": profile})}
        try:
            run = self._run(runbook, given, mocks, answers, services, ManualClock(start), dry_run=dry_run)
        except RehearsalError as error:
            raise error.with_traceback(None) from None  # the mistake is the test's: nobody needs to see Aurora's inside
        self.runs.append(run)
        return run

    def _run(
        self,
        runbook: str,
        params: Mapping[str, Any],
        mocks: Mapping[str, Mock],
        answers: Answers,
        services: object,
        clock: ManualClock,
        *,
        dry_run: bool,
    ) -> RehearsedRun:
        self._count += 1
        project = RehearsedProject(
            self.project.root, self.project.services, calendars=self.project.calendars, records=self._records()
        )
        library = _library(project.root, self._shared)
        values = parameters_of(library.load(runbook), params)
        scene = _Scene(project, library, runbook, clock)
        factory = services_of(project.services) if services is None else lambda _: services
        workers = scene.workers(mocks, factory)
        person = person_of(answers, scene.checklists())
        desk = Desk(scene, person, scene.clock, signatory=PretendedSignatory())
        try:
            folder, outcome, code = start_run(project, runbook, values, desk, dry_run=dry_run, workers=workers)
        except Exception:
            workers.complain()
            raise
        workers.complain()
        return RehearsedRun(runbook, folder, outcome, code, tuple(scene.events), tuple(workers.calls), scene.functions)

    def _records(self) -> Path:
        """Make a folder for the records of one run; its cache is that of all."""
        records = self._folder / f"rehearsal-{self._count}"
        records.mkdir(parents=True)
        cache = self._shared / CACHE
        cache.mkdir(parents=True, exist_ok=True)
        (records / CACHE).symlink_to(cache, target_is_directory=True)
        return records


def _library(root: Path, shared: Path) -> Library:
    """Return the project's runbooks, read again only when a file has changed."""
    files = [(str(path), path.stat()) for path in sorted((root / "runbooks").glob("*.yaml"))]
    return _library_as_of(root, shared, tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in files))


@functools.lru_cache(maxsize=16)
def _library_as_of(root: Path, shared: Path, _files: tuple[tuple[str, int, int], ...]) -> Library:
    return Library(RehearsedProject(root, records=shared))


def _merged(steps: Mapping[str, Mock], real: Iterable[str]) -> dict[str, Mock]:
    if isinstance(real, str):
        raise RehearsalError(f"real is a list of step ids, was {real!r}.")
    mocks = dict(steps)
    for name in real:
        if name in mocks:
            raise RehearsalError(f"{name!r} is mocked and said to be real.")
        mocks[name] = Real()
    return mocks


@dataclass
class _Scene:
    """The run as it goes on: keeps its events, tells mocks what gates see, and moves the clock over every wait."""

    project: Project
    library: Library
    runbook: str
    clock: ManualClock
    live: bool = True
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.plan: Plan = build_plan(self.library, self.runbook)
        self.functions = FunctionTable(self.project.root)
        if self.plan.faults:
            require_sound(lint_plan(self.project, self.plan, self.functions))
        self._state = RunState()
        self._scopes: Scopes | None = None
        self._dues: list[float] = []
        self._seen = 0
        self._waited = 0
        self._moved = False

    def workers(self, mocks: Mapping[str, Mock], services: Services | None) -> MockWorkers:
        stage = Stage(self.project.root, self.plan, self.functions, self.clock, services, self._simulated, self._names)
        self._workers = MockWorkers(stage, mocks)
        return self._workers

    def checklists(self) -> dict[str, tuple[str, ...]]:
        nodes = [node for node in self.plan.nodes.values() if node.step.kind == "confirm"]
        return {node.id: node.step.checklist for node in nodes}

    def _simulated(self) -> bool:
        return bool(self._state.opened["simulated"])

    def _names(self, step: str) -> dict[str, Any]:
        """Return the names that the gates of `step` see besides its own outputs."""
        if self._scopes is None:
            uses = {str(node.step.uses) for node in self.plan.nodes.values() if node.step.uses}
            functions = {name: self.functions.find(name) for name in uses}
            self._scopes = Scopes(self.plan, self._state, functions, self._state.opened["params"], self._load)
        whole, _, index = step.partition("[")
        items = self._state.step(whole).items
        item = exposed(items[int(index[:-1])]) if items is not None and index else None
        return self._scopes.names(self.plan.nodes[whole], item=item)

    def _load(self, name: str) -> Profile:
        name = name or str(self._state.opened["profile"]["name"])
        return Profile(name, Section({})) if name == NO_PROFILE else load_profile(self.project, name)

    # what the engine tells

    def on_past(self, events: Sequence[Event]) -> None:
        """Take nothing: a rehearsal is never taken up again."""

    def on_event(self, event: Event) -> None:
        self.events.append(event)
        self._state.apply(event)
        seconds = event.data.get("delay_s", event.data.get("timeout_s"))
        if seconds is not None:
            self._dues.append(self.clock.monotonic() + float(seconds))

    def on_progress(self, step: str, progress: Progress) -> None:
        """Nobody watches a rehearsal."""

    def on_log(self, step: str, line: str) -> None:
        """Log lines stand in the journal."""

    def tick(self) -> None:
        """Move the clock when the engine waits for nothing but time; then let it act once before moving again."""
        busy = len(self.events) > self._seen or not self._workers.is_idle
        if busy or self._moved:
            self._waited = 0 if busy else self._waited
            self._seen, self._moved = len(self.events), False
            return
        self._moved = True
        self._waited += 1
        if self._waited > PATIENCE:
            self._workers.problem = RehearsalError(f"{self.runbook} waits for something that never comes.")
            signal.raise_signal(signal.SIGTERM)  # the engine catches it, and ends the run as interrupted
            return
        now = self.clock.monotonic()
        self._dues = [due for due in self._dues if due > now]
        self.clock.advance(min(self._dues, default=now + 2.0 ** (self._waited - 1)) - now)
