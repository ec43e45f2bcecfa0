"""Opens, resumes and cancels runs: everything around the runner that makes one life of a run (see ARCHITECTURE.md)."""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import os
import platform
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aurora
from aurora.clock import Clock, SystemClock
from aurora.engine.functions import FunctionTable, StepFunction
from aurora.engine.graph import Library, Node, Plan, build_plan
from aurora.engine.lint import lint_plan, require_sound
from aurora.engine.locks import Locks
from aurora.engine.profiles import load_profile, profile_names
from aurora.engine.project import Project
from aurora.engine.prompts import Person, Scripted, read_answers
from aurora.engine.records import JOURNAL, find_run, is_unfinished, new_run, read_record
from aurora.engine.runner import Facts, Listener, Runner, Waiting
from aurora.engine.scopes import Scopes
from aurora.engine.secrets import Masker, read_environment, secrets_of
from aurora.engine.signals import Signals
from aurora.engine.state import RunState
from aurora.engine.values import TypeMismatch, decode, encode
from aurora.engine.workers import LocalWorkers
from aurora.errors import JournalWriteError, OperatorError, ResumeRefused, UsageError
from aurora.journal import Event, Journal
from aurora.profile import Profile, Section

SIMULATED = "simulated"


@dataclass
class Desk:
    """What the command line hands to the engine: who listens, who answers, and what the clock says."""

    listener: Listener
    person: Person
    clock: Clock = field(default_factory=SystemClock)
    on_end: Callable[[Path], None] = lambda folder: None
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
    prepared = prepare(project, name, params)
    simulated = prepared.profile.values.get("venue") == SIMULATED
    person = desk.person
    if answers is not None:
        if not simulated:
            raise UsageError(
                "--answers works with a simulated venue only.",
                means="on a real venue a person answers; nothing was run",
                todo="leave --answers out, or choose a profile with venue: simulated",
            )
        person = Scripted(read_answers(answers), answers.name)
    requirements = _requirements(prepared, simulated)
    code = _Code(project.root)
    folder = new_run(project, prepared.plan.root.name, desk.clock.now())
    locks = Locks(
        project.runs / ".locks",
        _lock_names(prepared, folder.name),
        folder.name,
        lambda other: is_unfinished(project, other),
    )
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(locks)
        except BaseException:
            _remove_empty(folder)
            raise
        opened = _opened(prepared, folder, desk, dry_run, answers, requirements, code.read())
        journal = Journal.create(folder / JOURNAL, desk.clock, prepared.masker)
        event = journal.append("run.opened", opened)
        return _leg(prepared, folder, journal, [event], desk, person, locks, workers, dry_run=dry_run)


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
    folder = find_run(project, run)
    record = read_record(folder)
    if record.state.outcome is not None:
        raise ResumeRefused(
            f"The run {record.id} is finished: {record.state.outcome}.",
            means="a finished run is a record and stays as it is",
            todo=f"start a new one: invoke runbook {record.state.opened['runbook']}",
        )
    opened = record.state.opened
    params = _read_params(project, opened)
    prepared = prepare(project, opened["runbook"], params)
    changes = _changes(prepared, opened)
    if changes and not accept_changes:
        raise ResumeRefused(
            f"The run {record.id} was opened with other inputs: {'; '.join(changes)}.",
            means="what has passed was checked against the old ones; nothing was run",
            todo=f"put the old ones back (they are in {folder / 'inputs'}), or say so: --accept-changes",
        )
    unknown = [step for step in settle or {} if step.partition("[")[0] not in prepared.plan.nodes]
    if unknown:
        raise UsageError(f"--settle names {unknown[0]!r}, which is no step of {opened['runbook']}.")
    with Locks(
        project.runs / ".locks",
        _lock_names(prepared, record.id),
        record.id,
        lambda other: is_unfinished(project, other),
    ) as locks:
        journal, events = Journal.resume(folder / JOURNAL, desk.clock, prepared.masker)
        if events and events[-1].type == "run.finished":
            raise ResumeRefused(f"The run {record.id} has just been finished by another process.")
        event = journal.append(
            "run.resumed",
            {
                "pid": os.getpid(),
                "operator": _operator(),
                "changes": changes,
                "accepted": accept_changes,
                "cancel": cancel,
            },
        )
        person = desk.person
        if opened["answers"] is not None and opened["simulated"]:
            person = Scripted(read_answers(folder / "inputs" / opened["answers"]["file"]), opened["answers"]["file"])
        return _leg(
            prepared,
            folder,
            journal,
            [*events, event],
            desk,
            person,
            locks,
            None,
            dry_run=opened["dry_run"],
            settle=settle or {},
            cancel=cancel,
        )


def _leg(
    prepared: Prepared,
    folder: Path,
    journal: Journal,
    events: list[Event],
    desk: Desk,
    person: Person,
    locks: Locks,
    workers: LocalWorkers | None,
    *,
    dry_run: bool,
    settle: Mapping[str, str] | None = None,
    cancel: str = "",
) -> tuple[Path, str, int]:
    """One process's part in a run: from its journal as it stands to its end, an interruption, or a question left open."""
    state = RunState()
    for event in events:
        state.apply(event)
        desk.listener.on_event(event)
    own_workers = workers or LocalWorkers(prepared.project.root, prepared.project.services, prepared.environment)
    signals = Signals()
    try:
        with signals.caught():
            scopes = Scopes(prepared.plan, state, prepared.functions, state.opened["params"], prepared.load)
            facts = Facts(folder.name, folder, desk.clock, dry_run, settle or {}, getpass.getuser())
            runner = Runner(
                prepared.plan,
                prepared.functions,
                scopes,
                state,
                journal,
                own_workers,
                person,
                _Masked(desk.listener, prepared.masker),
                facts,
                signals,
                prepared.masker.holds,
            )
            if cancel:
                runner.cancel(cancel)
            try:
                outcome, code = runner.run()
            except Waiting as waiting:
                outcome, code = "waiting", 4
                desk.listener.on_log(str(waiting), _how_to_settle(folder.name, str(waiting)))
            if code != 7 and outcome != "waiting":
                locks.finish()
    except JournalWriteError:
        own_workers.close()
        raise
    finally:
        own_workers.close()
        signals.close()
        journal.close()
        with _not_fatal(desk.listener):
            desk.on_end(folder)
    return folder, outcome, code


@contextlib.contextmanager
def _not_fatal(listener: Listener) -> Iterator[None]:
    """A report that can't be written does not change what the run was; it is said, and can be rendered again."""
    try:
        yield
    except OSError as error:
        listener.on_log("report", f"the report could not be written: {error}; the journal is whole: invoke report")


def _how_to_settle(run: str, step: str) -> str:
    return (
        f"nobody knows what {step} did before the engine ended; look, then say: "
        f"invoke resume {run} --settle {step}=done   or   --settle {step}=not_done"
    )


class _Masked:
    """Hands on to a listener what steps say, with secrets masked; events are masked by the journal already."""

    def __init__(self, listener: Listener, masker: Masker) -> None:
        self._listener, self._masker = listener, masker
        self.live = listener.live
        self.on_event = listener.on_event
        self.tick = listener.tick

    def on_progress(self, step: str, progress: Any) -> None:
        self._listener.on_progress(
            step, type(progress)(progress.done, progress.total, self._masker.text(progress.label))
        )

    def on_log(self, step: str, line: str) -> None:
        self._listener.on_log(step, self._masker.text(line))


class _Code:
    """The project's commit, asked of git while other things go on; None where there is no git or no repository."""

    def __init__(self, root: Path) -> None:
        self._git: subprocess.Popen[bytes] | None = None
        try:
            self._git = subprocess.Popen(
                ["git", "status", "--porcelain=v2", "--branch"],
                cwd=root,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError:
            pass  # no git on this machine: the code's commit is not known

    def read(self) -> dict[str, Any] | None:
        if self._git is None:
            return None
        try:
            text, _ = self._git.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            self._git.kill()
            self._git.communicate()
            return None
        lines = text.decode("utf-8", "replace").splitlines()
        commit = next((line.split()[-1] for line in lines if line.startswith("# branch.oid")), None)
        if self._git.returncode != 0 or commit is None:
            return None
        return {"commit": commit, "dirty": any(not line.startswith("#") for line in lines)}


def _requirements(prepared: Prepared, simulated: bool) -> list[dict[str, Any]]:
    """Return what `requires` asks for. On a real venue it can't be met until sealed evidence exists: refused."""
    asked = prepared.plan.root.requires
    if asked and not simulated:
        names = ", ".join(
            f"{each.runbook} {each.outcome}{' within ' + each.within if each.within else ''}" for each in asked
        )
        raise OperatorError(
            f"{prepared.plan.root.name} requires evidence: {names}. Sealed evidence is not built yet, so there is none.",
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


def _remove_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        (folder / "inputs").rmdir()
        folder.rmdir()


def _operator() -> dict[str, Any]:
    return {
        "os_user": getpass.getuser(),
        "host": socket.gethostname(),
        "terminal": os.isatty(0) if sys.stdin else False,
    }


def _opened(
    prepared: Prepared,
    folder: Path,
    desk: Desk,
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
        "mode": str(profile.values.get("mode", "none")),
        "venue": str(profile.values.get("venue", "none")),
        "simulated": profile.values.get("venue") == SIMULATED,
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
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(raw)
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
