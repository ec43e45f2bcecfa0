"""The exit code of a run: of the worst that was seen (engine rule 11)."""

from __future__ import annotations

from collections.abc import Iterator

from aurora.engine.graph import Node, Plan
from aurora.engine.state import RunState

INTERRUPTED = 7
WAITING = 4
_RED = 3
_CODES = {"green": 0, "amber": 0, "broken": 1, "declined": 5, "cancelled": 5}


def exit_code(plan: Plan, state: RunState, outcome: str) -> int:
    """Return the exit code of a finished run; a red one has that of its worst red runbook."""
    return max(_red_codes(plan, state), default=_RED) if outcome == "red" else _CODES[outcome]


def _red_codes(plan: Plan, state: RunState) -> Iterator[int]:
    for step_id, step in state.steps.items():
        if step.status != "red":
            continue
        node = plan.nodes.get(step_id.partition("[")[0])
        if node is None:
            yield _RED  # of a runbook that was changed since, and a person accepted that
            continue
        own = any(gate["verdict"] == "red" and gate["severity"] == "blocking" for gate in step.gates)
        if node.step.kind != "runbook" or own:
            yield _red_exit(node)  # a sub-runbook without a red gate of its own is as red as the steps inside it


def _red_exit(node: Node) -> int:
    scope = node.scope
    while scope.runbook.red_exit is None and scope.parent is not None:
        scope = scope.parent
    return scope.runbook.red_exit or _RED
