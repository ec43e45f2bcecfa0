"""Opens, resumes and cancels runs: everything around the runner that makes one life of a run (see ARCHITECTURE.md)."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aurora
from aurora.clock import Clock, SystemClock
from aurora.engine.functions import FunctionTable, StepFunction
from aurora.engine.graph import Library, Node, Plan, build_plan
from aurora.engine.lint import lint_plan, require_sound
from aurora.engine.locks import Locks, wait_for_workers, working_file
from aurora.engine.profiles import load_profile, profile_names
from aurora.engine.project import Project
from aurora.engine.prompts import Person, Scripted, os_user, read_answers
from aurora.engine.records import JOURNAL, find_run, is_unfinished, new_run, read_record
from aurora.engine.runner import Facts, Listener, Runner
from aurora.engine.scopes import Scopes
from aurora.engine.secrets import Masker, read_environment, secrets_of
from aurora.engine.signals import Signals
from aurora.engine.state import RunState
from aurora.engine.values import TypeMismatch, decode, encode
from aurora.engine.workers import LocalWorkers, Progress, keep_standard_descriptors
from aurora.errors import AuroraError, OperatorError, RecordError, ResumeRefused, UsageError
from aurora.journal import Event, Journal
from aurora.profile import Profile, Section

SIMULATED = "simulated"
LOCKS = ".locks"


@dataclass
class Desk:
    """What the command line hands to the engine: who listens, who answers, and what the clock says."""

    listener: Listener
    person: Person
    clock: Clock = field(default_factory=SystemClock)
    on_end: Callable[[Path], object] = bool
    """Called with the run's folder after each leg; renders the reports."""


@dataclass
class Prepared:
    """A runbook that passed lint, with all that a run of it needs."""

    project: Project
    plan: Plan
    functions: Mapping[str, StepFunction]
    profile: Profile
    params: Mapping[str, Any]
    environment: Mapping[str, str]
    masker: Masker

    @property
    def simulated(self) -> bool:
        """Return whether nothing real can come of a run."""
        return self.profile.values.get("venue") == SIMULATED

    def load(self, name: str) -> Profile:
        """Return the profile `name` for a sub-runbook; it must speak of the same venue as the run's own."""
        if name in ("", self.profile.name):
            return self.profile
        profile = load_profile(self.project, name)
        if profile.values.get("venue") != self.profile.values.get("venue"):
            raise UsageError(
                f"The profile {name} has the venue {profile.values.get('venue')}, the run has "
                f"{self.profile.values.get('venue')}."
            )
        return profile


def prepare(project: Project, name: str, params: Mapping[str, Any], *, library: Library | None = None) -> Prepared:
    """Load, lint and resolve the runbook `name`. Raises RunbookError with all faults, ProfileError, UsageError."""
    plan = build_plan(library or Library(project), name)
    table = FunctionTable(project.root)
    profile = _profile(project, plan, params)
    require_sound(lint_plan(project, plan, table, profile))
    functions = {str(node.step.uses): table.find(str(node.step.uses)) for node in plan.nodes.values() if node.step.uses}
    environment = read_environment(project.root)
    secrets = profile.values.get("secrets", [])
    masker = Masker(secrets_of(secrets if isinstance(secrets, list) else [], environment))
    return Prepared(project, plan, functions, profile, params, environment, masker)


def _profile(project: Project, plan: Plan, params: Mapping[str, Any]) -> Profile:
    name = params.get("profile")
    if name:
        return load_profile(project, str(name))
    if "profile" not in plan.root.params and "base" in profile_names(project):
        return load_profile(project, "base")
    return Profile("(none)", Section({}))


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
    requirements = _requirements(prepared)
    with contextlib.ExitStack() as held:
        code = held.enter_context(_Code(project.root))
        signals = held.enter_context(Signals())
        held.enter_context(signals.caught())
        folder = new_run(project, prepared.plan.root.name, desk.clock.now())
        try:
            locks = held.enter_context(_locks(prepared, folder.name))
            opened = _opened(prepared, folder, dry_run, answers, requirements, code.read())
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
    opened = record.state.opened
    prepared = prepare(project, opened["runbook"], _read_params(project, opened))
    changes = _changes(prepared, opened)
    if changes and not accept_changes:
        raise ResumeRefused(
            f"The run {record.id} was opened with other inputs: {'; '.join(changes)}.",
            means="what has passed was checked against the old ones; nothing was run",
            todo=f"put the old ones back (they are in {folder / 'inputs'}), or say so: --accept-changes",
        )
    _refuse_another_venue(prepared, record.id, opened)
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
        data = {
            "pid": os.getpid(),
            "operator": _operator(),
            "changes": changes,
            "accepted": accept_changes,
            "cancel": cancel,
        }
        event = journal.append("run.resumed", data)
        person = desk.person
        if opened["answers"] is not None and opened["simulated"]:
            person = Scripted(read_answers(folder / "inputs" / opened["answers"]["file"]), opened["answers"]["file"])
        leg = _Leg(prepared, folder, desk, person, signals, journal, locks, None, settle or {}, cancel)
        return leg.walk([*events, event])


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
        return Runner(
            prepared.plan,
            prepared.functions,
            scopes,
            state,
            self.journal,
            workers,
            self.person,
            listener,
            facts,
            self.signals,
            prepared.masker,
        )

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
    files = {**_inputs(prepared), **({answers.name: answers} if answers is not None else {})}
    for name, path in files.items():
        if path.is_file() and masker.holds(path.read_text("utf-8", "replace")):
            raise OperatorError(
                f"{name} holds a secret.",
                means="it is copied into each run's record; nothing was run",
                todo="take it out (and change it, if the file was shared); secrets live in the environment or in .env",
            )


def _refuse_another_venue(prepared: Prepared, run: str, opened: Mapping[str, Any]) -> None:
    """Refuse to go on elsewhere: what was rehearsed must not end on a real account, whoever accepts changes."""
    now = _where(prepared)
    before = {name: opened[name] for name in now}
    if now != before:
        raise ResumeRefused(
            f"The run {run} was opened as {before['mode']} on {before['venue']}; its profile now says {now['mode']} on "
            f"{now['venue']}.",
            means="a run stays where it began; nothing was run",
            todo="put the profile back, or cancel the run and start another",
        )


def _refuse_settled(state: RunState, settle: Mapping[str, str]) -> None:
    for step_id in settle:
        step = state.steps.get(step_id)
        if step is None or not step.unsettled or step.items is not None:
            unknown = [name for name, each in state.steps.items() if each.unsettled and each.items is None]
            raise UsageError(
                f"--settle names {step_id!r}, which is no step whose outcome is unknown.",
                means="nothing was run",
                todo=f"steps that had begun when the engine ended: {', '.join(unknown) or 'none'}",
            )


def _where(prepared: Prepared) -> dict[str, str]:
    values = prepared.profile.values
    return {"mode": str(values.get("mode", "none")), "venue": str(values.get("venue", "none"))}


class _Code(contextlib.AbstractContextManager["_Code"]):
    """The project's commit, asked of git while other things go on; None where there is no git or no repository."""

    def __init__(self, root: Path) -> None:
        self._git: subprocess.Popen[bytes] | None = None
        with contextlib.suppress(OSError):  # no git on this machine: the code's commit is not known
            self._git = subprocess.Popen(
                ["git", "status", "--porcelain=v2", "--branch"],
                cwd=root,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )

    def __exit__(self, *_: object) -> None:
        if self._git is not None and self._git.returncode is None:
            self._git.kill()
            self._git.communicate()

    def read(self) -> dict[str, Any] | None:
        if self._git is None:
            return None
        try:
            text, _ = self._git.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            return None
        lines = text.decode("utf-8", "replace").splitlines()
        commit = next((line.split()[-1] for line in lines if line.startswith("# branch.oid")), None)
        if self._git.returncode != 0 or commit is None:
            return None
        return {"commit": commit, "dirty": any(not line.startswith("#") for line in lines)}


def _requirements(prepared: Prepared) -> list[dict[str, Any]]:
    """Return what `requires` asks for. On a real venue it can't be met until sealed evidence exists: refused."""
    asked = prepared.plan.root.requires
    if asked and not prepared.simulated:
        names = ", ".join(
            f"{each.runbook} {each.outcome}{' within ' + each.within if each.within else ''}" for each in asked
        )
        raise OperatorError(
            f"{prepared.plan.root.name} requires evidence: {names}. There is none: sealed evidence is not built yet.",
            means=f"on the venue {prepared.profile.values.get('venue')} nothing starts without it; nothing was run",
            todo="rehearse it: --profile sim",
        )
    return [
        {
            "runbook": each.runbook,
            "outcome": each.outcome,
            "within": each.within,
            "same": list(each.same),
            "verdict": "not checked",
            "reason": "a simulated venue asks for no evidence",
        }
        for each in asked
    ]


def _lock_names(prepared: Prepared, run: str) -> list[str]:
    names = [*prepared.plan.locks(), f"run:{run}"]
    if any("orders.open" in function.info.effects for function in prepared.functions.values()):
        account = prepared.profile.values.get("account")
        account_id = account.get("id") if isinstance(account, Section) else account
        names.append(f"account:{account_id or prepared.profile.values.get('venue', 'none')}")
    return names


def _locks(prepared: Prepared, run: str) -> Locks:
    project = prepared.project
    return Locks(project.runs / LOCKS, _lock_names(prepared, run), run, lambda other: is_unfinished(project, other))


def _remove_unopened(folder: Path) -> None:
    """Take away the folder of a run that was never opened; one whose journal has a line stays."""
    journal = folder / JOURNAL
    if not journal.exists() or journal.stat().st_size == 0:
        shutil.rmtree(folder, ignore_errors=True)


def _operator() -> dict[str, Any]:
    return {
        "os_user": os_user(),
        "host": socket.gethostname(),
        "terminal": os.isatty(0) if sys.stdin else False,
    }


def _opened(
    prepared: Prepared,
    folder: Path,
    dry_run: bool,
    answers: Path | None,
    requirements: list[dict[str, Any]],
    code: dict[str, Any] | None,
) -> dict[str, Any]:
    plan, profile = prepared.plan, prepared.profile
    root = plan.root
    params = {name: encode(value) for name, value in prepared.params.items()}
    scripted = (
        None if answers is None else {"file": answers.name, "sha256": hashlib.sha256(answers.read_bytes()).hexdigest()}
    )
    return {
        "schema": 1,
        "run": folder.name,
        "runbook": root.name,
        "title": root.title,
        "params": params,
        "profile": {"name": profile.name, "digest": profile.digest, "files": list(profile.files)},
        **_where(prepared),
        "simulated": prepared.simulated,
        "dry_run": dry_run,
        "answers": scripted,
        "red_exit": root.red_exit or 3,
        "operator": _operator(),
        "versions": {
            "aurora": aurora.__version__,
            "python": platform.python_version(),
            "platform": platform.platform(),
        },
        "code": code,
        "locks": _lock_names(prepared, folder.name),
        "inputs": _save_inputs(prepared, folder, answers),
        "requires": requirements,
        "plan": [plan_entry(node, prepared.functions) for node in plan.nodes.values()],
        "pid": os.getpid(),
    }


def _inputs(prepared: Prepared) -> dict[str, Path]:
    """Return the files that a run's behaviour hangs on, by name: runbooks, profiles, step modules."""
    project = prepared.project
    found = {project.shown(loaded.path): loaded.path for loaded in prepared.plan.loaded.values()}
    found.update({name: project.root / name for name in prepared.profile.files})
    for function in prepared.functions.values():
        module = sys.modules.get(function.function.__module__)
        file = Path(getattr(module, "__file__", None) or "")
        if file.is_file() and file.is_relative_to(project.root):
            found[project.shown(file)] = file
    return dict(sorted(found.items()))


def _save_inputs(prepared: Prepared, folder: Path, answers: Path | None) -> list[dict[str, str]]:
    saved = []
    files = {**_inputs(prepared), **({answers.name: answers} if answers is not None else {})}
    for name, path in files.items():
        raw = path.read_bytes()
        copy = folder / "inputs" / name
        try:
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(raw)
        except OSError as error:
            raise RecordError(
                f"{copy} can't be written: {error.strerror}.",
                means="Aurora does not act without a record; nothing was run",
                todo="make room, or make the folder writable",
            ) from error
        saved.append({"name": name, "sha256": hashlib.sha256(raw).hexdigest()})
    return saved


def _changes(prepared: Prepared, opened: Mapping[str, Any]) -> list[str]:
    """Return what differs between the inputs that a run was opened with and those of today."""
    answers = (opened["answers"] or {}).get("file")
    before = {each["name"]: each["sha256"] for each in opened["inputs"] if each["name"] != answers}
    now = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in _inputs(prepared).items()}
    changes = [
        f"{name} was {_how(before.get(name), now.get(name))}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]
    if prepared.profile.digest != opened["profile"]["digest"]:
        changes.append(f"the profile {prepared.profile.name} resolves to other values")
    return changes


def _how(before: str | None, now: str | None) -> str:
    return "added" if before is None else "removed" if now is None else "changed"


def _read_params(project: Project, opened: Mapping[str, Any]) -> dict[str, Any]:
    runbook = Library(project).load(opened["runbook"]).runbook
    if runbook is None:
        return dict(opened["params"])
    values = {}
    for name, value in opened["params"].items():
        param = runbook.params.get(name)
        try:
            values[name] = value if param is None or value is None else decode(value, param.python_type)
        except TypeMismatch as error:
            raise ResumeRefused(f"The parameter {name!r} has another type now: {error}.") from error
    return values


def plan_entry(node: Node, functions: Mapping[str, StepFunction]) -> dict[str, Any]:
    """Return a step of the plan as `run.opened` keeps it (docs/journal.md)."""
    step = node.step
    function = functions.get(step.uses or "")
    return {
        "id": node.id,
        "kind": step.kind,
        "title": step.title,
        "uses": step.uses,
        "runbook": step.runbook,
        "needs": [*node.needs, *node.after],
        "parent": node.guards or node.scope.container,
        "section": node.section,
        "gates": [
            {"check": gate.check.text, "severity": gate.severity, "message": gate.message} for gate in step.gates
        ],
        "if": None if step.if_ is None else step.if_.text,
        "foreach": step.foreach is not None,
        "prompt": step.confirm,
        "checklist": list(step.checklist),
        "effects": [] if function is None else list(function.info.effects),
    }
