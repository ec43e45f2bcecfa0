from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.errors import SafetyStop
from aurora.market.order import Side
from aurora.risk.limits import (
    DayUse,
    OrderLimits,
    Pace,
    check_collar,
    check_exposure,
    check_opening,
    check_pace,
    check_shape,
    is_reducing,
    notional,
)
from tests.trading import make_order

LIMITS = OrderLimits(Decimal(1000), Decimal(5000), Decimal(20), Decimal(10))


def opening(order: object = None, *, position: int = 0, exposure: int = 0, use: DayUse | None = None) -> str:
    """Return the reasons against an opening order, as one text."""
    order = order or make_order()
    return "; ".join(check_opening(order, position, Decimal(exposure), use or DayUse(), LIMITS))  # type: ignore[arg-type]


def test_small_order_passes() -> None:
    """An order within every cap has no reason against it."""
    assert opening() == ""


@pytest.mark.parametrize(("quantity", "said"), [(5, ""), (6, "notional 1008.60 USD, limit a trade 1000.00 USD")])
def test_trade_cap_blocks_above_it(quantity: int, said: str) -> None:
    """An order above the cap a trade is blocked, with its notional and the cap."""
    assert opening(make_order(quantity=quantity)) == said


def test_cap_counts_the_dearer_of_limit_and_mid() -> None:
    """A sale's limit lies under the market: it is counted at the mid, which it may well get."""
    order = make_order(side=Side.SELL, limit="160.00", decision_mid=Decimal("168.005"))
    assert notional(order) == 5 * Decimal("168.005")


def test_day_cap_counts_what_was_sent() -> None:
    """Trading rule 9: notional counts when it is sent, filled or not; the next order that goes over is blocked."""
    use = DayUse()
    sent = 0
    while not opening(make_order(f"a-{sent}"), use=use):
        use.reserve(make_order(f"a-{sent}"), opens=True)
        sent += 1
        assert sent < 100
    assert use.notional_usd <= LIMITS.notional_daily_cap_usd
    assert "daily cap 5000.00 USD" in opening(use=use)


def test_day_cap_keeps_room_for_the_way_out() -> None:
    """The cap of the day must also hold the way out of what is held, since reducing orders are never stopped."""
    use = DayUse(notional_usd=Decimal(2500))
    assert opening(use=use) == ""
    assert "with the way out" in opening(use=use, exposure=1000)


@pytest.mark.parametrize(("side", "opens"), [(Side.BUY, True), (Side.SELL, False)])
def test_only_the_unfilled_rest_is_given_back(side: Side, opens: bool) -> None:
    """Trading rule 9: only a confirmed unfilled rest is given back, and opening notional is counted apart."""
    use = DayUse()
    order = make_order(side=side, quantity=10)
    use.reserve(order, opens=opens)
    use.count(order, 6)
    price = notional(order) / 10
    assert use.notional_usd == 6 * price
    assert use.opened_usd == (6 * price if opens else 0)
    assert use.has_seen(order.ref)


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 50), st.booleans()), max_size=20))
def test_count_never_goes_below_zero(orders: list[tuple[int, int, bool]]) -> None:
    """Whatever fills, the day's count is what filled, and never negative."""
    use = DayUse()
    kept = Decimal(0)
    for number, (quantity, unfilled, opens) in enumerate(orders):
        order = make_order(f"a-{number}", quantity=quantity)
        use.reserve(order, opens=opens)
        use.count(order, quantity - min(unfilled, quantity))
        kept += notional(order) / quantity * (quantity - min(unfilled, quantity))
    assert use.notional_usd == kept
    assert 0 <= use.opened_usd <= use.notional_usd


def test_fee_cap_blocks_openings() -> None:
    """Trading rule 7: nothing opens once the day's fees have reached their cap: the minimum dominates."""
    use = DayUse()
    use.add_fee(Decimal("19.99"))
    assert opening(use=use) == ""
    use.add_fee(Decimal("0.01"))
    assert opening(use=use) == "day's fees 20.00 USD, daily cap 20 USD"


@pytest.mark.parametrize(("position", "blocked"), [(0, True), (4, True), (5, False)])
def test_short_sales_are_blocked(position: int, blocked: bool) -> None:
    """No shorts: selling more than is held is blocked, with both numbers."""
    text = opening(make_order(side=Side.SELL), position=position)
    assert text == (f"short sale: sells 5 shares, holds {position}, limit 0 short" if blocked else "")


def test_every_reason_is_told() -> None:
    """All limits that an order would break are told at once."""
    use = DayUse(notional_usd=Decimal(5000), fees_usd=Decimal(25))
    text = opening(make_order(side=Side.SELL, quantity=50), use=use)
    assert [word in text for word in ("limit a trade", "daily cap", "day's fees", "short sale")] == [True] * 4


@pytest.mark.parametrize(
    ("side", "quantity", "position", "working", "reduces"),
    [
        (Side.SELL, 5, 5, 0, True),
        (Side.SELL, 6, 5, 0, False),
        (Side.SELL, 5, 5, 1, False),
        (Side.SELL, 4, 5, 1, True),
        (Side.BUY, 5, 5, 0, False),
        (Side.BUY, 5, -5, 0, True),
        (Side.SELL, 1, 0, 0, False),
        (Side.BUY, 1, 0, 0, False),
    ],
)
def test_reducing_is_opposite_and_no_more_than_held(
    side: Side, quantity: int, position: int, working: int, reduces: bool
) -> None:
    """Trading rule 5: reducing is of opposite sign and at most the position less what working orders reduce."""
    assert is_reducing(make_order(side=side, quantity=quantity), position, working) is reduces


@given(st.sampled_from(Side), st.integers(1, 100), st.integers(-100, 100), st.integers(0, 100))
def test_reducing_never_turns_a_position_round(side: Side, quantity: int, position: int, working: int) -> None:
    """Trading rule 5: whatever else works and fills, a reducing order leaves the position on its side of zero."""
    order = make_order(side=side, quantity=quantity)
    if is_reducing(order, position, working):
        after = position + side.sign * (quantity + working)
        assert after == 0 or (after > 0) == (position > 0)


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (make_order(quantity=0), "quantity was 0"),
        (make_order(quantity=-1), "quantity was -1"),
        (make_order(quantity=Decimal("1.5")), "quantity was 1.5, orders are whole shares above 0"),  # type: ignore[arg-type]
        (make_order(limit="0"), "limit was 0"),
        (make_order(limit="-1"), "limit was -1"),
    ],
)
def test_only_whole_shares_at_a_price_are_sent(order: object, said: str) -> None:
    """Trading rule 6: whole shares above zero at a price above zero."""
    assert said in "; ".join(check_shape(order))  # type: ignore[arg-type]


def test_whole_order_has_no_fault() -> None:
    """A whole order at a price has nothing against it."""
    assert check_shape(make_order()) == ()


@pytest.mark.parametrize("change", [{"limit": "NaN"}, {"decision_mid": Decimal("NaN")}, {"limit": "Infinity"}])
def test_price_that_is_no_number_raises(change: dict[str, object]) -> None:
    """NaN raises: an order computed with what is no number is a fault, not a refusal."""
    with pytest.raises(SafetyStop):
        check_shape(make_order(**change))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("side", "limit", "blocked"),
    [
        (Side.BUY, "100.10", False),
        (Side.BUY, "100.11", True),
        (Side.BUY, "99.00", False),
        (Side.SELL, "99.90", False),
        (Side.SELL, "99.89", True),
        (Side.SELL, "101.00", False),
    ],
)
def test_collar_bounds_the_limit_price(side: Side, limit: str, blocked: bool) -> None:
    """Trading rule 6: a limit is at most `collar_bps` beyond the far touch; a passive one is never too far."""
    reasons = check_collar(make_order(side=side, limit=limit), Decimal(100), Decimal(10))
    assert bool(reasons) is blocked
    assert all("collar 10 bps" in reason and limit in reason for reason in reasons)


@pytest.mark.parametrize("touch", [None, Decimal(0)])
def test_collar_needs_a_far_touch(touch: Decimal | None) -> None:
    """Without a far touch there is nothing to hold a price against, so the order is blocked."""
    assert check_collar(make_order(), touch, Decimal(10))


@pytest.mark.parametrize(
    "name", ["per_trade_notional_usd", "notional_daily_cap_usd", "daily_fee_cap_usd", "collar_bps"]
)
@pytest.mark.parametrize("value", ["NaN", "Infinity", "-1"])
def test_limit_that_is_none_raises(name: str, value: str) -> None:
    """NaN as a limit would let everything pass: it raises."""
    with pytest.raises(SafetyStop, match=name):
        OrderLimits(**{**vars(LIMITS), name: Decimal(value)})


SMALL = replace(
    LIMITS,
    max_symbol_exposure_usd=Decimal(1500),
    max_gross_exposure_usd=Decimal(3000),
    max_session_turnover_usd=Decimal(4000),
    max_orders_per_min=3,
    max_day_rejects=2,
)


@pytest.mark.parametrize(
    ("symbol_usd", "gross_usd", "said"),
    [
        ("659.5", "659.5", ""),
        ("659.51", "659.51", "exposure of SPY would be 1500.01 USD with what is in flight, limit 1500.00 USD"),
        ("0", "2159.5", ""),
        ("0", "2159.51", "gross exposure would be 3000.01 USD with what is in flight, limit 3000.00 USD"),
    ],
)
def test_exposure_has_a_limit_of_a_symbol_and_of_all(symbol_usd: str, gross_usd: str, said: str) -> None:
    """Trading rule 9: what is held and in flight, with the order, stays under the symbol's limit and that of all."""
    reasons = check_exposure(make_order(), Decimal(symbol_usd), Decimal(gross_usd), SMALL)
    assert "; ".join(reasons) == said


@pytest.mark.parametrize(
    ("pace", "exposure_usd", "said"),
    [
        (Pace(), "0", ""),
        (Pace(orders_last_min=2), "0", ""),
        (Pace(orders_last_min=3), "0", "3 orders in the last 60 s, limit 3 orders"),
        (Pace(Decimal(2000)), "0", ""),
        (
            Pace(Decimal(2000)),
            "1000",
            "session's turnover would be 4717.81 USD with the way out, limit 4000.00 USD",
        ),
        (Pace(day_rejects=1), "0", ""),
        (Pace(day_rejects=2), "0", "2 rejects today, limit 2 rejects: nothing opens until tomorrow"),
    ],
)
def test_pace_has_limits(pace: Pace, exposure_usd: str, said: str) -> None:
    """Orders in a minute, a session's turnover and a day's rejects are limited, each with value, limit and unit."""
    assert "; ".join(check_pace(make_order(), pace, Decimal(exposure_usd), SMALL)) == said
