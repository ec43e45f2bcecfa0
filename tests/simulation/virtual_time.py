"""Virtual time: one event loop for the gateway and its clients, whose clock jumps to whatever is due next.

Sockets are real, of the loopback interface. When none has anything to read, the loop does not wait for its next timer:
it moves its clock there. So a session of an hour takes a second, and a seed does the same every time.
"""

from __future__ import annotations

import asyncio
import os
import selectors
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")


class Stuck(Exception):
    """Somebody waits for what will never come: nothing is due and nothing is on a socket."""


class _Selector(selectors.DefaultSelector):
    """Never waits: it lets the loop's clock go on instead."""

    jumped_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        if found or (timeout is not None and timeout <= 0):
            return found
        os.sched_yield()  # what was written a moment ago may still be on its way through the kernel
        found = super().select(0)
        if found:
            return found
        if timeout is None:
            raise Stuck("nothing is due, and nothing is on a socket")
        self.jumped_s += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is virtual."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        """Return the virtual seconds since the loop was made."""
        return self._virtual.jumped_s


class VirtualHost:
    """Runs a connection in a virtual loop that others use, too: time passes only while somebody waits."""

    is_running = True

    def __init__(self, loop: VirtualLoop) -> None:
        self.loop: asyncio.AbstractEventLoop = loop

    def start(self) -> None:
        """Do nothing: it runs while somebody waits."""

    def run(self, work: Coroutine[Any, Any, T], limit_s: float) -> T:
        """Let the loop go on until `work` is done. Raises TimeoutError after `limit_s` virtual seconds."""
        return self.loop.run_until_complete(asyncio.wait_for(work, limit_s))

    def stop(self) -> None:
        """Do nothing: the loop is others' as well."""


class VirtualClock:
    """The machine's clock in virtual time; `set_by_s` sets its date and time off, as a person or NTP would."""

    def __init__(self, loop: VirtualLoop, start: datetime) -> None:
        self._loop = loop
        self._start = start.astimezone(UTC)
        self.set_by_s = 0.0

    def now(self) -> datetime:
        """Return the date and time."""
        return self._start + timedelta(seconds=round(self._loop.time() + self.set_by_s, 6))

    def monotonic(self) -> float:
        """Return the virtual seconds."""
        return self._loop.time()

    def sleep(self, seconds: float) -> None:
        """Let everybody live for so long."""
        self._loop.run_until_complete(asyncio.sleep(seconds))
