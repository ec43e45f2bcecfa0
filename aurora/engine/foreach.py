"""`foreach`: a step once for each item of a list, so many at a time as it says."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field

from aurora.engine.beginnings import Beginnings
from aurora.engine.doubts import Doubts
from aurora.engine.endings import End, Endings
from aurora.engine.graph import Node
from aurora.engine.retries import Retries
from aurora.engine.run import Run
from aurora.engine.scopes import evaluate
from aurora.engine.state import FAILED
from aurora.engine.values import Namespace, TypeMismatch, encode


@dataclass
class _Work:
    """The items of a step that are not over, by index: `waiting` to begin, or begun by this process.

    failed: an item has failed, and the step does not go on after that.
    """

    waiting: deque[int]
    under_way: set[int] = field(default_factory=set)
    failed: bool = False


class Items:
    """begin: `if` → the list, on record → the first items. advance: the next ones, or the end of the step."""

    def __init__(self, run: Run, endings: Endings, beginnings: Beginnings, retries: Retries, doubts: Doubts) -> None:
        self._run, self._endings, self._beginnings = run, endings, beginnings
        self._retries, self._doubts = retries, doubts
        self._work: dict[str, _Work] = {}

    def begin(self, node: Node) -> None:
        """Begin a `foreach` step, or take it up where it was."""
        self._beginnings.guarded(node, lambda: self._expand(node))

    def _expand(self, node: Node) -> None:
        assert node.step.foreach is not None
        run, known = self._run, self._run.state.step(node.id).items
        if known is None and not self._beginnings.applies(node):
            return
        items = evaluate(node.step.foreach.items, run.names(node))
        if not isinstance(items, list):
            raise TypeMismatch(f"foreach needs a list, it was {items!r}")
        plain = encode([item.plain() if isinstance(item, Namespace) else item for item in items])
        if known is None:
            run.record("step.expanded", {"step": node.id, "items": plain})
        elif known != json.loads(json.dumps(plain)):
            raise TypeMismatch("the items of foreach are not those that the step began with")
        run.items[node.id] = items
        self._work[node.id] = work = self._left(node, len(items))
        self._go_on(node, work)

    def _left(self, node: Node, count: int) -> _Work:
        """Return what an earlier process left to do of a step's items; of a step that has just begun, all."""
        states = [self._run.state.step(f"{node.id}[{index}]") for index in range(count)]
        open_ = [index for index, state in enumerate(states) if not state.over]
        first = sorted(open_, key=lambda index: not states[index].unsettled)
        failed = any(state.status in FAILED for state in states) and node.step.on_failure.action != "continue"
        return _Work(deque(first), failed=failed)

    def advance(self, item: Node) -> None:
        """Take note that an item has ended, or is to be tried again, and go on with the step."""
        node = self._run.parent(item)
        work, state = self._work[node.id], self._run.state.step(item.id)
        index = int(item.id.rpartition("[")[2][:-1])
        work.under_way.discard(index)
        if not state.over:
            work.waiting.appendleft(index)
        elif state.status in FAILED and node.step.on_failure.action != "continue":
            work.failed = True
        self._go_on(node, work)

    def _go_on(self, node: Node, work: _Work) -> None:
        """Begin the items that may begin; end the step once none is under way and none may begin any more."""
        run, assigned = self._run, node.step.foreach
        assert assigned is not None
        goes_on = run.walk.goes_on(node) and not work.failed
        while work.waiting:
            item = run.instance(node, work.waiting[0])
            if run.state.step(item.id).unsettled:
                self._under_way(work)
                self._doubts.settle(item)  # an earlier process began it
            elif goes_on and len(work.under_way) < assigned.concurrency:
                self._under_way(work)
                self._begin(item)
            else:
                break
        if not goes_on and not run.walk.stopping:
            self._give_up(node, work)
        if not work.under_way and (work.failed or not work.waiting or not (goes_on or run.walk.stopping)):
            self._end(node)

    def _under_way(self, work: _Work) -> None:
        work.under_way.add(work.waiting.popleft())

    def _begin(self, item: Node) -> None:
        self._beginnings.guarded(item, lambda: self._beginnings.perform(item))

    def _give_up(self, node: Node, work: _Work) -> None:
        """End the items that wait to be tried again: nothing of the step begins any more."""
        reason = "another item had failed" if work.failed else "the run had failed"
        tried = [index for index in work.waiting if self._run.state.step(f"{node.id}[{index}]").failure is not None]
        for index in tried:
            work.waiting.remove(index)
            work.under_way.add(index)
        for item in (self._run.instance(node, index) for index in sorted(work.under_way)):
            if self._run.state.step(item.id).failure is not None:
                self._retries.give_up(item, reason)

    def _end(self, node: Node) -> None:
        results = [self._run.state.step(f"{node.id}[{index}]") for index in range(len(self._run.items[node.id]))]
        ended = [each for each in results if each.over]
        failed = next((each.status for each in ended if each.status in FAILED), None)
        outputs = {"items": [each.outputs for each in ended]}
        if len(ended) == len(results) or self._work[node.id].failed:
            self._endings.end(node, End(failed or "passed", outputs=outputs))
        else:
            reason = f"cut short after {len(ended)} of {len(results)}: the run had failed"
            self._endings.end(node, End(failed or "cancelled", reason, outputs))
