from __future__ import annotations

from datetime import timedelta

from aurora.ibkr.order_book import OrderBook
from aurora.market.order import OrderStatus
from tests.trading import START, make_order

CLIENT, ID = 7, 41


def test_notice_alone_cancels_nothing() -> None:
    """Rule 8: a 202 does not say what was filled before it; the order goes on counting until its status ends it."""
    book = OrderBook(CLIENT, lambda: START + timedelta(seconds=1))
    book.sending(make_order(), ID)
    book.on_error(ID, 202, "Order Canceled - reason:")
    state = book.state("a-1")
    assert state is not None
    assert (state.status, state.reason) == (OrderStatus.PENDING, "202: Order Canceled - reason:")
    book.on_status(ID, "Cancelled", 0, 5, 0, 900, 0, 0, CLIENT)
    state = book.state("a-1")
    assert state is not None
    assert (state.status, state.filled) == (OrderStatus.CANCELLED, 0)
