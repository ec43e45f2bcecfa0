"""Which steps may start: the order of a plan, and what failure, stop and end mean for the rest (engine rule 9)."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterator

from aurora.engine.graph import Node, Plan, Scope, Section
from aurora.engine.state import FAILED, RunState

_SATISFIES = frozenset(["passed", "skipped", "waived"])


class Walk:
    """Follows a plan: `take` what is ready, tell `over` when a step has ended, until `done`.

    A scope (the root, or an inlined sub-runbook) goes through its steps, then the failure paths that are due, then its
    `finally`, and closes. A failure dooms its scope: what has not started is omitted, running siblings finish; it dooms
    the scopes around it too, unless a step on the way says `on_failure: continue`, and those inside it.
    """

    def __init__(self, plan: Plan, state: RunState) -> None:
        self.plan = plan
        self.state = state
        self.order = {node_id: number for number, node_id in enumerate(plan.nodes)}
        self.blockers = {node.id: len({*node.needs, *node.after}) for node in plan.nodes.values()}
        self.dependents: dict[str, list[str]] = {}
        for node in plan.nodes.values():
            for before in {*node.needs, *node.after}:
                self.dependents.setdefault(before, []).append(node.id)
        self._own: dict[tuple[Scope, Section], list[Node]] = defaultdict(list)
        """The nodes of each scope by section, in file order: what happens at each step's end must not look at all."""
        for scope in plan.scopes.values():
            for node in map(plan.nodes.__getitem__, scope.nodes):
                self._own[scope, node.section].append(node)
        self.to_omit: list[tuple[str, str]] = []
        """Steps that will not run, with the reason; the runner records them and tells `over`."""
        self.to_close: list[str] = []
        """Containers whose scope has ended; the runner decides their gates and tells `over`."""
        self.done = False
        self.stopping = False
        self._ready: list[tuple[int, str]] = []
        self._pushed: set[str] = set()
        self._accounted: set[str] = set()
        self._open: list[Scope] = []
        self._left: dict[Scope, int] = {}
        self._failing: set[Scope] = set()
        self._finally: set[Scope] = set()
        self._closed: set[Scope] = set()
        self._catch_up()

    def _catch_up(self) -> None:
        """Bring the walk to where the state is; a run that has just been opened is the case where that is the start."""
        self.open_scope("")
        for node in self.plan.nodes.values():
            state = self.state.steps.get(node.id)
            if state is None or node.scope not in self._left:
                continue  # not started, or inside a sub-runbook that has ended
            if node.step.kind == "runbook" and state.unsettled:
                self._pushed.add(node.id)
                self.open_scope(node.id)
            elif state.over:
                self._pushed.add(node.id)
                if self.blockers[node.id] == 0:
                    self._account(node)
        for scope in list(self._open):
            self._advance(scope)

    def open_scope(self, key: str) -> None:
        """Let the steps of a scope start; `key` is its container's id, or empty for the root."""
        scope = self.plan.scopes[key]
        self._open.append(scope)
        own = [self.plan.nodes[node_id] for node_id in scope.nodes]
        self._left[scope] = len(self._own[scope, "steps"])
        if scope.parent in self._failing and self._in_steps(scope):
            self._doom(scope, "the run had failed")
        for node in own:
            self._push(node)

    def take(self) -> Node | None:
        """Return the next step that may start now, in file order; None when there is none."""
        while self._ready:
            _, node_id = heapq.heappop(self._ready)
            node = self.plan.nodes[node_id]
            state = self.state.steps.get(node_id)
            if state is not None and state.over:
                continue
            if self._may_start(node):
                return node
            self._pushed.discard(node_id)
        return None

    def again(self, node: Node) -> None:
        """Put a step back that is to start once more."""
        self._pushed.discard(node.id)
        self._push(node)

    def over(self, node: Node) -> None:
        """Take note that a step has ended; its status stands in the state."""
        self._account(node)
        self._advance(node.scope)

    def goes_on(self, node: Node) -> bool:
        """Return whether `node` may still begin, or begin once more: no failure and no stop keeps it from it."""
        if self.stopping and not self.is_ending(node):
            return False
        return node.section != "steps" or node.scope not in self._failing

    def is_ending(self, node: Node) -> bool:
        """Return whether `node` belongs to a `finally`, which a stop does not touch."""
        return "finally" in self._sections(node)

    def is_ordinary(self, node: Node) -> bool:
        """Return whether `node` belongs to no `finally` and to no failure path."""
        return set(self._sections(node)) == {"steps"}

    def _sections(self, node: Node) -> Iterator[Section]:
        """Yield the section of `node`, and of each step that it lies in or follows a failure of."""
        above: Node | None = node
        while above is not None:
            yield above.section
            holder = above.guards or above.scope.container
            above = None if holder is None else self.plan.nodes[holder]

    def stop(self) -> None:
        """Start nothing more but `finally`."""
        self.stopping = True

    def fail(self, because: str) -> None:
        """Let the whole run fail: failure paths that are due, and each `finally`, are all that still starts."""
        for scope in list(self._open):
            if scope not in self._closed and self._in_steps(scope):
                self._doom(scope, because)

    def next_finally(self) -> bool:
        """While stopping and with nothing running: let the innermost `finally` start; False when all have run."""
        for scope in reversed(self._open):
            if scope not in self._finally and scope not in self._closed and self._started(scope):
                self._enter_finally(scope)
                if self._ready:
                    return True
        return False

    def _account(self, node: Node) -> None:
        """Count a step that has ended, and those behind it that ended before it: it was begun anew (`fresh`)."""
        ended = [node]
        while ended:
            node = ended.pop()
            if node.id in self._accounted:
                continue
            self._accounted.add(node.id)
            for dependent in map(self.plan.nodes.__getitem__, self.dependents.get(node.id, ())):
                self.blockers[dependent.id] -= 1
                if self.blockers[dependent.id] == 0 and self.state.step(dependent.id).over:
                    ended.append(dependent)
                else:
                    self._push(dependent)
            self._count(node)

    def _count(self, node: Node) -> None:
        state = self.state.step(node.id)
        if node.section != "steps":
            return
        self._left[node.scope] -= 1
        if state.status in FAILED and node.step.on_failure.action != "continue":
            self._doom(node.scope, f"{node.id} was {state.status.replace('_', ' ')}")

    def _push(self, node: Node) -> None:
        if node.id in self._pushed or self.blockers[node.id] > 0 or node.section == "on_failure":
            return
        state = self.state.steps.get(node.id)
        if state is not None and state.over:
            return
        if node.section == "finally" and node.scope not in self._finally:
            return
        if node.scope not in self._left:
            return
        missing = next((name for name in node.needs if not self._satisfies(name)), None)
        self._pushed.add(node.id)
        if missing is not None and (state is None or not state.unsettled):
            self.to_omit.append((node.id, f"it needs {missing}, which did not pass"))
        else:
            heapq.heappush(self._ready, (self.order[node.id], node.id))

    def _satisfies(self, node_id: str) -> bool:
        state = self.state.step(node_id)
        return state.status in _SATISFIES or (
            state.status in FAILED and self.plan.nodes[node_id].step.on_failure.action == "continue"
        )

    def _may_start(self, node: Node) -> bool:
        state = self.state.steps.get(node.id)
        if state is not None and state.unsettled:
            return not self.stopping or self.is_ending(node)
        return self.goes_on(node)

    def _in_steps(self, scope: Scope) -> bool:
        return scope.container is None or self.plan.nodes[scope.container].section == "steps"

    def _doom(self, scope: Scope, because: str) -> None:
        if scope in self._failing:
            return
        self._failing.add(scope)
        leaving = {node_id for node_id, _ in self.to_omit}
        for node in self._own[scope, "steps"]:
            state = self.state.steps.get(node.id)
            if (state is None or state.status == "pending") and node.id not in leaving:
                self._pushed.add(node.id)
                self.to_omit.append((node.id, because))
        for other in self._open:
            if other.parent is scope and other not in self._closed and self._in_steps(other):
                self._doom(other, because)
        if scope.container is not None and scope.parent is not None and self._in_steps(scope):
            container = self.plan.nodes[scope.container]
            if container.step.on_failure.action != "continue":
                self._doom(scope.parent, because)

    def _advance(self, scope: Scope) -> None:
        if self._left[scope] > 0 or scope in self._closed:
            return
        due = next((node for node in self._paths(scope) if not self.state.step(node.id).over), None)
        if due is not None:
            if due.id not in self._pushed:
                self._pushed.add(due.id)
                heapq.heappush(self._ready, (self.order[due.id], due.id))
            return
        if scope not in self._finally:
            self._enter_finally(scope)
        if all(self.state.step(node.id).over for node in reversed(self._own[scope, "finally"])):  # the last ends last
            self._closed.add(scope)
            if scope.container is None:
                self.done = True
            else:
                self.to_close.append(scope.container)

    def _paths(self, scope: Scope) -> list[Node]:
        """Return the failure paths of `scope` whose step has failed."""
        paths = self._own[scope, "on_failure"]
        return [node for node in paths if node.guards and self.state.step(node.guards).status in FAILED]

    def _enter_finally(self, scope: Scope) -> None:
        self._finally.add(scope)
        started = self._started(scope)
        for node in self._own[scope, "finally"]:
            if self.state.step(node.id).over:
                continue
            if started:
                self._push(node)
            elif node.id not in self._pushed:
                self._pushed.add(node.id)
                self.to_omit.append((node.id, "no step had started"))

    def _started(self, scope: Scope) -> bool:
        return any(self.state.step(node_id).status not in ("pending", "skipped", "omitted") for node_id in scope.nodes)
