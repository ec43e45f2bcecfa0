"""`foreach`: a step once for each item of a list, one after the other."""

from __future__ import annotations

import json

from aurora.engine.beginnings import Beginnings
from aurora.engine.doubts import Doubts
from aurora.engine.endings import End, Endings
from aurora.engine.graph import Node
from aurora.engine.retries import Retries
from aurora.engine.run import Run
from aurora.engine.scopes import evaluate
from aurora.engine.state import FAILED
from aurora.engine.values import Namespace, TypeMismatch, encode


class Items:
    """begin: `if` → the list, on record → advance. advance: the next item, or the end of the step."""

    def __init__(self, run: Run, endings: Endings, beginnings: Beginnings, retries: Retries, doubts: Doubts) -> None:
        self._run, self._endings, self._beginnings = run, endings, beginnings
        self._retries, self._doubts = retries, doubts

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
        self.advance(node)

    def advance(self, node: Node) -> None:
        """Go on with the first item that is not over, or end the step: all are, one failed, or the run has."""
        run, count = self._run, len(self._run.items[node.id])
        results = [run.state.step(f"{node.id}[{index}]") for index in range(count)]
        failed = [each.status for each in results if each.status in FAILED]
        stop = bool(failed) and node.step.on_failure.action != "continue"
        index = next((index for index, each in enumerate(results) if not each.over), None)
        outputs = {"items": [each.outputs for each in results if each.over]}
        if index is None or stop:
            self._endings.end(node, End(failed[0] if failed else "passed", outputs=outputs))
        elif results[index].unsettled:
            self._doubts.settle(run.instance(node, index))
        elif run.walk.goes_on(node):
            instance = run.instance(node, index)
            self._beginnings.guarded(instance, lambda: self._beginnings.perform(instance))
        elif run.walk.stopping:
            return
        elif results[index].failure is not None:
            self._retries.give_up(run.instance(node, index), "the run had failed")
        else:
            reason = f"cut short after {sum(each.over for each in results)} of {count}: the run had failed"
            self._endings.end(node, End(failed[0] if failed else "cancelled", reason, outputs))
