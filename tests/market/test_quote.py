from __future__ import annotations

from decimal import Decimal

from aurora.market.order import Side
from tests.trading import make_quote


def test_mid_and_spread_need_both_sides() -> None:
    """A quote with a side missing has neither mid nor spread."""
    for bid, ask in ((None, "1"), ("1", None), (None, None)):
        assert make_quote(bid, ask).mid is None
        assert make_quote(bid, ask).spread_bps is None


def test_spread_is_relative_to_the_mid() -> None:
    """The spread is (ask - bid) / mid in basis points."""
    quote = make_quote("99.99", "100.01")
    assert quote.mid == Decimal("100.00")
    assert quote.spread_bps == Decimal(2)


def test_far_touch_is_the_side_to_trade_against() -> None:
    """A buy meets the ask and its size, a sale the bid and its size."""
    quote = make_quote("10.00", "10.01", sizes=(300, 400))
    assert quote.far_touch(Side.BUY) == (Decimal("10.01"), 400)
    assert quote.far_touch(Side.SELL) == (Decimal("10.00"), 300)
