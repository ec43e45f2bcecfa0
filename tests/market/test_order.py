from __future__ import annotations

from aurora.market.order import OrderState, OrderStatus, Side
from tests.trading import make_order


def test_sides_have_sign_and_opposite() -> None:
    """A buy adds shares, a sale takes them away, and each is the other's opposite."""
    assert (Side.BUY.sign, Side.SELL.sign) == (1, -1)
    assert (Side.BUY.opposite, Side.SELL.opposite) == (Side.SELL, Side.BUY)


def test_unknown_is_not_final() -> None:
    """Trading rule 8: UNKNOWN ends only by evidence, so it is no end, and neither is what may still fill."""
    open_ = {status for status in OrderStatus if not status.is_final}
    assert open_ == {OrderStatus.PENDING, OrderStatus.WORKING, OrderStatus.UNKNOWN}


def test_unfilled_is_what_did_not_trade() -> None:
    """The unfilled rest is the order's quantity less what traded."""
    assert OrderState(make_order(quantity=5), OrderStatus.CANCELLED, 2).unfilled == 3
