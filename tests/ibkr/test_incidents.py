"""The rest of the incident list (docs/gateway.md): what the adapter concludes of each."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from aurora.market.order import OrderStatus
from tests.ibkr.desk import VenueDesk, until
from tests.ibkr.test_broker import A, order

Start = Callable[..., VenueDesk]


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param(
            [{"on": "cancel_order", "do": [{"hold": {"for_s": 1}}, {"fill": {}}]}], id="while it was on its way"
        ),
        pytest.param([{"on": "cancel_order", "do": [{"fill": {}}]}], id="10148"),
    ],
)
def test_fill_after_the_cancel_is_a_fill(venue: Start, rules: list[dict[str, Any]]) -> None:
    """A cancel that comes too late cancels nothing: the order is FILLED, whatever the code says of it."""
    desk = venue({"on": "place_order", "do": [{"hold": {"for_s": 0.5}}]}, *rules)
    broker = desk.broker()
    broker.place_order(order())
    broker.cancel(A)
    desk.gateway.advance(3)
    state = desk.ended(broker, A)
    assert (state.status, state.filled) == (OrderStatus.FILLED, 5)
    assert sum(fill.quantity for fill in broker.executions()) == 5


def test_false_cancel_of_an_order_that_fills_is_a_fill(venue: Start) -> None:
    """A 202 on an order that was filled meanwhile takes no fill away."""
    desk = venue(
        {"after": "place_order", "do": [{"notice": {"code": 202, "text": "Order Canceled - reason:", "to": "order"}}]}
    )
    broker = desk.broker()
    broker.place_order(order())
    state = desk.ended(broker, A)
    assert (state.status, state.filled) == (OrderStatus.FILLED, 5)


def test_too_many_messages_end_the_connection_and_not_the_account(venue: Start) -> None:
    """100 and the end: the adapter connects anew, reads all of it, and knows what it knew."""
    desk = venue(max_messages_per_s=20)
    broker = desk.broker()
    broker.place_order(order())
    desk.ended(broker, A)
    epoch = broker.connection.epoch

    async def flood() -> None:
        for _ in range(40):
            broker.connection.client.reqCurrentTime()

    broker.connection.run(flood())
    until(lambda: broker.connection.epoch > epoch and broker.link_state().down == "", "the new epoch")
    assert desk.status(broker, A) is OrderStatus.FILLED
    assert [(held.symbol, held.quantity) for held in broker.positions()] == [("SPY", 5)]


def test_the_venues_clock_is_told_as_it_is(venue: Start) -> None:
    """A clock that is off is what the venue says, not what the machine has: the drift is for the preflight to see."""
    straight, off = venue().broker(), venue({"at_s": 0, "do": [{"clock_skew": {"by_s": 90}}]})
    broker = off.broker()
    off.gateway.advance(0.25)
    drift = (broker.server_time() - straight.server_time()).total_seconds()
    assert 89 <= drift <= 91


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_stream_in_pieces_is_the_same_stream(venue: Start, size: int) -> None:
    """However the bytes are cut, account, order and quote are what they are."""
    desk = venue({"after": "connect", "times": 0, "do": [{"frames": {"size": size}}]})
    broker, source = desk.broker(), desk.source()
    source.subscribe(["SPY"])
    until(lambda: (quote := source.poll()["SPY"]) is not None and quote.ask == Decimal("100.02"), "the quote")
    broker.place_order(order())
    assert desk.ended(broker, A).status is OrderStatus.FILLED
