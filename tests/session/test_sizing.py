from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.market.order import Side
from aurora.risk.limits import notional
from aurora.session.sizing import Sizing, Wish, limit_price, size_order
from tests.trading import START, make_quote

SIZING = Sizing(Decimal(100_000), Decimal(1000), Decimal(100), Decimal(10))
QUOTE = make_quote("99.99", "100.01")


def size(weight: str, position: int = 0, *, reduce_only: bool = False, sizing: Sizing = SIZING) -> Wish:
    """Size an order at a mid of 100."""
    return size_order(Decimal(weight), position, QUOTE, START, "a-1", sizing, reduce_only=reduce_only)


@pytest.mark.parametrize(
    ("weight", "position", "side", "quantity"),
    [
        ("0.005", 0, Side.BUY, 5),
        ("0.0059", 0, Side.BUY, 5),
        ("0.005", 2, Side.BUY, 3),
        ("0", 5, Side.SELL, 5),
        ("0.002", 5, Side.SELL, 3),
        ("-0.01", 5, Side.SELL, 5),
    ],
)
def test_order_is_target_less_position(weight: str, position: int, side: Side, quantity: int) -> None:
    """Trading rule 6 and 7: the order is target less position, the target floored to whole shares."""
    order = size(weight, position).order
    assert order is not None
    assert (order.side, order.quantity, order.decision_mid, order.decided) == (side, quantity, Decimal(100), START)


def test_nothing_to_change_is_no_order() -> None:
    """A position at its target makes neither order nor note."""
    assert size("0.005", 5) == Wish(5, None)


def test_zero_shares_is_a_note() -> None:
    """Trading rule 7: a weight that buys no whole share is a note."""
    wish = size("0.0009")
    assert (wish.order, wish.notes) == (None, ("zero shares: 90.00 USD buy no share at 100.00",))


def test_small_change_is_a_note() -> None:
    """Trading rule 7: a change below `min_trade_usd` is not traded, and says both amounts."""
    wish = size("0.005", 4, sizing=replace(SIZING, min_trade_usd=Decimal(101)))
    assert (wish.order, wish.notes) == (None, ("change of 100.00 USD, minimum 101 USD",))


def test_clipping_is_a_note() -> None:
    """Trading rule 11: an order that the cap a trade cuts short is a note, not a HOLD."""
    wish = size("0.05")
    assert wish.order is not None
    assert wish.order.quantity == 9  # ten at the limit of 100.11 would be 1001.10 USD
    assert wish.notes == ("clipped from 50 to 9 shares by the cap of 1000 USD a trade",)


def test_cap_that_buys_no_share_is_a_note() -> None:
    """Trading rule 7: a cap below the price of a share leaves no order, and says so."""
    wish = size("0.05", sizing=replace(SIZING, per_trade_notional_usd=Decimal(99)))
    assert wish.order is None
    assert wish.notes == ("clipped from 50 to 0 shares by the cap of 99 USD a trade",)


def test_sale_is_not_clipped() -> None:
    """Trading rule 5: a reducing order skips the cap a trade."""
    order = size("0", 50).order
    assert order is not None
    assert order.quantity == 50


def test_no_shorts() -> None:
    """A weight below zero counts as zero: there are no short sales."""
    wish = size("-0.01")
    assert (wish.target, wish.order) == (0, None)
    assert wish.notes == ("no short sales: a weight below zero counts as zero",)


@pytest.mark.parametrize(("position", "target"), [(0, 0), (3, 3), (-2, 0)])
def test_last_polls_only_reduce(position: int, target: int) -> None:
    """Trading rule 3: near its end a session opens nothing more."""
    wish = size("0.01", position, reduce_only=True)
    assert wish.target == target
    assert wish.order is None or wish.order.side.sign * position < 0


def test_last_polls_may_sell() -> None:
    """Trading rule 3: reducing goes on to the end."""
    order = size("0.002", 9, reduce_only=True).order
    assert order is not None
    assert (order.side, order.quantity) == (Side.SELL, 7)


def test_limit_is_the_far_touch_and_a_collar() -> None:
    """Trading rule 6: the limit is far touch ± collar_bps, rounded passively to the tick."""
    assert limit_price(QUOTE, Side.BUY, Decimal(10)) == Decimal("100.11")
    assert limit_price(QUOTE, Side.SELL, Decimal(10)) == Decimal("99.90")


def test_broken_quotes_are_not_priced() -> None:
    """A quote that has no mid or no far touch must have been held before: it raises."""
    with pytest.raises(ValueError, match="no mid"):
        size_order(Decimal(1), 0, make_quote(None), START, "a", SIZING, reduce_only=False)
    with pytest.raises(ValueError, match="no far touch"):
        limit_price(make_quote(None), Side.SELL, Decimal(10))


WEIGHTS = st.decimals("-1", "1", places=4)


@given(WEIGHTS, st.integers(0, 2000), st.integers(1, 400_000), st.integers(0, 500), st.booleans())
def test_sizes_keep_their_bounds(weight: Decimal, position: int, cents: int, spread: int, reduce_only: bool) -> None:
    """Whatever is wished: no short, no opening above the cap, no opening near the end, limits not past the collar."""
    bid = Decimal(cents) / 100
    quote = make_quote(str(bid), str(bid + Decimal(spread) / 100))
    wish = size_order(weight, position, quote, START, "a", SIZING, reduce_only=reduce_only)
    assert wish.target >= 0
    if wish.order is None:
        return
    order = wish.order
    assert position + order.side.sign * order.quantity >= 0
    if order.side is Side.BUY:
        assert not reduce_only
        assert notional(order) <= SIZING.per_trade_notional_usd
        assert quote.ask is not None
        assert quote.ask <= order.limit <= quote.ask * Decimal("1.001")
