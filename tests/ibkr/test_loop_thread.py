from __future__ import annotations

import asyncio

import pytest

from aurora.ibkr.loop_thread import LoopThread


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_thread_has_its_loop() -> None:
    """A library that asks for its thread's loop, as ib_insync does, finds the one that runs there."""
    host = LoopThread("test")
    host.start()

    async def ask() -> object:
        return asyncio.get_event_loop_policy().get_event_loop()

    try:
        assert host.run(ask(), 5) is host.loop
    finally:
        host.stop()
