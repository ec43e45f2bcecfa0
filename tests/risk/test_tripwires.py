from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.errors import SafetyStop
from aurora.market.quote import Quote
from aurora.risk.tripwires import HoldKind, TripwireLimits, check_prior_close, check_quote, check_weight
from tests.trading import START, make_quote

LIMITS = TripwireLimits(Decimal("1.5"), Decimal(50))


def kinds(quote: Quote | None, age_s: float = 0.0) -> list[HoldKind]:
    """Return the tripwires that a quote sets off at an age."""
    return [hold.kind for hold in check_quote("SPY", quote, START + timedelta(seconds=age_s), LIMITS)]


def reason(quote: Quote | None, age_s: float = 0.0) -> str:
    """Return the first reason."""
    return check_quote("SPY", quote, START + timedelta(seconds=age_s), LIMITS)[0].reason


def test_symbol_may_have_limits_of_its_own() -> None:
    """Trading rule 12: a symbol's own limits count for it, and for no other."""
    limits = TripwireLimits(Decimal("1.5"), Decimal(50), {"IBM": TripwireLimits(Decimal(5), Decimal(2))})
    later = START + timedelta(seconds=4)

    def found(symbol: str, ask: str) -> list[HoldKind]:
        return [hold.kind for hold in check_quote(symbol, make_quote("168.00", ask, symbol=symbol), later, limits)]

    assert (found("SPY", "168.10"), found("IBM", "168.10")) == ([HoldKind.STALE], [HoldKind.WIDE])
    assert check_quote("IBM", make_quote(symbol="IBM"), START + timedelta(seconds=6), limits)[0].reason == (
        "IBM: quote age 6.000 s, limit 5 s"
    )


def test_good_quote_sets_off_nothing() -> None:
    """Trading rule 11: a fresh, two-sided, narrow quote is no HOLD."""
    assert kinds(make_quote()) == []


def test_missed_quote_is_a_hold() -> None:
    """Trading rule 11: a quote that never came is a HOLD."""
    assert kinds(None) == [HoldKind.MISSED]
    assert "SPY" in reason(None)


@pytest.mark.parametrize(("age_s", "held"), [(0, False), (1.5, False), (1.501, True), (60, True)])
def test_age_is_held_above_the_limit(age_s: float, held: bool) -> None:
    """Trading rule 11: more than `max_quote_age_s` since the last tick is a HOLD; exactly that is not."""
    assert kinds(make_quote(), age_s) == ([HoldKind.STALE] if held else [])


@pytest.mark.parametrize(
    ("bid", "ask", "held"), [("99.75", "100.25", False), ("99.74", "100.25", True), ("100.00", "100.00", False)]
)
def test_spread_is_held_above_the_limit(bid: str, ask: str, held: bool) -> None:
    """Trading rule 11: a spread over 50 bps is a HOLD; exactly 50, or a locked market, is not."""
    assert kinds(make_quote(bid, ask)) == ([HoldKind.WIDE] if held else [])


@pytest.mark.parametrize(
    ("bid", "ask", "kind"),
    [
        (None, None, HoldKind.NULL),
        ("0", "0", HoldKind.NULL),
        (None, "100", HoldKind.ONE_SIDED),
        ("100", None, HoldKind.ONE_SIDED),
        ("0", "100", HoldKind.ONE_SIDED),
        ("-1", "100", HoldKind.ONE_SIDED),
        ("100.01", "100.00", HoldKind.CROSSED),
    ],
)
def test_broken_sides_are_holds(bid: str | None, ask: str | None, kind: HoldKind) -> None:
    """Trading rule 11: null or zero, one-sided and crossed quotes are HOLDs, each by its own name."""
    assert kind in kinds(make_quote(bid, ask))


def test_halt_comes_first() -> None:
    """Trading rule 11: a halt is named first, whatever else is wrong with the quote."""
    assert kinds(make_quote(None, None, halted=True), 60) == [HoldKind.HALTED, HoldKind.NULL, HoldKind.STALE]


def test_quote_from_the_future_is_a_hold() -> None:
    """A quote that is more than the age limit in the future means that a clock is off."""
    assert kinds(make_quote(), -1.4) == []
    assert kinds(make_quote(), -1.6) == [HoldKind.FUTURE]


@pytest.mark.parametrize(
    ("quote", "age_s", "said"),
    [
        (make_quote(), 2.25, "quote age 2.250 s, limit 1.5 s"),
        (make_quote(), -3, "quote 3.000 s in the future, limit 1.5 s"),
        (make_quote("99.00", "101.00"), 0, "spread 200.00 bps, limit 50 bps"),
        (make_quote("100.01", "100.00"), 0, "bid 100.01 above ask 100.00"),
        (make_quote(None, "100.00"), 0, "bid missing, ask 100.00"),
        (make_quote("0", "0"), 0, "bid 0 and ask 0"),
    ],
)
def test_reason_prints_value_and_limit(quote: Quote, age_s: float, said: str) -> None:
    """A reason prints the value and the limit that it was held against."""
    assert reason(quote, age_s) == f"SPY: {said}"


@pytest.mark.parametrize("side", ["bid", "ask"])
@pytest.mark.parametrize("price", ["NaN", "Infinity"])
def test_what_is_no_number_raises(side: str, price: str) -> None:
    """NaN raises: a price that is no number can't be judged, and never passes as "not above the limit"."""
    quote = make_quote(**{side: price})  # type: ignore[arg-type]
    with pytest.raises(SafetyStop, match=price):
        check_quote("SPY", quote, START, LIMITS)


@pytest.mark.parametrize("limits", [("NaN", "50"), ("1.5", "NaN"), ("0", "50"), ("1.5", "-1"), ("Infinity", "50")])
def test_limit_that_is_none_raises(limits: tuple[str, str]) -> None:
    """A tripwire without a real limit would never fire: it is refused."""
    with pytest.raises(SafetyStop):
        TripwireLimits(Decimal(limits[0]), Decimal(limits[1]))


PRICES = st.none() | st.decimals("-1", "1000", places=2)


@given(PRICES, PRICES, st.floats(-5, 5), st.booleans())
def test_only_sound_quotes_pass(bid: Decimal | None, ask: Decimal | None, age_s: float, halted: bool) -> None:
    """Whatever comes, a quote passes only if it is two-sided, uncrossed, narrow, fresh and not halted."""
    quote = Quote("SPY", START, bid, ask, 100, 100, halted)
    if kinds(quote, age_s):
        return
    assert not halted
    assert abs(age_s) <= 1.5 + 1e-6
    assert bid is not None
    assert ask is not None
    assert 0 < bid <= ask
    assert (ask - bid) / ((ask + bid) / 2) <= Decimal("0.005")


@pytest.mark.parametrize(
    ("weight", "before", "said"),
    [
        ("0.01", None, []),
        ("0.01", "-0.01", []),
        ("0.01", "-0.01001", ["SPY: weight moved by 2.001 % of the capital in a bar, limit 2 %"]),
        ("-0.5", "0.5", ["SPY: weight moved by 100.000 % of the capital in a bar, limit 2 %"]),
    ],
)
def test_weight_that_jumps_is_a_hold(weight: str, before: str | None, said: list[str]) -> None:
    """A weight that moves by more than the limit from one bar to the next is a HOLD; the first has no bar before."""
    holds = check_weight("SPY", Decimal(weight), None if before is None else Decimal(before), Decimal(2))
    assert [hold.reason for hold in holds] == said


@pytest.mark.parametrize(
    ("mid", "close", "said"),
    [
        ("115", "100", ""),
        ("85", "100", ""),
        ("115.01", "100", "SPY: mid 115.01 is 15.01 % from the prior close 100, limit 15 %"),
        ("50", "100", "SPY: mid 50 is 50.00 % from the prior close 100, limit 15 %"),
        ("100", None, "SPY: prior close missing, so nobody knows how far the market has moved"),
        ("100", "NaN", "SPY: prior close NaN, so nobody knows how far the market has moved"),
        ("100", "0", "SPY: prior close 0, so nobody knows how far the market has moved"),
        ("NaN", "100", "SPY: mid NaN, so nobody knows how far the market has moved"),
        (None, "100", "SPY: mid missing, so nobody knows how far the market has moved"),
    ],
)
def test_gap_to_the_prior_close_is_a_problem(mid: str | None, close: str | None, said: str) -> None:
    """Trading rule 13: a first mid over 15 % from the prior close is red, and so is what can't be compared."""
    values = [None if text is None else Decimal(text) for text in (mid, close)]
    assert check_prior_close("SPY", values[0], values[1], Decimal(15)) == said
