"""Attempts under way: started in a worker, listened to, stopped, and handed back when they have ended."""

from __future__ import annotations

import selectors
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from aurora.clock import Clock
from aurora.engine.functions import StepFunction
from aurora.engine.graph import Node
from aurora.engine.secrets import Masker
from aurora.engine.workers import (
    Attempt,
    Death,
    Failure,
    LogLine,
    Progress,
    Request,
    Result,
    Workers,
)

LOG_LINES_KEPT = 40
LINE_KEPT = 2_000
TEXT_KEPT = 20_000


class Watcher(Protocol):
    """Who is told what steps say while they run."""

    def on_progress(self, step: str, progress: Progress) -> None:
        """A step says how far it is."""

    def on_log(self, step: str, line: str) -> None:
        """A step logged a line."""


@dataclass(frozen=True)
class Doubt:
    """Why nobody knows what a step did, and the status it ends with should it turn out as not done.

    `resumed` means that it was found on resume: a person may be asked, and what was not done is done now.
    """

    why: str
    status: str
    resumed: bool


@dataclass
class Running:
    """An attempt under way; with `verifying`, the step's `verify` runs instead of the step."""

    node: Node
    attempt: Attempt
    function: StepFunction
    started: float
    log: list[str] = field(default_factory=list)
    verifying: Doubt | None = None


class Attempts:
    """The attempts under way by step id, and the descriptors that speak for them.

    What steps say is masked here first and cut second: half a secret would not be recognised any more.
    """

    def __init__(
        self, workers: Workers, selector: selectors.BaseSelector, watcher: Watcher, clock: Clock, masker: Masker
    ) -> None:
        self._workers = workers
        self._mask = masker.text
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
        doubt: Doubt | None = None,
    ) -> None:
        """Send a request to a worker and listen to it."""
        attempt = self._workers.start(
            request, timeout=node.step.timeout, grace=function.info.stop_grace, fresh=function.info.venue
        )
        running = Running(node, attempt, function, self._clock.monotonic(), [], doubt)
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
                label = self._mask(message.label)[:LINE_KEPT]
                self._watcher.on_progress(running.node.id, Progress(message.done, message.total, label))
            elif isinstance(message, LogLine):
                line = self._mask(message.text)[:LINE_KEPT]
                running.log.append(line)
                del running.log[:-LOG_LINES_KEPT]
                self._watcher.on_log(running.node.id, line)
            else:
                self._release(running)
                return running, self._cut(message)
        self._watch(running)
        return None

    def _cut(self, message: Result | Failure | Death) -> Result | Failure | Death:
        if not isinstance(message, Failure):
            return message
        return Failure(message.type, self._mask(message.message)[:TEXT_KEPT], self._mask(message.trace)[-TEXT_KEPT:])

    def stop(self, keep: Callable[[Node], bool]) -> None:
        """Ask the steps to end, but for those to `keep`; each gets its own grace before it is killed."""
        for running in self.running.values():
            if not keep(running.node):
                running.attempt.stop(running.function.info.stop_grace)

    def kill(self) -> None:
        """End every step now."""
        for running in self.running.values():
            running.attempt.stop(0)

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
