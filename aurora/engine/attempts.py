"""Attempts under way: started in a worker, listened to, stopped, and handed back when they have ended."""

from __future__ import annotations

import selectors
from dataclasses import dataclass, field
from typing import Protocol

from aurora.clock import Clock
from aurora.engine.functions import StepFunction
from aurora.engine.graph import Node
from aurora.engine.workers import (
    LOG_LINES_KEPT,
    Attempt,
    Death,
    Failure,
    LogLine,
    Progress,
    Request,
    Result,
    Workers,
)


class Watcher(Protocol):
    """Who is told what steps say while they run."""

    def on_progress(self, step: str, progress: Progress) -> None:
        """A step says how far it is."""

    def on_log(self, step: str, line: str) -> None:
        """A step logged a line."""


@dataclass
class Running:
    """An attempt under way."""

    node: Node
    attempt: Attempt
    function: StepFunction
    started: float
    log: list[str] = field(default_factory=list)
    verifying: str | None = None
    """Why the outcome is unknown; set while the step's `verify` runs instead of the step."""
    settled: bool = False
    """The unknown outcome was found on resume: a person may be asked."""


class Attempts:
    """The attempts under way by step id, and the descriptors that speak for them."""

    def __init__(self, workers: Workers, selector: selectors.BaseSelector, watcher: Watcher, clock: Clock) -> None:
        self._workers = workers
        self._selector = selector
        self._watcher = watcher
        self._clock = clock
        self._owner: dict[int, str] = {}
        self.running: dict[str, Running] = {}

    def __len__(self) -> int:
        return len(self.running)

    def start(
        self,
        node: Node,
        function: StepFunction,
        request: Request,
        verifying: str | None = None,
        *,
        settled: bool = False,
    ) -> None:
        """Send a request to a worker and listen to it."""
        attempt = self._workers.start(
            request, timeout=node.step.timeout, grace=function.info.stop_grace, fresh=function.info.venue
        )
        running = Running(node, attempt, function, self._clock.monotonic(), [], verifying, settled)
        self.running[node.id] = running
        self._watch(running)

    def owns(self, descriptor: int) -> bool:
        """Return whether a readable descriptor belongs to an attempt."""
        return descriptor in self._owner

    def hear(self, descriptor: int) -> tuple[Running, Result | Failure | Death] | None:
        """Read what an attempt says; return it with its answer when it has ended."""
        running = self.running.get(self._owner.get(descriptor, ""))
        if running is None:
            return None
        for message in running.attempt.read():
            if isinstance(message, Progress):
                self._watcher.on_progress(running.node.id, message)
            elif isinstance(message, LogLine):
                running.log.append(message.text)
                del running.log[:-LOG_LINES_KEPT]
                self._watcher.on_log(running.node.id, message.text)
            else:
                self._release(running)
                return running, message
        self._watch(running)
        return None

    def stop(self, grace: float | None = None) -> None:
        """Ask every step to end; `grace` seconds before it is killed, or each step's own."""
        for running in self.running.values():
            running.attempt.stop(running.function.info.stop_grace if grace is None else grace)

    def _release(self, running: Running) -> None:
        del self.running[running.node.id]
        self._unwatch(running.node.id, set())
        self._workers.release(running.attempt)

    def _watch(self, running: Running) -> None:
        wanted = set(running.attempt.descriptors())
        self._unwatch(running.node.id, wanted)
        for descriptor in wanted - self._owner.keys():
            self._selector.register(descriptor, selectors.EVENT_READ)
            self._owner[descriptor] = running.node.id

    def _unwatch(self, node_id: str, wanted: set[int]) -> None:
        for descriptor in [each for each, owner in self._owner.items() if owner == node_id and each not in wanted]:
            self._selector.unregister(descriptor)
            del self._owner[descriptor]
