"""What is to happen later, by the venue's own clock."""

from __future__ import annotations

import heapq
from collections.abc import Callable


class Timers:
    """Callbacks by due time: those of one instant run in the order in which they were set.

    now: monotonic seconds of the clock that they are due by.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._waiting: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Run `action` in `seconds`."""
        self._count += 1
        heapq.heappush(self._waiting, (self._now() + seconds, self._count, action))

    def run_due(self) -> None:
        """Run everything that is due."""
        while self._waiting and self._waiting[0][0] <= self._now():
            heapq.heappop(self._waiting)[2]()
