"""Lint: every fault of a runbook and what it inlines, found before anything runs."""

from __future__ import annotations

import datetime
import decimal
import functools
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from jinja2 import nodes

from aurora.engine.document import Key
from aurora.engine.expressions import Expression, Template, path_of, path_text
from aurora.engine.faults import Fault, RunbookError, did_you_mean, listed
from aurora.engine.functions import FunctionTable, NoSuchStep, StepFunction
from aurora.engine.graph import Library, Node, Plan, Scope, build_plan
from aurora.engine.loader import value_problem_of
from aurora.engine.policy import load_policy, prove
from aurora.engine.profiles import load_profile
from aurora.engine.project import Project
from aurora.engine.spec import Param
from aurora.engine.values import TypeMismatch, convert
from aurora.errors import ProfileError
from aurora.profile import Profile, Section

RUN_NAMES = {"id": str, "runbook": str, "started": str, "dry_run": bool, "mode": str, "venue": str}
STATUS = "status"


def lint_plan(project: Project, plan: Plan, functions: FunctionTable, profile: Profile | None = None) -> list[Fault]:
    """Return every fault of `plan`: what inlining found, then steps, arguments, names and types.

    `profile` is the one that the run will use; without it the runbook's own default is looked at.
    """
    if plan.faults and not plan.nodes:
        return sorted(set(plan.faults))
    linter = _Linter(project, plan, functions, profile)
    linter.check()
    by_name = {str(plan.nodes[node_id].step.uses): function for node_id, function in linter.found.items()}
    return sorted({*plan.faults, *linter.faults, *_policy_faults(project, plan, by_name)})


def _policy_faults(project: Project, plan: Plan, functions: Mapping[str, StepFunction]) -> list[Fault]:
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
    """check: for each node: its function, `with`, expressions; then sub-runbook parameters.

    Types are Python type hints; None means "not known", which nothing is refused for.
    """

    def __init__(self, project: Project, plan: Plan, functions: FunctionTable, profile: Profile | None) -> None:
        self.project = project
        self.plan = plan
        self.functions = functions
        self.faults: list[Fault] = []
        self.order = {node_id: number for number, node_id in enumerate(plan.nodes)}
        self.found: dict[str, StepFunction] = {}
        self.profiles: dict[str, Profile | None] = {}
        self.given = profile

    def check(self) -> None:
        for node in self.plan.nodes.values():
            if node.step.kind == "uses":
                self.function(node)
        for node in self.plan.nodes.values():
            self.node(node)

    def fault(self, node: Node, key: Key, message: str, hint: str = "", *, of_key: bool = False) -> None:
        self.faults.append(node.scope.runbook.document.fault(key, message, hint, of_key=of_key))

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
            self.templates(node, step.foreach.items, (*step.key, "foreach"), own=False)
        if step.if_ is not None:
            self.expression(node, step.if_, (*step.key, "if"), own=False)
        for gate in step.gates:
            self.expression(node, gate.check, gate.key, own=True)
            self.gate_words(node, gate.check, gate.key)
            if self.type_of(node, gate.check.tree, own=True) not in (None, bool):
                self.fault(
                    node,
                    gate.key,
                    "a gate must be true or false, this one is not a condition",
                    "compare it with something",
                )

    def declaration(self, node: Node, function: StepFunction) -> None:
        step, info = node.step, function.info
        if step.retry is not None and step.retry.max_attempts > 1 and info.repeat == "never" and info.verify is None:
            self.fault(
                node,
                (*step.key, "retry"),
                f"{step.uses} must not run twice, so it can't be retried",
                "declare repeat='safe', or give it a verify function",
                of_key=True,
            )
        if step.dry_run == "simulate" and info.sample is None:
            self.fault(node, (*step.key, "dry_run"), f"{step.uses} declares no sample outputs to simulate with")
        if step.dry_run == "run" and info.effects:
            self.fault(
                node,
                (*step.key, "dry_run"),
                f"{step.uses} acts on a market ({', '.join(info.effects)}); a dry run can't run it",
            )

    # arguments and parameters

    def arguments(self, node: Node, function: StepFunction) -> None:
        step = node.step
        key = (*step.key, "with")
        for name, value in step.with_.items():
            argument = function.arguments.get(name)
            if argument is None:
                hint = (
                    did_you_mean(name, function.arguments)
                    or f"it takes: {listed(list(function.arguments)) or 'nothing'}"
                )
                self.fault(node, (*key, name), f"{step.uses} has no argument {name!r}", hint, of_key=True)
                continue
            self.templates(node, value, (*key, name), own=False)
            problem = self.misfit(node, value, argument.hint)
            if problem:
                self.fault(node, (*key, name), f"{name!r} of {step.uses}: {problem}")
        missing = [
            name for name, argument in function.arguments.items() if argument.required and name not in step.with_
        ]
        if missing:
            self.fault(
                node,
                key if step.with_ else (*step.key, "uses"),
                f"{step.uses} also needs {listed(missing)}",
                "give it under with:",
            )

    def misfit(self, node: Node, value: Any, hint: Any) -> str:
        if isinstance(value, Template):
            if len(value.parts) > 1:
                return "" if fits(str, hint) else f"needs {type_text(hint)}, a text with {{{{ }}}} inside is text"
            kind = self.type_of(node, value.expressions[0].tree, own=False)
            return (
                ""
                if kind is None or fits(kind, hint)
                else f"needs {type_text(hint)}, {value.text} is {type_text(kind)}"
            )
        if _holds_template(value):
            return ""
        try:
            convert(value, hint)
        except TypeMismatch as error:
            return str(error)
        return ""

    def parameters(self, node: Node) -> None:
        scope = self.plan.scopes.get(node.id)
        if scope is None:
            return
        step = node.step
        key = (*step.key, "on_failure", "with") if node.section == "on_failure" else (*step.key, "with")
        params = scope.runbook.params
        for name, value in step.with_.items():
            param = params.get(name)
            if param is None:
                hint = did_you_mean(name, params) or f"it has: {listed(list(params)) or 'none'}"
                self.fault(
                    node, (*key, name), f"the runbook {scope.runbook.name} has no parameter {name!r}", hint, of_key=True
                )
                continue
            self.templates(node, value, (*key, name), own=False)
            problem = self.parameter_misfit(node, value, param)
            if problem:
                self.fault(node, (*key, name), f"{name!r} of the runbook {scope.runbook.name} {problem}")
        missing = [p.name for p in params.values() if p.required and p.name not in step.with_ and p.name != "profile"]
        if missing:
            self.fault(
                node, step.key, f"the runbook {scope.runbook.name} also needs {listed(missing)}", "give it under with:"
            )

    def parameter_misfit(self, node: Node, value: Any, param: Param) -> str:
        if isinstance(value, Template):
            kind = str if len(value.parts) > 1 else self.type_of(node, value.expressions[0].tree, own=False)
            wanted = param.python_type
            return (
                ""
                if kind is None or fits(kind, wanted)
                else f"needs {type_text(wanted)}, {value.text} is {type_text(kind)}"
            )
        return "" if _holds_template(value) else value_problem_of(value, param.schema)

    # names

    def templates(self, node: Node, value: Any, key: Key, *, own: bool) -> None:
        if isinstance(value, Template):
            for expression in value.expressions:
                self.expression(node, expression, key, own=own)
        elif isinstance(value, Mapping):
            for name, item in value.items():
                self.templates(node, item, (*key, name), own=own)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                self.templates(node, item, (*key, index), own=own)

    def gate_words(self, node: Node, expression: Expression, key: Key) -> None:
        for test in expression.tree.find_all(nodes.Test):
            if test.name in ("defined", "undefined"):
                self.fault(node, key, f"'is {test.name}' is not allowed in a gate: a name that is missing is red")
        if isinstance(expression.tree, nodes.Test) and expression.tree.name in ("defined", "undefined"):
            self.fault(
                node, key, f"'is {expression.tree.name}' is not allowed in a gate: a name that is missing is red"
            )

    def expression(self, node: Node, expression: Expression, key: Key, *, own: bool) -> None:
        for path in expression.paths:
            problem, hint = self.name(node, path, own=own, expression=expression)
            if problem:
                offset = max(expression.text.find(path_text(path)), 0)
                document = node.scope.runbook.document
                text = document.lines[document.place(key).line - 1]
                at = text.find(path_text(path), document.place(key).column - 1)
                shift = at - document.place(key).column + 1 if at >= 0 else offset
                self.faults.append(document.fault(key, problem, hint, offset=shift))
        for comparison in [expression.tree, *expression.tree.find_all(nodes.Compare)]:
            if isinstance(comparison, nodes.Compare):
                self.comparison(node, comparison, key, own=own)

    def comparison(self, node: Node, comparison: nodes.Compare, key: Key, *, own: bool) -> None:
        operand = comparison.ops[0]
        left, right = (self.type_of(node, side, own=own) for side in (comparison.expr, operand.expr))
        if operand.op in ("lt", "lteq", "gt", "gteq") and str in (left, right):
            self.fault(node, key, "text can't be compared with < or >", "it would compare letter by letter: '10' < '9'")
        elif operand.op in ("eq", "ne") and left and right and not (_alike(left, right)):
            self.fault(node, key, f"{type_text(left)} never equals {type_text(right)}")

    def name(self, node: Node, path: tuple[str | int, ...], *, own: bool, expression: Expression) -> tuple[str, str]:
        root = str(path[0])
        if root == "steps":
            return self.step_name(node, path, expression)
        if root in ("params", "run"):
            known = node.scope.runbook.params if root == "params" else RUN_NAMES
            if len(path) < 2:
                return f"{root!r} alone is no value", f"name a part: {root}.{next(iter(known), 'name')}"
            if path[1] not in known:
                hint = did_you_mean(str(path[1]), known) or f"there are: {listed(list(known)) or 'none'}"
                return f"there is no {root}.{path[1]}", hint
            return "", ""
        if root == "profile":
            return self.profile_name(node, path)
        if node.step.foreach is not None and root == node.step.foreach.as_:
            return "", ""
        outputs = self.own_outputs(node) if own else {}
        if outputs is None or root in outputs:
            return "", ""
        roots = [*outputs, "params", "profile", "steps", "run"]
        if own and node.step.kind in ("gate", "confirm"):
            return f"there is no name {root!r} here", did_you_mean(root, roots) or "write steps.STEP.OUTPUT"
        hint = did_you_mean(root, roots) or (f"the step's outputs: {listed(list(outputs))}" if own and outputs else "")
        return (
            f"{node.step.uses or node.step.runbook} has no output {root!r}"
            if own
            else f"there is no name {root!r} here"
        ), hint

    def own_outputs(self, node: Node) -> Mapping[str, Any] | None:
        """Return the names that the node's gate may use bare; None when they can't be known."""
        if node.step.kind == "uses":
            function = self.found.get(node.id)
            return None if function is None else function.output_hints() | {STATUS: str}
        if node.step.kind == "runbook":
            scope = self.plan.scopes.get(node.id)
            return (
                None
                if scope is None
                else {other.removeprefix(scope.prefix): dict for other in scope.nodes} | {STATUS: str}
            )
        return {}

    def read_outputs(self, other: Node) -> Mapping[str, Any] | None:
        """Return the names that other steps may read of `other`: a foreach shows its items' outputs as a list."""
        return {"items": list, STATUS: str} if other.step.foreach is not None else self.own_outputs(other)

    def step_name(self, node: Node, path: tuple[str | int, ...], expression: Expression) -> tuple[str, str]:
        scope = node.scope
        if len(path) < 2:
            return "'steps' alone is no value", "write steps.STEP.OUTPUT"
        other = self.plan.nodes.get(f"{scope.prefix}{path[1]}")
        if other is None:
            known = [each.removeprefix(scope.prefix) for each in scope.nodes]
            return f"there is no step {path[1]!r}", did_you_mean(str(path[1]), known) or f"steps here: {listed(known)}"
        if not self.comes_before(other, node):
            return (
                f"the step {path[1]!r} does not come before {node.step.id!r}",
                f"add it to needs: [{path[1]}], so that its outputs are there",
            )
        return self.output_name(node, other, path, expression)

    def output_name(
        self, node: Node, other: Node, path: tuple[str | int, ...], expression: Expression
    ) -> tuple[str, str]:
        if len(path) < 3:
            return f"'steps.{path[1]}' alone is no value", f"write steps.{path[1]}.OUTPUT"
        if path[2] == STATUS:
            return "", ""
        outputs = self.read_outputs(other)
        if outputs is not None and path[2] not in outputs:
            hint = did_you_mean(str(path[2]), outputs) or f"it has: {listed([*outputs])}"
            return f"the step {path[1]!r} has no output {str(path[2])!r}", hint
        may_lack = (
            other.step.if_ is not None or other.step.on_failure.action == "continue" or node.section != other.section
        )
        guards = [expression, *([node.step.if_] if node.step.if_ else [])]
        guarded = any(("steps", path[1], STATUS) in guard.paths for guard in guards)
        if may_lack and not guarded and other is not node:
            return (
                f"the step {path[1]!r} may have no outputs (it can be skipped or fail)",
                f"guard it: steps.{path[1]}.status == 'passed' and …",
            )
        return "", ""

    def comes_before(self, other: Node, node: Node) -> bool:
        if other is node:
            return False
        if node.section != other.section:
            return node.section == "finally" or (
                node.section == "on_failure"
                and node.guards is not None
                and (node.guards == other.id or self.ancestor(other.id, node.guards))
            )
        return self.ancestor(other.id, node.id)

    def ancestor(self, other: str, node: str) -> bool:
        return bool(self.ancestors[node] >> self.order[other] & 1)

    @functools.cached_property
    def ancestors(self) -> dict[str, int]:
        """Each node's ancestors as a bit set over the plan's order; one pass, also for 10,000 steps in a row."""
        sets: dict[str, int] = {}
        pending = list(self.plan.nodes.values())
        for _ in range(len(pending) + 1):
            rest = []
            for node in pending:
                before = (*node.needs, *node.after)
                if all(name in sets for name in before):
                    bits = 0
                    for name in before:
                        bits |= sets[name] | 1 << self.order[name]
                    sets[node.id] = bits
                else:
                    rest.append(node)
            if not rest or len(rest) == len(pending):
                break
            pending = rest
        return {node_id: sets.get(node_id, 0) for node_id in self.plan.nodes}

    def profile_name(self, node: Node, path: tuple[str | int, ...]) -> tuple[str, str]:
        if len(path) < 2:
            return "'profile' alone is no value", "name a part: profile.slo.loop_p95_ms"
        profile = self.profile_of(node.scope)
        if profile is None:
            return "", ""
        value: Any = profile.values
        for depth, part in enumerate(path[1:], start=1):
            if not isinstance(value, Section):
                break
            if part not in value:
                hint = did_you_mean(str(part), value) or f"it has: {listed(list(value))}"
                return f"the profile {profile.name} has no key {path_text(path[1 : depth + 1])!r}", hint
            value = value[str(part)]
        return "", ""

    def profile_of(self, scope: Scope) -> Profile | None:
        """Return the profile that names are checked against: the run's own, or the runbook's default."""
        if self.given is not None:
            return self.given
        while scope.parent is not None:
            scope = scope.parent
        param = scope.runbook.params.get("profile")
        name = str(param.default) if param is not None and param.default else "base"
        if name not in self.profiles:
            try:
                self.profiles[name] = load_profile(self.project, name)
            except ProfileError as error:
                self.profiles[name] = None
                if param is not None and param.default:
                    self.faults.append(scope.runbook.document.fault(("params", "profile", "default"), error.what))
            except RunbookError as error:
                self.profiles[name] = None
                self.faults.extend(error.faults)
        return self.profiles[name]

    # types

    def type_of(self, node: Node, tree: nodes.Node, *, own: bool) -> Any:
        if isinstance(tree, nodes.Const):
            return type(tree.value) if tree.value is not None else None
        if isinstance(tree, nodes.List | nodes.Tuple):
            return list
        if isinstance(tree, nodes.Compare | nodes.Not | nodes.Test):
            return bool
        if isinstance(tree, nodes.And | nodes.Or):
            kinds = {self.type_of(node, tree.left, own=own), self.type_of(node, tree.right, own=own)}
            return bool if kinds == {bool} else None
        if isinstance(tree, nodes.Filter):
            return {
                "length": int,
                "count": int,
                "string": str,
                "join": str,
                "lower": str,
                "upper": str,
                "list": list,
            }.get(tree.name)
        if isinstance(tree, nodes.Add | nodes.Sub | nodes.Mul | nodes.Div | nodes.Mod | nodes.FloorDiv | nodes.Neg):
            return decimal.Decimal if not isinstance(tree, nodes.Add) else None
        path = path_of(tree)
        return None if path is None else self.type_of_path(node, path, own=own)

    def type_of_path(self, node: Node, path: tuple[str | int, ...], *, own: bool) -> Any:
        root = str(path[0])
        if root == "params" and len(path) == 2:
            param = node.scope.runbook.params.get(str(path[1]))
            return None if param is None else param.python_type
        if root == "run" and len(path) == 2:
            return RUN_NAMES.get(str(path[1]))
        if root == "profile":
            return self.profile_type(node, path)
        if root == "steps" and len(path) == 3:
            other = self.plan.nodes.get(f"{node.scope.prefix}{path[1]}")
            outputs = None if other is None else self.read_outputs(other)
            return None if outputs is None else _plain_type(outputs.get(str(path[2])))
        if own and len(path) == 1:
            outputs = self.own_outputs(node)
            return None if outputs is None else _plain_type(outputs.get(root))
        return None

    def profile_type(self, node: Node, path: tuple[str | int, ...]) -> Any:
        profile = self.profile_of(node.scope)
        value: Any = None if profile is None else profile.values
        for part in path[1:]:
            if not isinstance(value, Section) or part not in value:
                return None
            value = value[str(part)]
        return None if value is None else (dict if isinstance(value, Section) else type(value))


_NUMBERS = (int, float, decimal.Decimal)
_FROM_TEXT_NO = (int, float, bool, list, dict, tuple, set, type(None))


def fits(given: Any, wanted: Any) -> bool:
    """Return whether a value of type `given` may stand where `wanted` is asked for; True when that can't be known."""
    if given is None or wanted in (Any, object) or given == wanted or given is Any:
        return True
    if typing.get_origin(wanted) in (typing.Union, types.UnionType):
        return any(fits(given, each) for each in typing.get_args(wanted))
    if typing.get_origin(given) in (typing.Union, types.UnionType):
        return any(fits(each, wanted) for each in typing.get_args(given))
    given_base, wanted_base = (typing.get_origin(each) or each for each in (given, wanted))
    if given_base in (list, tuple) and wanted_base in (list, tuple, set, frozenset):
        inner = [typing.get_args(each)[:1] for each in (given, wanted)]
        return not (inner[0] and inner[1]) or fits(inner[0][0], inner[1][0])
    if given is bool or wanted is bool:
        return False
    if given_base in _NUMBERS:
        return wanted_base in _NUMBERS and not (given_base in (float,) and wanted_base is int)
    if given is str:
        return wanted_base not in _FROM_TEXT_NO
    return given_base == wanted_base or not isinstance(given_base, type) or given_base not in (list, dict, bool)


def _alike(left: Any, right: Any) -> bool:
    left, right = (typing.get_origin(each) or each for each in (left, right))
    if left in _NUMBERS and right in _NUMBERS:
        return True
    simple = (*_NUMBERS, str, bool, list)
    return left == right or left not in simple or right not in simple


def _plain_type(hint: Any) -> Any:
    """Return the type as expressions see it: a dataclass is a map, a tuple or set a list, None for what varies."""
    base = typing.get_origin(hint) or hint
    if base in (list, tuple, set, frozenset):
        inner = typing.get_args(hint)[:1]
        return list[inner[0]] if inner else list  # type: ignore[valid-type]
    if base in (str, int, float, bool, decimal.Decimal, list):
        return base
    if isinstance(base, type) and issubclass(base, str):
        return str
    return None


def type_text(hint: Any) -> str:
    """Return a type as words: text, a whole number, a list of text."""
    base = typing.get_origin(hint) or hint
    if base in (typing.Union, types.UnionType):
        return " or ".join(type_text(each) for each in typing.get_args(hint))
    if base in (list, tuple, set, frozenset):
        inner = typing.get_args(hint)[:1]
        return f"a list of {type_text(inner[0])}" if inner and inner[0] is not Any else "a list"
    words = {
        str: "text",
        int: "a whole number",
        float: "a number",
        decimal.Decimal: "a number",
        bool: "true or false",
        dict: "a map",
        type(None): "nothing",
        datetime.datetime: "a date and time",
    }
    return words.get(base, getattr(base, "__name__", str(base)))


def _holds_template(value: Any) -> bool:
    if isinstance(value, Template):
        return True
    if isinstance(value, Mapping):
        return any(_holds_template(item) for item in value.values())
    return isinstance(value, list) and any(_holds_template(item) for item in value)
