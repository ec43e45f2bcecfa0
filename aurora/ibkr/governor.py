"""Paces messages to TWS: requests 100 ms apart, orders before requests, and cancels before everything.

More than 50 messages a second make TWS end the connection (code 100). A client's own throttle is first come, first
served: a cancel behind 200 requests was measured to wait four seconds.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from enum import IntEnum
from itertools import count

CANCELS_PER_S = 40
"""Cancels wait for nothing but this (trading rule 21)."""


class Urgency(IntEnum):
    """Who goes first."""

    CANCEL = 0
    ORDER = 1
    REQUEST = 2


class Governor:
    """await turn(urgency): returns when a message may go out. It belongs to one event loop.

    spacing_s: the least time between two messages that are no cancels.
    """

    def __init__(self, spacing_s: float) -> None:
        self._spacing_s = spacing_s
        self._waiting: list[tuple[Urgency, int, asyncio.Future[None]]] = []
        self._numbers = count()
        self._last_s = float("-inf")
        self._cancels: deque[float] = deque()
        self._timer: asyncio.TimerHandle | None = None

    async def turn(self, urgency: Urgency) -> None:
        """Wait for this message's turn."""
        loop = asyncio.get_running_loop()
        if urgency is Urgency.CANCEL:
            await self._cancel_turn(loop)
            return
        mine: asyncio.Future[None] = loop.create_future()
        heapq.heappush(self._waiting, (urgency, next(self._numbers), mine))
        self._pump()
        await mine

    async def _cancel_turn(self, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            while self._cancels and loop.time() - self._cancels[0] >= 1:
                self._cancels.popleft()
            if len(self._cancels) < CANCELS_PER_S:
                self._cancels.append(loop.time())
                return
            await asyncio.sleep(max(self._cancels[0] + 1 - loop.time(), 0.001))

    def _pump(self) -> None:
        if self._timer is not None:
            return
        loop = asyncio.get_running_loop()
        while self._waiting and self._waiting[0][2].done():  # who waited has given up
            heapq.heappop(self._waiting)
        if not self._waiting:
            return
        left_s = self._last_s + self._spacing_s - loop.time()
        if left_s > 0:
            self._timer = loop.call_later(left_s, self._go_on)
            return
        self._last_s = loop.time()
        heapq.heappop(self._waiting)[2].set_result(None)
        if self._waiting:
            self._timer = loop.call_later(self._spacing_s, self._go_on)

    def _go_on(self) -> None:
        self._timer = None
        self._pump()
