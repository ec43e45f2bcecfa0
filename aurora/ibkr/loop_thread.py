"""The event loop that a connection lives in: a thread of its own, and the way into it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class LoopHost(Protocol):
    """Whoever runs a connection's event loop: start → run* → stop. A simulation runs it in virtual time."""

    loop: asyncio.AbstractEventLoop

    @property
    def is_running(self) -> bool:
        """Return whether work can be done in it."""

    def start(self) -> None:
        """Begin to run."""

    def run(self, work: Coroutine[Any, Any, T], limit_s: float) -> T:
        """Do `work` in the loop and return what comes of it. Raises TimeoutError after `limit_s`: it is cancelled."""

    def stop(self) -> None:
        """End the loop for good."""


class LoopThread:
    """An event loop in a daemon thread."""

    def __init__(self, name: str) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._live, name=name, daemon=True)

    def _live(self) -> None:
        asyncio.set_event_loop(self.loop)  # ib_insync looks for its loop there
        self.loop.run_forever()

    @property
    def is_running(self) -> bool:
        """Return whether work can be done in it."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin to run."""
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T], limit_s: float) -> T:
        """Do `work` in the loop's thread. Raises TimeoutError after `limit_s` seconds: it is cancelled."""
        doing = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return doing.result(limit_s)
        except TimeoutError:
            doing.cancel()
            raise

    def stop(self) -> None:
        """End the loop and its thread; one that hangs is left behind."""
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(5)
        if not self.loop.is_running():
            self.loop.close()
