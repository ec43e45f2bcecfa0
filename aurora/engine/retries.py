"""Another attempt after a failure, or at a gate that waits: whether, when, and what ends the wait for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from aurora.engine.endings import End, Endings
from aurora.engine.graph import Node
from aurora.engine.run import Run
from aurora.engine.timers import Timer, Timers


class Retries:
    """arrange or poll → (time passes) → the step is ready again; or give_up, when the run fails meanwhile."""

    def __init__(self, run: Run, endings: Endings, timers: Timers) -> None:
        self._run, self._endings, self._timers = run, endings, timers
        self._waiting: dict[str, tuple[Node, Timer]] = {}
        self._polled_since: dict[str, float] = {}

    def arrange(self, node: Node, kind: str, status: str, error: dict[str, str]) -> bool:
        """Arrange another attempt, if the step may have one; only a step that is safe to repeat ever does."""
        run, retry, state = self._run, node.step.retry, self._run.state.step(node.id)
        if retry is None or state.tries >= retry.max_attempts or (retry.on and kind not in retry.on):
            return False
        if run.function(node).info.repeat != "safe" or not run.walk.goes_on(node):
            return False
        delay = retry.wait_before(state.tries + 1)
        data = {"step": node.id, "attempt": state.attempt, "status": status, "error": error, "delay_s": delay}
        run.record("step.retrying", data)
        self._wait(node, delay)
        return True

    def poll(self, node: Node, gates: Sequence[dict[str, Any]]) -> bool:
        """Arrange another call of a step whose red gates may all wait longer (engine rule 7).

        The time runs from the first red verdict; a resumed run begins it anew.
        """
        run, now = self._run, self._run.facts.clock.monotonic()
        pairs = zip(node.step.gates, gates, strict=False)  # a step that broke at its gates has no verdicts
        red = [(gate, gate.poll) for gate, seen in pairs if seen["verdict"] == "red"]
        if not any(poll for _, poll in red) or not run.walk.goes_on(node):
            return False
        waited = now - self._polled_since.setdefault(node.id, now)
        patient = [poll for _, poll in red if poll is not None and waited < poll.for_]
        if not patient or any(gate.severity == "blocking" and poll not in patient for gate, poll in red):
            return False
        delay = round(min(min(poll.every, poll.for_ - waited) for poll in patient), 6)
        attempt = run.state.step(node.id).attempt
        data = {"step": node.id, "attempt": attempt, "status": "red", "error": None, "gates": gates, "delay_s": delay}
        run.record("step.polling", data)
        self._wait(node, delay)
        return True

    def _wait(self, node: Node, delay: float) -> None:
        self._waiting[node.id] = (node, self._timers.after(delay, lambda: self._try_again(node)))

    def _try_again(self, node: Node) -> None:
        del self._waiting[node.id]
        self._run.again(node)

    def give_up(self, node: Node, reason: str) -> None:
        """End a step that failed and is not tried again, with what it failed of."""
        _, timer = self._waiting.pop(node.id, (node, None))
        if timer is not None:
            timer.cancel()
        failure = self._run.state.step(node.id).failure
        assert failure is not None
        error, gates = failure["error"], failure.get("gates", ())
        self._endings.end(node, End(failure["status"], f"not tried again: {reason}", error=error, gates=gates))

    def give_up_doomed(self) -> bool:
        """End one step whose wait has become pointless, because the run has failed; return whether there was one."""
        for node, _ in self._waiting.values():
            if not self._run.walk.goes_on(node) and not self._run.walk.stopping:
                self.give_up(node, "the run had failed meanwhile")
                return True
        return False

    def drop(self, keep: Callable[[Node], bool]) -> None:
        """Forget the waits, but for those to `keep`; a resumed run tries again at once."""
        for node, timer in list(self._waiting.values()):
            if not keep(node):
                timer.cancel()
                del self._waiting[node.id]
