"""What a name stands for in a step's expressions: parameters, profile, the run, earlier steps, its own outputs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from aurora.engine.expressions import Expression, Path, Template, path_text
from aurora.engine.faults import did_you_mean, listed
from aurora.engine.functions import STATUS, StepFunction
from aurora.engine.graph import Node, Plan, Scope
from aurora.engine.inference import Inference, Report
from aurora.engine.kinds import TEXT, TRUTH, Kind, common, enter, kind_of_hint, kind_of_schema, kind_of_value
from aurora.engine.state import OVER
from aurora.profile import Profile

RUN = Kind(
    "a map",
    fields={"id": TEXT, "runbook": TEXT, "started": TEXT, "dry_run": TRUTH, "mode": TEXT, "venue": TEXT},
)
PASSED = ("passed", "skipped", "waived")
ANY_STATUS = Kind("text", options=tuple(sorted(OVER | {"pending", "running"})))
_ROOTS = ("params", "profile", "steps", "run")


class Names:
    """resolve: the kind that a name path has in a node's expression; what is wrong with the path is reported.

    `profile_of` gives the profile that a scope's names are checked against, None when it can't be known.
    """

    def __init__(
        self, plan: Plan, found: Mapping[str, StepFunction], profile_of: Callable[[Scope], Profile | None]
    ) -> None:
        self.plan = plan
        self.found = found
        self.profile_of = profile_of
        self.order = {node_id: number for number, node_id in enumerate(plan.nodes)}
        self._outputs: dict[str, Kind | None] = {}
        self._functions: dict[str, Kind] = {}
        self._params: dict[Scope, Kind] = {}
        self._profiles: dict[int, tuple[Profile, Kind | None]] = {}

    def kind(self, node: Node, expression: Expression, report: Report, *, own: bool) -> Kind | None:
        """Return the kind of an expression of `node`, reporting all that is wrong in it; `own`: it is a gate."""

        def resolve(path: Path, offset: int) -> Kind | None:
            return self._resolve(node, expression, path, offset, report, own=own)

        return Inference(resolve, report, in_gate=own).kind(expression.tree)

    def _resolve(
        self, node: Node, expression: Expression, path: Path, offset: int, report: Report, *, own: bool
    ) -> Kind | None:
        root = str(path[0])
        if root == "steps":
            return self._step_path(node, expression, path, offset, report)
        known, kind = self._root(node, root, own=own)
        if not known:
            report(*self._unknown(node, root, own=own), offset)
            return None
        if root in _ROOTS and len(path) == 1:
            names = list(kind.fields or {}) if kind is not None else []
            report(f"{root!r} alone is no value", f"name a part: {root}.{names[0] if names else 'name'}", offset)
            return None
        if own and root not in _ROOTS and node.step.kind == "runbook" and len(path) > 1:
            self._guarded(node, expression, (root,), node, path, offset, report)
        return _entered(root, kind, path, 1, expression, offset, report)

    def _root(self, node: Node, root: str, *, own: bool) -> tuple[bool, Kind | None]:
        """Return whether the name is known here, and its kind."""
        if root == "params":
            return True, self._params_of(node.scope)
        if root == "run":
            return True, RUN
        if root == "profile":
            return True, self._profile_kind(node.scope)
        foreach = node.step.foreach
        if foreach is not None and root == foreach.as_:
            return True, self.item(node)
        if not own:
            return False, None
        outputs = self.outputs(node, item=True)
        if outputs is None:
            return True, None
        fields = outputs.fields or {}
        return root in fields, fields.get(root)

    def _unknown(self, node: Node, root: str, *, own: bool) -> tuple[str, str]:
        step = node.step
        outputs = self.outputs(node, item=True) if own else None
        fields = list(outputs.fields or {}) if outputs else []
        roots = [*fields, *_ROOTS, *([step.foreach.as_] if step.foreach else [])]
        near = did_you_mean(root, roots)
        if root == "null":
            near = "write none"
        if own and step.kind in ("uses", "runbook"):
            names = [name for name in fields if name != STATUS]
            hint = near or f"the step's outputs: {listed(names) or 'none'}"
            return f"{step.uses or step.runbook} has no output {root!r}", hint
        if f"{node.scope.prefix}{root}" in self.plan.nodes:
            near = f"write steps.{root}.OUTPUT"
        elif root in node.scope.runbook.params:
            near = f"write params.{root}"
        return f"there is no name {root!r} here", near or "names begin with params, profile, steps or run"

    def _params_of(self, scope: Scope) -> Kind:
        if scope not in self._params:
            params = scope.runbook.params.values()
            self._params[scope] = Kind("a map", fields={param.name: kind_of_schema(param.schema) for param in params})
        return self._params[scope]

    def _profile_kind(self, scope: Scope) -> Kind | None:
        profile = self.profile_of(scope)
        if profile is None:
            return None
        if id(profile) not in self._profiles:
            self._profiles[id(profile)] = (profile, kind_of_value(profile.values))
        return self._profiles[id(profile)][1]

    def item(self, node: Node) -> Kind | None:
        """Return the kind of one item of a `foreach`."""
        foreach = node.step.foreach
        assert foreach is not None
        kind = self.value_kind(node, foreach.items)
        return kind.item if kind is not None else None

    def value_kind(self, node: Node, value: Any) -> Kind | None:
        """Return the kind of a value under `with` or `foreach`, templates included; reports nothing."""
        if isinstance(value, Template):
            if not value.parts:
                return None
            return TEXT if value.lone is None else self.kind(node, value.lone, _silent, own=False)
        if isinstance(value, list):
            return Kind("a list", common(self.value_kind(node, item) for item in value))
        if isinstance(value, Mapping):
            return Kind("a map", fields={name: self.value_kind(node, item) for name, item in value.items()})
        return kind_of_value(value)

    def outputs(self, node: Node, *, item: bool = False) -> Kind | None:
        """Return what expressions see of a step: outputs and status. None when its function is not known.

        Of a `foreach`: the list of its items' outputs, or with `item` one of them.
        """
        if item and node.step.foreach is not None:
            return self._own_outputs(node)
        if node.id not in self._outputs:
            own = self._own_outputs(node)
            if node.step.foreach is not None:
                one = None if own is None else Kind("a map", fields={**(own.fields or {})})
                own = Kind("a map", fields={"items": Kind("a list", one), STATUS: ANY_STATUS})
            self._outputs[node.id] = own
        return self._outputs[node.id]

    def _own_outputs(self, node: Node) -> Kind | None:
        step = node.step
        fields: dict[str, Kind | None] = {STATUS: ANY_STATUS}
        if step.damaged & {"uses", "runbook", "confirm"}:
            return None
        if step.kind == "uses":
            function = self.found.get(node.id)
            if function is None:
                return None
            if function.uses not in self._functions:
                kinds = {name: kind_of_hint(hint) for name, hint in function.output_hints().items()}
                self._functions[function.uses] = Kind("a map", fields=kinds | fields)
            return self._functions[function.uses]
        if step.kind == "runbook":
            scope = self.plan.scopes.get(node.id)
            if scope is None or scope.runbook.incomplete:
                return None
            inner = (self.plan.nodes[node_id] for node_id in scope.nodes)
            fields |= {each.step.id: self.outputs(each) for each in inner if each.section != "on_failure"}
        return Kind("a map", fields=fields)

    # other steps

    def _step_path(self, node: Node, expression: Expression, path: Path, offset: int, report: Report) -> Kind | None:
        scope = node.scope
        if len(path) < 2:
            report("'steps' alone is no value", "write steps.STEP.OUTPUT", offset)
            return None
        other = self.plan.nodes.get(f"{scope.prefix}{path[1]}")
        at = _offset(expression, path, 1, offset)
        if other is None:
            if not scope.runbook.incomplete:
                known = [self.plan.nodes[each].step.id for each in scope.nodes]
                hint = did_you_mean(str(path[1]), known) or f"steps here: {listed(known)}"
                report(f"there is no step {path[1]!r}", hint, at)
            return None
        if not self._comes_before(other, node):
            if not scope.runbook.incomplete:
                hint = f"add it to needs: [{path[1]}], so that its outputs are there"
                hint = "in a gate, write its own outputs without steps." if other is node else hint
                report(f"the step {path[1]!r} does not come before {node.step.id!r}", hint, at)
            return None
        if len(path) < 3:
            report(f"'steps.{path[1]}' alone is no value", f"write steps.{path[1]}.OUTPUT", offset)
            return None
        if path[2] == STATUS:
            kind: Kind | None = self._status(other, node)
            return _entered(f"steps.{path[1]}.status", kind, path, 3, expression, offset, report)
        self._guarded(other, expression, ("steps", path[1]), node, path, offset, report)
        if other.step.foreach is not None and path[2] in self._items_of(other):
            hint = f"it ran once for each item: steps.{path[1]}.items | map(attribute={path[2]!r})"
            report(f"the step {path[1]!r} has a list of outputs", hint, _offset(expression, path, 2, offset))
            return None
        return _entered(f"the step {path[1]!r}", self.outputs(other), path, 2, expression, offset, report)

    def _items_of(self, other: Node) -> Mapping[str, Any]:
        outputs = self.outputs(other, item=True)
        return {} if outputs is None else outputs.fields or {}

    def _status(self, other: Node, node: Node) -> Kind:
        """Return what the status of `other` can be when `node` starts."""
        if node.section != "steps" or other.step.on_failure.action == "continue":
            return ANY_STATUS
        return Kind("text", options=PASSED)

    def _guarded(
        self, other: Node, expression: Expression, prefix: Path, node: Node, path: Path, offset: int, report: Report
    ) -> None:
        """Report outputs that may not be there and are read without a look at the status."""
        guards = {each for guard in (expression, node.step.if_) if guard is not None for each in guard.paths}
        current: Node | None = other
        if other is node:  # a gate of a sub-runbook names its steps bare
            current = self.plan.nodes.get(f"{node.id}/{prefix[0]}")
        while current is not None and path[len(prefix) : len(prefix) + 1] != (STATUS,):
            if self._may_lack(current, node) and (*prefix, STATUS) not in guards:
                name = path_text(prefix)
                report(
                    f"the step {current.step.id!r} may have no outputs (it can be skipped or fail)",
                    f"guard it: {name}.status == 'passed' and …",
                    offset,
                )
                return
            if current.step.kind != "runbook" or len(path) <= len(prefix):
                return
            prefix = (*prefix, path[len(prefix)])
            current = self.plan.nodes.get(f"{current.id}/{prefix[-1]}")

    def _may_lack(self, other: Node, node: Node) -> bool:
        if other.step.foreach is not None:
            return False  # the list of its items is always there
        if other.step.if_ is not None or other.step.on_failure.action == "continue":
            return True
        if other.scope is not node.scope:
            return other.section != "steps"
        return node.section != other.section or (node.section == "finally" and other.id not in self._all_needs(node))

    def _all_needs(self, node: Node) -> set[str]:
        found: set[str] = set()
        waiting = list(node.needs)
        while waiting:
            name = waiting.pop()
            if name not in found and name in self.plan.nodes:
                found.add(name)
                waiting.extend(self.plan.nodes[name].needs)
        return found

    def _comes_before(self, other: Node, node: Node) -> bool:
        if other is node:
            return False
        if node.section != other.section:
            return node.section == "finally" or (
                node.section == "on_failure"
                and node.guards is not None
                and (node.guards == other.id or self._is_ancestor(other.id, node.guards))
            )
        return self._is_ancestor(other.id, node.id)

    def _is_ancestor(self, other: str, node: str) -> bool:
        return bool(self._ancestors[node] >> self.order[other] & 1)

    @functools.cached_property
    def _ancestors(self) -> dict[str, int]:
        """Each node's ancestors as a bit set over the plan's order; each node is looked at once, in order of needs."""
        sets: dict[str, int] = {}
        before = {node.id: [*node.needs, *node.after] for node in self.plan.nodes.values()}
        waiting = {name: sum(each in before for each in names) for name, names in before.items()}
        after: dict[str, list[str]] = {}
        for name, names in before.items():
            for each in names:
                after.setdefault(each, []).append(name)
        ready = [name for name, count in waiting.items() if count == 0]
        while ready:
            name = ready.pop()
            bits = 0
            for each in before[name]:
                if each in sets:
                    bits |= sets[each] | 1 << self.order[each]
            sets[name] = bits
            for later in after.get(name, ()):
                waiting[later] -= 1
                if waiting[later] == 0:
                    ready.append(later)
        return {name: sets.get(name, 0) for name in self.plan.nodes}


def _silent(message: str, hint: str, offset: int) -> None:
    """Take a report that somebody else makes."""


def _offset(expression: Expression, path: Path, index: int, offset: int) -> int:
    """Return where the part `index` of a path stands, when the path is written plainly; else where it begins."""
    written = path_text(path[: index + 1])
    if expression.text.startswith(written, offset):
        return offset + len(written) - len(str(path[index]))
    return offset


def _entered(
    of: str, kind: Kind | None, path: Path, start: int, expression: Expression, offset: int, report: Report
) -> Kind | None:
    """Follow the parts of `path` from `start` on into `kind`; a part that is not there is reported."""
    for index in range(start, len(path)):
        kind, problem, hint = enter(kind, path[index])
        if problem:
            whole = of if index == start else path_text(path[:index])
            report(_no_part(whole, path[index], problem), hint, _offset(expression, path, index, offset))
            return None
    return kind


def _no_part(whole: str, part: Any, problem: str) -> str:
    if not problem.startswith("there is no"):
        return f"{whole}: {problem}"
    if whole in ("params", "run", "profile"):
        return f"there is no {whole}.{part}"
    return f"{whole} has no output {part!r}" if whole.startswith("the step") else f"{whole} has no {part!r}"
