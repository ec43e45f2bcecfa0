"""A gateway that runs: in the terminal's own loop, or in a thread for tests."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from aurora.gateway.gateway import Gateway
from aurora.gateway.server import Say, Server, say_nothing

STEP_S = 0.1
"""How often a running gateway looks at its quotes, in wall-clock seconds."""

T = TypeVar("T")


async def serve_forever(gateway: Gateway, host: str, port: int, speed: float, say: Say) -> None:
    """Listen, and let the venue's time pass `speed` times as fast as the wall clock's, until cancelled."""
    server = Server(gateway, host, port, say)
    await server.start()
    say(f"listening on {host}:{server.port}")
    try:
        await _pace(gateway, speed)
    finally:
        await server.stop()


async def _pace(gateway: Gateway, speed: float) -> None:
    loop = asyncio.get_running_loop()
    before = loop.time()
    while True:
        await asyncio.sleep(STEP_S)
        now = loop.time()
        gateway.step((now - before) * speed)
        before = now


class RunningGateway:
    """A gateway in a thread of its own, for tests: its time stands still unless it is told to pass."""

    def __init__(self, gateway: Gateway, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self.gateway = gateway
        self.port = server.port
        self._loop = loop

    def advance(self, seconds: float, step: float = 0.25) -> None:
        """Let `seconds` pass at the venue, in steps."""

        def pass_time() -> None:
            left = seconds
            while left > 0:
                self.gateway.step(min(step, left))
                left -= step

        self.call(pass_time)

    def call(self, action: Callable[[], T]) -> T:
        """Return what `action` does, done in the gateway's own thread."""

        async def run() -> T:
            return action()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(timeout=30)


@contextmanager
def running(gateway: Gateway, say: Say = say_nothing) -> Iterator[RunningGateway]:
    """Run `gateway` on a free port of the loopback interface while the context is open."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="gateway", daemon=True)
    thread.start()
    try:
        server = Server(gateway, say=say)
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(timeout=30)
        yield RunningGateway(gateway, server, loop)
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(timeout=30)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=30)
        loop.close()
