from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from itertools import pairwise
from typing import Any

import pytest

from aurora.ibkr.governor import CANCELS_PER_S, Governor, Urgency
from tests.simulation.virtual_time import VirtualLoop


def play(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end in virtual time: a busy machine can't change who waits for how long."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(asyncio.wait_for(work, 30))


def test_messages_are_spaced() -> None:
    """Two messages that are no cancels are at least the spacing apart, in the order they asked."""

    async def story() -> None:
        governor, loop = Governor(0.02), asyncio.get_running_loop()
        went: list[tuple[int, float]] = []

        async def one(number: int) -> None:
            await governor.turn(Urgency.REQUEST)
            went.append((number, loop.time()))

        await asyncio.gather(*(one(number) for number in range(5)))
        assert [number for number, _ in went] == list(range(5))
        gaps = [later - earlier for (_, earlier), (_, later) in pairwise(went)]
        assert gaps == [pytest.approx(0.02)] * 4

    play(story())


def test_orders_go_before_requests_and_cancels_before_both() -> None:
    """An order overtakes the requests that wait; a cancel waits for nothing."""

    async def story() -> None:
        governor = Governor(0.02)
        went: list[str] = []

        async def one(name: str, urgency: Urgency) -> None:
            await governor.turn(urgency)
            went.append(name)

        waiting = [asyncio.ensure_future(one(f"request {n}", Urgency.REQUEST)) for n in range(3)]
        await asyncio.sleep(0)
        waiting.append(asyncio.ensure_future(one("order", Urgency.ORDER)))
        waiting.append(asyncio.ensure_future(one("cancel", Urgency.CANCEL)))
        await asyncio.gather(*waiting)
        assert went.index("cancel") <= 1
        assert went.index("order") < went.index("request 1")

    play(story())


def test_cancels_are_bounded() -> None:
    """Rule 21: no more than forty cancels in a second, however many are asked for."""

    async def story() -> None:
        governor, loop = Governor(0.1), asyncio.get_running_loop()
        times: list[float] = []
        for _ in range(CANCELS_PER_S + 5):
            await governor.turn(Urgency.CANCEL)
            times.append(loop.time())
        assert times[:CANCELS_PER_S] == [0] * CANCELS_PER_S
        assert times[CANCELS_PER_S] == pytest.approx(1)

    play(story())


def test_who_gave_up_is_not_waited_for() -> None:
    """A message that nobody wants to send any more takes no turn."""

    async def story() -> None:
        governor = Governor(0.05)
        await governor.turn(Urgency.REQUEST)
        given_up = asyncio.ensure_future(governor.turn(Urgency.REQUEST))
        wanted = asyncio.ensure_future(governor.turn(Urgency.REQUEST))
        await asyncio.sleep(0)
        given_up.cancel()
        await wanted
        assert given_up.cancelled()

    play(story())
