"""One run as all parts of its runner see it: plan, state, walk, journal, and who watches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from aurora.clock import Clock
from aurora.engine.functions import StepFunction
from aurora.engine.grants import grant
from aurora.engine.graph import Node, Plan
from aurora.engine.policy import Policy, opens_orders
from aurora.engine.scopes import Scopes
from aurora.engine.secrets import Masker
from aurora.engine.state import RunState
from aurora.engine.walk import Walk
from aurora.engine.workers import Progress
from aurora.grant import Grant
from aurora.journal import Event
from aurora.profile import Profile


class Listener(Protocol):
    """Whoever watches a run: the terminal, plain lines, JSON lines."""

    live: bool
    """Whether `tick` wants to be called ten times a second."""

    def on_past(self, events: Sequence[Event]) -> None:
        """The run is taken up again: these events were on disk before."""

    def on_event(self, event: Event) -> None:
        """An event is on disk."""

    def on_progress(self, step: str, progress: Progress) -> None:
        """A step says how far it is."""

    def on_log(self, step: str, line: str) -> None:
        """A step logged a line."""

    def tick(self) -> None:
        """Time passes."""


@dataclass(frozen=True)
class Facts:
    """What a run is, besides its plan: names, folder and the ways to reach the world."""

    run: str
    folder: Path
    working: Path
    """What its workers lock while they live."""
    clock: Clock
    dry_run: bool = False
    step_by_step: bool = False
    """Whether a person is asked before each step."""
    settle: Mapping[str, str] = field(default_factory=dict)
    """Unknown outcomes that a person settled on the command line: step id to `done` or `not_done`."""
    operator: str = ""
    live: bool = False
    """Whether persons sign what they answer."""
    only_reduces: bool = False
    """Whether an answer that can't be signed counts all the same: nothing blocks the way out."""
    policy: Policy | None = None
    unrecorded: bool = False
    """Whether the journal is lost, so that only what reduces may still begin."""


class Writer(Protocol):
    """Where events go: the journal."""

    @property
    def head(self) -> str:
        """Return the SHA-256 of the last line."""

    def append(self, type_: str, data: Mapping[str, Any], *, sync: bool = True) -> Event:
        """Put an event on disk and return it. Raises JournalWriteError."""


class Run:
    """What the parts of a runner share. Only `record` writes: event to the journal, then state, then listener."""

    def __init__(
        self,
        plan: Plan,
        functions: Mapping[str, StepFunction],
        scopes: Scopes,
        state: RunState,
        journal: Writer,
        listener: Listener,
        facts: Facts,
        masker: Masker,
    ) -> None:
        self.plan, self.functions, self.scopes, self.state = plan, functions, scopes, state
        self.facts, self.masker, self.listener = facts, masker, listener
        self.walk = Walk(plan, state)
        self.items: dict[str, list[Any]] = {}
        """The items of each `foreach` step that has begun, with their types."""
        self.advanced: list[Node] = []
        """Items of `foreach` steps that have ended, or are to be tried again."""
        self._journal = journal

    def record(self, type_: str, data: Mapping[str, Any], *, sync: bool = True) -> Event:
        """Put an event on disk; only then is it so. Raises JournalWriteError."""
        event = self._journal.append(type_, data, sync=sync)
        self.state.apply(event)
        self.listener.on_event(event)
        return event

    def head(self) -> str:
        """Return the SHA-256 of the journal's last line."""
        return self._journal.head

    def function(self, node: Node) -> StepFunction:
        """Return the function of a `uses` step."""
        return self.functions[str(node.step.uses)]

    def grant(self, node: Node, token: str, profile: Profile) -> Grant | None:
        """Return the grant of a step that opens orders, None for any other. Raises NoGrant."""
        if not opens_orders(node, self.functions):
            return None
        return grant(self.plan, self.state, self.facts.policy, node, token, profile)

    def token(self, node: Node, attempt: int) -> str:
        """Return the idempotency key of an attempt."""
        return f"{self.facts.run}:{node.id}:{attempt}"

    def artifacts(self, node: Node, attempt: int) -> Path:
        """Return the folder of an attempt's own."""
        return self.facts.folder.joinpath("artifacts", node.id.replace("/", "."), str(attempt))

    def instance(self, node: Node, index: int) -> Node:
        """Return an item of a `foreach` step as a step; its `if` was asked of them all."""
        return replace(node, id=f"{node.id}[{index}]", step=replace(node.step, if_=None))

    def parent(self, instance: Node) -> Node:
        """Return the `foreach` step of an item."""
        return self.plan.nodes[instance.id.rpartition("[")[0]]

    def names(self, node: Node, own: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return what the expressions of a step, or of an item, may name; `own` are its outputs, for its gate."""
        parent, _, rest = node.id.rpartition("[")
        is_item = node.step.foreach is not None and rest.endswith("]")
        return self.scopes.names(node, own, self.items[parent][int(rest[:-1])] if is_item else None)

    def ended(self, node: Node) -> None:
        """Take note that a step, or an item, has its end on record."""
        if node.id in self.plan.nodes:
            self.walk.over(node)
        else:
            self.advanced.append(node)

    def again(self, node: Node) -> None:
        """Let a step, or an item, start once more."""
        if node.id in self.plan.nodes:
            self.walk.again(node)
        else:
            self.advanced.append(node)
