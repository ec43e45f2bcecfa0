"""Lint: every fault of a runbook and what it inlines, found before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from aurora.engine.arguments import Misfits
from aurora.engine.collector import without_collector
from aurora.engine.document import Key
from aurora.engine.expressions import Expression, Template
from aurora.engine.faults import Fault, RunbookError, did_you_mean, listed
from aurora.engine.functions import FunctionTable, NoSuchStep, StepFunction
from aurora.engine.graph import Library, Node, Plan, Scope, build_plan
from aurora.engine.inference import Report
from aurora.engine.kinds import kind_text
from aurora.engine.names import Names
from aurora.engine.policy import load_policy, prove
from aurora.engine.profiles import load_profile, profile_names
from aurora.engine.project import Project
from aurora.engine.spec import Runbook
from aurora.errors import ProfileError, ProjectError
from aurora.profile import Profile, Section


@without_collector
def lint_plan(project: Project, plan: Plan, functions: FunctionTable, profile: Profile | None = None) -> list[Fault]:
    """Return every fault of `plan`: what inlining found, then steps, arguments, names and kinds.

    `profile` is the one that the run will use; without it the runbook's own default is looked at.
    """
    if plan.faults and not plan.nodes:
        return sorted(set(plan.faults))
    linter = _Linter(project, plan, functions, profile)
    linter.check()
    by_name = {str(plan.nodes[node_id].step.uses): function for node_id, function in linter.found.items()}
    return sorted({*plan.faults, *linter.faults, *_policy_faults(project, plan, by_name)})


def _policy_faults(project: Project, plan: Plan, functions: Mapping[str, StepFunction]) -> list[Fault]:
    if not plan.whole:
        return []  # it has faults already; what comes before what can be proved once they are mended
    try:
        return prove(plan, functions, load_policy(project))
    except RunbookError as error:
        return list(error.faults)


def lint_names(project: Project, names: Iterable[str], functions: FunctionTable) -> list[Fault]:
    """Lint the runbooks `names`; faults in shared sub-runbooks are told once."""
    library = Library(project)
    faults: set[Fault] = set()
    for name in names:
        faults.update(lint_plan(project, build_plan(library, name), functions))
    return sorted(faults)


def require_sound(faults: Iterable[Fault]) -> None:
    """Raise RunbookError with all faults, when there are any."""
    found = list(faults)
    if found:
        raise RunbookError(found)


class _Linter:
    """check: first each step's function; then, node by node, its `with`, its expressions, what it declares."""

    def __init__(self, project: Project, plan: Plan, functions: FunctionTable, profile: Profile | None) -> None:
        self.project = project
        self.plan = plan
        self.functions = functions
        self.faults: list[Fault] = []
        self.found: dict[str, StepFunction] = {}
        self.given = profile
        self.profiles: dict[Scope, Profile | None] = {}
        self.names = Names(plan, self.found, self.profile_of)
        self.misfits = Misfits(self.names)

    def check(self) -> None:
        for node in self.plan.nodes.values():
            if node.step.kind == "uses":
                self.function(node)
        for scope in self.plan.scopes.values():
            self.profile_of(scope)
        self.requires(self.plan.root)
        self.calendar(self.plan.root)
        for node in self.plan.nodes.values():
            self.node(node)

    def fault(self, node: Node, key: Key, message: str, hint: str = "", *, of_key: bool = False) -> None:
        self.faults.append(node.scope.runbook.document.fault(key, message, hint, of_key=of_key))

    def reporter(self, node: Node, expression: Expression, key: Key) -> Report:
        """Return a function that makes faults at offsets of `expression`."""
        document = node.scope.runbook.document

        def report(message: str, hint: str, offset: int) -> None:
            place = document.place_in(key, expression.source, expression.base + offset)
            self.faults.append(document.fault_at(place, message, hint))

        return report

    def requires(self, runbook: Runbook) -> None:
        known = self.project.names()
        for index, each in enumerate(runbook.requires):
            hint = did_you_mean(each.runbook, known)
            if each.runbook not in known and hint:  # what is no slip may be evidence that a later runbook leaves
                message = f"there is no runbook {each.runbook!r}"
                self.faults.append(runbook.document.fault(("requires", index, "runbook"), message, hint))

    def calendar(self, runbook: Runbook) -> None:
        if runbook.schedule is None or not runbook.schedule.calendar:
            return
        from aurora.engine.schedule import calendars_of  # noqa: PLC0415 - few runbooks have one

        name = runbook.schedule.calendar
        try:
            known = list(calendars_of(self.project))
            hint = (
                did_you_mean(name, known) or f"the project has: {listed(known) or 'none; see [tool.aurora] calendars'}"
            )
        except ProjectError as error:
            known, hint = [], error.what
        if name not in known:
            self.faults.append(runbook.document.fault(("schedule", "calendar"), f"there is no calendar {name!r}", hint))

    def function(self, node: Node) -> None:
        try:
            self.found[node.id] = self.functions.find(str(node.step.uses))
        except NoSuchStep as error:
            self.fault(node, (*node.step.key, "uses"), str(error), error.hint)

    def node(self, node: Node) -> None:
        step = node.step
        function = self.found.get(node.id)
        if function is not None:
            self.arguments(node, function)
            self.declaration(node, function)
        if step.kind == "runbook":
            self.parameters(node)
        if step.foreach is not None:
            self.foreach(node, step.foreach.items)
        if step.if_ is not None:
            self.condition(node, step.if_, (*step.key, "if"), "'if'", own=False)
        for gate in step.gates:
            self.condition(node, gate.check, gate.key, "a gate", own=True)
            self.item_or_output(node, gate.check, gate.key, function)

    def condition(self, node: Node, expression: Expression, key: Key, what: str, *, own: bool) -> None:
        kind = self.names.kind(node, expression, self.reporter(node, expression, key), own=own)
        if kind is not None and kind.name != "true or false":
            hint = "compare it with something"
            self.fault(node, key, f"{what} must be true or false, this is {kind_text(kind)}", hint)

    def foreach(self, node: Node, items: Any) -> None:
        key: Key = (*node.step.key, "foreach")
        self.templates(node, items, key)
        kind = self.names.value_kind(node, items)
        if isinstance(items, Template) and items.lone is not None and kind is not None and kind.name != "a list":
            self.fault(node, key, f"foreach needs a list, this is {kind_text(kind)}")

    def item_or_output(self, node: Node, gate: Expression, key: Key, function: StepFunction | None) -> None:
        """Refuse a bare name in a gate that is both the item of a `foreach` and an output of the step."""
        name = node.step.foreach.as_ if node.step.foreach is not None else ""
        if function is not None and name in function.output_hints():
            for path, offset in gate.names:
                if path[0] == name:
                    message = f"{name!r} is both the item and an output of {node.step.uses}"
                    self.reporter(node, gate, key)(message, "name the item otherwise: as: …", offset)

    def declaration(self, node: Node, function: StepFunction) -> None:
        step, info = node.step, function.info
        key = step.key
        if step.retry is not None and step.retry.max_attempts > 1 and info.repeat == "never" and info.verify is None:
            message = f"{step.uses} must not run twice, so it can't be retried"
            hint = "declare repeat='safe', or give it a verify function"
            self.fault(node, (*key, "retry"), message, hint, of_key=True)
        if info.repeat != "safe" and any(gate.poll is not None for gate in step.gates):
            message = f"{step.uses} must not run twice, so its gate can't wait for another answer"
            self.fault(node, (*key, "gate"), message, "declare repeat='safe', or take poll out", of_key=True)
        if step.dry_run == "simulate" and info.sample is None:
            self.fault(node, (*key, "dry_run"), f"{step.uses} declares no sample outputs to simulate with")
        if step.dry_run == "run" and info.effects:
            effects = ", ".join(info.effects)
            self.fault(node, (*key, "dry_run"), f"{step.uses} acts on a market ({effects}); a dry run can't run it")

    # arguments and parameters

    def arguments(self, node: Node, function: StepFunction) -> None:
        step = node.step
        key = (*step.key, "with")
        for name, value in step.with_.items():
            self.templates(node, value, (*key, name))
            argument = function.arguments.get(name)
            if argument is None:
                known = f"it takes: {listed(list(function.arguments)) or 'nothing'}"
                hint = did_you_mean(name, function.arguments) or known
                self.fault(node, (*key, name), f"{step.uses} has no argument {name!r}", hint, of_key=True)
                continue
            for inner, problem, hint in self.misfits.of_hint(node, value, argument.hint):
                self.fault(node, (*key, name, *inner), f"{name!r} of {step.uses}: {problem}", hint)
        missing = [
            name for name, argument in function.arguments.items() if argument.required and name not in step.with_
        ]
        self.missing(node, str(step.uses), missing, key if step.with_ else (*step.key, "uses"))

    def parameters(self, node: Node) -> None:
        scope = self.plan.scopes.get(node.id)
        if scope is None:
            return
        step, params = node.step, scope.runbook.params
        key = (*step.key, "on_failure", "with") if node.section == "on_failure" else (*step.key, "with")
        what = f"the runbook {scope.runbook.name}"
        for name, value in step.with_.items():
            self.templates(node, value, (*key, name))
            param = params.get(name)
            if param is None:
                hint = did_you_mean(name, params) or f"it has: {listed(list(params)) or 'none'}"
                self.fault(node, (*key, name), f"{what} has no parameter {name!r}", hint, of_key=True)
                continue
            for inner, problem, hint in self.misfits.of_schema(node, value, param.schema):
                self.fault(node, (*key, name, *inner), f"{name!r} of {what} {problem}", hint)
        missing = [p.name for p in params.values() if p.required and p.name not in step.with_ and p.name != "profile"]
        self.missing(node, what, missing, (*key[:-1], "runbook"))

    def missing(self, node: Node, what: str, names: list[str], key: Key) -> None:
        if names and "with" not in node.step.damaged and "on_failure" not in node.step.damaged:
            self.fault(node, key, f"{what} also needs {listed(names)}", "give it under with:")

    def templates(self, node: Node, value: Any, key: Key) -> None:
        for expression, place in _expressions(value, key):
            self.names.kind(node, expression, self.reporter(node, expression, place), own=False)

    # profiles

    def profile_of(self, scope: Scope) -> Profile | None:
        """Return the profile that a scope's names are checked against; None when it is known at run time only."""
        if scope not in self.profiles:
            self.profiles[scope] = None
            self.profiles[scope] = self._root_profile() if scope.parent is None else self._inner_profile(scope)
        return self.profiles[scope]

    def _root_profile(self) -> Profile | None:
        if self.given is not None:
            return self.given
        runbook = self.plan.root
        param = runbook.params.get("profile")
        if param is None and "base" not in profile_names(self.project):
            return Profile("(none)", Section({}))
        named = param is not None and isinstance(param.default, str) and param.default
        if not named:
            return self._load("base", None)
        return self._load(str(named), runbook.document.fault(("params", "profile", "default"), ""))

    def _inner_profile(self, scope: Scope) -> Profile | None:
        assert scope.parent is not None
        container = self.plan.nodes[str(scope.container)]
        around = self.profile_of(scope.parent)
        named = container.step.with_.get("profile")
        if "profile" not in scope.runbook.params or named is None:
            return around
        if isinstance(named, Template):
            return around if named.lone is not None and named.lone.text == "params.profile" else None
        section = ("on_failure",) if container.section == "on_failure" else ()
        key: Key = (*container.step.key, *section, "with", "profile")
        place = container.scope.runbook.document.fault(key, "")
        found = self._load(str(named), place)
        if found is not None and around is not None and found.values.get("venue") != around.values.get("venue"):
            message = f"the profile {found.name} has the venue {found.values.get('venue')}, the run has"
            self.faults.append(_with(place, f"{message} {around.values.get('venue')}", "one run speaks to one venue"))
        return found

    def _load(self, name: str, place: Fault | None) -> Profile | None:
        try:
            return load_profile(self.project, name)
        except ProfileError as error:
            if place is not None:
                self.faults.append(_with(place, error.what, error.todo))
        except RunbookError as error:
            self.faults.extend(error.faults)
        return None


def _with(place: Fault, message: str, hint: str) -> Fault:
    return Fault(place.place, message, place.excerpt, hint)


def _expressions(value: Any, key: Key) -> Iterator[tuple[Expression, Key]]:
    if isinstance(value, Template):
        yield from ((expression, key) for expression in value.expressions)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _expressions(item, (*key, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _expressions(item, (*key, index))
