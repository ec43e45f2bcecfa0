"""The end of a run whose journal can't be written: what only reduces goes on, nothing else (engine rule 23)."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from aurora.clock import Clock, iso
from aurora.engine.functions import StepFunction
from aurora.engine.graph import Node, Plan
from aurora.engine.policy import OPENING
from aurora.engine.secrets import Masker
from aurora.engine.state import RunState
from aurora.journal import Event, plain

REDUCING = "orders.reduce"
NO_JOURNAL = "the journal can't be written"


class NoJournal:
    """Stands in for the journal: events are shown and followed, and kept nowhere; their number is 0."""

    head = ""

    def __init__(self, clock: Clock, masker: Masker) -> None:
        self._clock, self._mask = clock, masker

    def append(self, type_: str, data: Mapping[str, Any], *, sync: bool = True) -> Event:
        """Return the event."""
        del sync
        return Event(0, iso(self._clock.now()), type_, self._mask(json.loads(json.dumps(data, default=plain))))


def only_reduces(node: Node, functions: Mapping[str, StepFunction]) -> bool:
    """Return whether a step's one effect is to cancel or flatten: stopping is exempt from journal-first."""
    function = functions.get(node.step.uses or "")
    return function is not None and REDUCING in function.info.effects and OPENING not in function.info.effects


def mark_as_failed(state: RunState, plan: Plan, done: Collection[str]) -> None:
    """Bring the state to where the run is: what was under way has failed, but for what was `done` since."""
    for step_id, step in state.steps.items():
        node = plan.nodes.get(step_id.partition("[")[0])
        if step.unsettled and node is not None and node.step.kind == "uses":
            step.status = "passed" if step_id in done else "broken"
