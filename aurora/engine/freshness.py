"""Results that are too old for what is still ahead: they are gained again when a run goes on (engine rule 19)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from aurora.engine.graph import Node, Plan
from aurora.engine.state import RunState
from aurora.engine.walk import Walk

GUARD_FRESH_S = 15 * 60.0
"""How old the result of a policy guard may be, unless its step says otherwise."""


def stale_steps(plan: Plan, state: RunState, guards: Collection[str], now: datetime) -> list[str]:
    """Return the steps that a resumed run has to repeat, in plan order; `guards` are the steps that policy demands.

    A step is repeated when it passed longer ago than its `fresh` and something that comes after it is still to be done.
    A clock that was set back makes a result look as if it came from the future: that is no age to rely on. Steps that
    are only a gate decide again what a repeated step before them may have changed.
    """
    before = _before(plan, _ahead(plan, state))
    found: set[str] = set()
    for node_id in plan.nodes:
        node = plan.nodes[node_id]
        if node_id not in before or node.section != "steps" or state.step(node_id).status != "passed":
            continue
        if node.step.kind == "gate":
            repeat = bool(found & _before(plan, [node]))
        else:
            limit = node.step.fresh or (GUARD_FRESH_S if node_id in guards else None)
            repeat = limit is not None and not 0 <= _age(state.step(node_id).ended_at, now) <= limit
        if repeat:
            found.add(node_id)
    return [node_id for node_id in plan.nodes if node_id in found]


def _ahead(plan: Plan, state: RunState) -> list[Node]:
    """Return the steps that may still begin, or whose end nobody knows."""
    walk = Walk(plan, state)
    nodes = [node for node in plan.nodes.values() if node.section == "steps" and not state.step(node.id).over]
    return [node for node in nodes if walk.goes_on(node) and not _is_closed(plan, state, node)]


def _is_closed(plan: Plan, state: RunState, node: Node) -> bool:
    """Return whether `node` lies in a sub-runbook that has ended, or in a failure path that is not due."""
    container = node.scope.container
    while container is not None:
        above = plan.nodes[container]
        if state.step(container).over or (above.section != "steps" and not state.step(container).unsettled):
            return True
        container = above.scope.container
    return False


def _before(plan: Plan, nodes: Iterable[Node]) -> set[str]:
    """Return every step that comes before one of `nodes`, those inside sub-runbooks too."""
    seen: set[str] = set()
    pending: list[str] = []
    for node in nodes:
        above: Node | None = node
        while above is not None and above.id not in seen:
            pending.extend(above.needs)
            above = plan.nodes[above.scope.container] if above.scope.container is not None else None
    while pending:
        name = pending.pop()
        if name not in seen:
            seen.add(name)
            pending.extend(plan.nodes[name].needs)
            if plan.nodes[name].step.kind == "runbook":
                pending.extend(plan.inner(name).nodes)
    return seen


def _age(ended_at: str, now: datetime) -> float:
    return (now - datetime.fromisoformat(ended_at)).total_seconds()
