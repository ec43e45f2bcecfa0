"""What a run is opened with: the runbook prepared, its inputs copied, and the facts that `run.opened` keeps."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aurora
from aurora.consent import Signed
from aurora.engine.functions import FunctionTable, StepFunction
from aurora.engine.graph import Library, Node, Plan, build_plan
from aurora.engine.lint import lint_plan, require_sound
from aurora.engine.policy import FILE as POLICY
from aurora.engine.policy import Policy, guard_ids, load_policy, opens_orders
from aurora.engine.profiles import load_profile, profile_names
from aurora.engine.project import Project
from aurora.engine.prompts import os_user
from aurora.engine.secrets import Masker, read_environment, secrets_of
from aurora.engine.spec import seconds
from aurora.engine.values import TypeMismatch, decode, encode
from aurora.errors import OperatorError, RecordError, ResumeRefused, UsageError
from aurora.profile import Profile, Section

SIMULATED = "simulated"


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
    policy: Policy | None = None
    """What must come before orders are opened; None for a runbook that opens none."""

    @property
    def guards(self) -> frozenset[str]:
        """Return the steps by which the plan meets its policy."""
        return frozenset() if self.policy is None else guard_ids(self.plan, self.functions, self.policy)

    @property
    def simulated(self) -> bool:
        """Return whether nothing real can come of a run."""
        return self.profile.values.get("venue") == SIMULATED

    @property
    def is_live(self) -> bool:
        """Return whether the profile is of real money, so that persons sign what they answer."""
        return bool(self.profile.values.get("live"))

    @property
    def must_be_on_record(self) -> bool:
        """Return whether the run may not begin without a way to seal it; nothing blocks one that only reduces."""
        opens = any("orders.open" in function.info.effects for function in self.functions.values())
        return opens and not self.simulated

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
        if bool(profile.values.get("live")) != self.is_live:
            raise UsageError(f"Of the profiles {name} and {self.profile.name} one is live, and the other is not.")
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
    opens = any(opens_orders(node, functions) for node in plan.nodes.values())
    policy = load_policy(project) if opens else None
    return Prepared(project, plan, functions, profile, params, environment, masker, policy)


def _profile(project: Project, plan: Plan, params: Mapping[str, Any]) -> Profile:
    name = params.get("profile")
    if name:
        return load_profile(project, str(name))
    if "profile" not in plan.root.params and "base" in profile_names(project):
        return load_profile(project, "base")
    return Profile("(none)", Section({}))


def mode_and_venue(prepared: Prepared) -> dict[str, str]:
    """Return the run's mode and venue, as its profile names them."""
    values = prepared.profile.values
    return {"mode": str(values.get("mode", "none")), "venue": str(values.get("venue", "none"))}


class GitState(contextlib.AbstractContextManager["GitState"]):
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
        """Return commit and whether the tree is dirty; None when git does not say."""
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


Lookup = Callable[[Path, Sequence[Mapping[str, Any]], Mapping[str, Any]], list[dict[str, Any]]]
"""Finds sealed evidence: `runs/`, what is asked for, who asks → a verdict each (`Keeper.required`)."""


def check_requirements(prepared: Prepared, lookup: Lookup | None, *, dry_run: bool) -> list[dict[str, Any]]:
    """Return what `requires` asks for and what was found. Raises OperatorError when it is not met (engine rule 25)."""
    asked = [
        {"runbook": each.runbook, "outcome": each.outcome, "within": each.within, "same": list(each.same)}
        for each in prepared.plan.root.requires
    ]
    if lookup is None:
        found = [_not_looked(prepared) for _ in asked]
    else:
        spans = [None if not each["within"] else seconds(str(each["within"])) for each in asked]
        asking = {
            "params": {name: encode(value) for name, value in prepared.params.items()},
            "profile_digest": prepared.profile.digest,
            "simulated": prepared.simulated,
            "dry_run": dry_run,
        }
        timed = [{**each, "within_s": span} for each, span in zip(asked, spans, strict=True)]
        found = lookup(prepared.project.runs, timed, asking)
    checked = [{**each, **verdict} for each, verdict in zip(asked, found, strict=True)]
    missing = [each for each in checked if each["verdict"] == "missing"]
    if missing:
        raise _no_evidence(prepared, missing)
    return checked


def _not_looked(prepared: Prepared) -> dict[str, Any]:
    if prepared.simulated:
        return {"verdict": "not checked", "reason": "a simulated venue asks for no evidence", "run": None}
    return {"verdict": "missing", "reason": "nobody keeps signed records here", "run": None}


def _no_evidence(prepared: Prepared, missing: Sequence[Mapping[str, Any]]) -> OperatorError:
    profile = f" --profile {prepared.profile.name}" if "profile" in missing[0]["same"] else ""
    told = [
        f"{each['runbook']} {each['outcome']}{' within ' + each['within'] if each['within'] else ''}: {each['reason']}"
        for each in missing
    ]
    return OperatorError(
        f"{prepared.plan.root.name} requires evidence that is missing. {'. '.join(told)}.",
        means=f"on the venue {prepared.profile.values.get('venue')} nothing starts without it; nothing was run",
        todo=f"run it first: invoke runbook {missing[0]['runbook']}{profile}   or rehearse: --profile sim",
    )


def lock_names(prepared: Prepared, run: str) -> list[str]:
    """Return the locks that a run takes: its own, its runbooks', its account's if it can open orders (rule 16)."""
    names = [*prepared.plan.locks(), f"run:{run}"]
    if any("orders.open" in function.info.effects for function in prepared.functions.values()):
        account = prepared.profile.values.get("account")
        account_id = account.get("id") if isinstance(account, Section) else account
        names.append(f"account:{account_id or prepared.profile.values.get('venue', 'none')}")
    return names


def operator(signer: Signed | None = None) -> dict[str, Any]:
    """Return who runs this process, where, and whether at a terminal; `signer` is who has proven to have a key here."""
    known = {} if signer is None else {"principal": signer.principal, "key": signer.key}
    return {
        "os_user": os_user(),
        "host": socket.gethostname(),
        "terminal": os.isatty(0) if sys.stdin else False,
        **known,
    }


def opening_facts(
    prepared: Prepared,
    folder: Path,
    how: Mapping[str, bool],
    answers: Path | None,
    requirements: list[dict[str, Any]],
    code: dict[str, Any] | None,
    signer: Signed | None = None,
) -> dict[str, Any]:
    """Return the data of `run.opened` (docs/journal.md), and copy the run's inputs into its folder.

    signer: the person who can sign in this run.
    """
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
        **mode_and_venue(prepared),
        "simulated": prepared.simulated,
        **how,
        "answers": scripted,
        "red_exit": root.red_exit or 3,
        "operator": operator(signer),
        **({"live": True} if prepared.is_live else {}),
        "versions": {
            "aurora": aurora.__version__,
            "python": platform.python_version(),
            "platform": platform.platform(),
        },
        "code": code,
        "locks": lock_names(prepared, folder.name),
        "inputs": _save_inputs(prepared, folder, answers),
        "requires": requirements,
        "plan": [plan_entry(node, prepared.functions) for node in plan.nodes.values()],
        "pid": os.getpid(),
    }


def input_files(prepared: Prepared) -> dict[str, Path]:
    """Return the files that a run's behaviour hangs on, by name: runbooks, profiles and policy, step modules."""
    project = prepared.project
    found = {project.shown(loaded.path): loaded.path for loaded in prepared.plan.loaded.values()}
    found.update({name: project.root / name for name in prepared.profile.files})
    others = [*_other_profiles(prepared), project.profiles / POLICY]
    found.update({project.shown(path): path for path in others if path.is_file()})
    for function in prepared.functions.values():
        module = sys.modules.get(function.function.__module__)
        file = Path(getattr(module, "__file__", None) or "")
        if file.is_file() and file.is_relative_to(project.root):
            found[project.shown(file)] = file
    return dict(sorted(found.items()))


def _other_profiles(prepared: Prepared) -> list[Path]:
    """Return every profile, when a sub-runbook is given one: which it is may be known only once it starts."""
    given = [node.step.with_.get("profile") for node in prepared.plan.nodes.values() if node.step.kind == "runbook"]
    if all(name is None or name == prepared.profile.name for name in given):
        return []
    return [prepared.project.profiles / f"{name}.yaml" for name in profile_names(prepared.project)]


def _save_inputs(prepared: Prepared, folder: Path, answers: Path | None) -> list[dict[str, str]]:
    saved = []
    files = {**input_files(prepared), **({answers.name: answers} if answers is not None else {})}
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


def changes_since(prepared: Prepared, opened: Mapping[str, Any]) -> list[str]:
    """Return what differs between the inputs that a run was opened with and those of today."""
    answers = (opened["answers"] or {}).get("file")
    before = {each["name"]: each["sha256"] for each in opened["inputs"] if each["name"] != answers}
    now = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in input_files(prepared).items()}
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


def read_params(project: Project, opened: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that a run was opened with, as values of their types. Raises ResumeRefused."""
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
