"""Which outputs of a step its runbook reads, and where: a mock must say those."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from aurora.engine.expressions import Expression, Template
from aurora.engine.graph import Node, Plan

_ROOTS = ("params", "profile", "steps", "run")


class Reads:
    """For each step of a plan: the outputs that its own gates read, and those that other steps do."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._by_gates: dict[str, dict[str, str]] = {}
        self._by_others: dict[str, dict[str, str]] = {}
        for node in plan.nodes.values():
            for expression, where in _expressions(node):
                self._take(node, expression, where)

    def by_gates(self, step: str) -> Mapping[str, str]:
        """Return the outputs that the gates of `step` read, each with where."""
        return self._by_gates.get(step, {})

    def by_others(self, step: str) -> Mapping[str, str]:
        """Return the outputs of `step` that other steps read, each with where."""
        return self._by_others.get(step, {})

    def _take(self, node: Node, expression: Expression, where: str) -> None:
        for path in expression.paths:
            if path[0] == "steps":
                self._of_other(node.scope.prefix, path[1:], where)
            elif path[0] not in (*_ROOTS, "status", node.step.foreach and node.step.foreach.as_):
                self._by_gates.setdefault(node.id, {}).setdefault(str(path[0]), where)

    def _of_other(self, prefix: str, path: tuple[str | int, ...], where: str) -> None:
        step = ""
        while path:
            step, path = f"{prefix}{path[0]}", path[1:]
            other = self._plan.nodes.get(step)
            if other is None or other.step.kind != "runbook":
                break
            prefix = f"{step}/"
        if path and path[0] == "items" and self._plan.nodes[step].step.foreach is not None:
            path = tuple(part for part in path[1:] if isinstance(part, str))
        if path and path[0] != "status":
            self._by_others.setdefault(step, {}).setdefault(str(path[0]), where)


def own_names(expression: Expression) -> list[tuple[str, ...]]:
    """Return the paths of a gate that don't begin with one of the engine's names, without list indexes."""
    paths = (path for path in expression.paths if path[0] not in _ROOTS)
    return list(dict.fromkeys(tuple(part for part in path if isinstance(part, str)) for path in paths))


def _expressions(node: Node) -> Iterator[tuple[Expression, str]]:
    step = node.step
    for gate in step.gates:
        yield gate.check, f"the gate {gate.check.text!r} of {node.id}"
    if step.if_ is not None:
        yield step.if_, f"the 'if' of {node.id}"
    for expression in _templates(step.with_):
        yield expression, f"the 'with' of {node.id}"
    if step.foreach is not None:
        for expression in _templates(step.foreach.items):
            yield expression, f"the 'foreach' of {node.id}"


def _templates(value: Any) -> Iterator[Expression]:
    if isinstance(value, Template):
        yield from value.expressions
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _templates(item)
    elif isinstance(value, list):
        for item in value:
            yield from _templates(item)
