"""Timers of the runner's loop: what is to be done when some seconds have passed."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

from aurora.clock import Clock


class Timer:
    """One thing to do later; `cancel` takes it back."""

    def __init__(self, act: Callable[[], None]) -> None:
        self.act: Callable[[], None] | None = act

    def cancel(self) -> None:
        """Do nothing when the time comes."""
        self.act = None


class Timers:
    """Timers by the time that they are due; those that were cancelled count as not there."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[float, int, Timer]] = []
        self._ticket = itertools.count()

    def __bool__(self) -> bool:
        self._prune()
        return bool(self._heap)

    def after(self, seconds: float, act: Callable[[], None]) -> Timer:
        """Call `act` when `seconds` have passed."""
        timer = Timer(act)
        heapq.heappush(self._heap, (self._clock.monotonic() + seconds, next(self._ticket), timer))
        return timer

    def patience(self) -> float | None:
        """Return the seconds until the next timer is due; None when there is none."""
        self._prune()
        return max(0.0, self._heap[0][0] - self._clock.monotonic()) if self._heap else None

    def act(self) -> None:
        """Do what is due."""
        now = self._clock.monotonic()
        while self._heap and self._heap[0][0] <= now:
            timer = heapq.heappop(self._heap)[2]
            if timer.act is not None:
                timer.act()

    def _prune(self) -> None:
        while self._heap and self._heap[0][2].act is None:
            heapq.heappop(self._heap)
