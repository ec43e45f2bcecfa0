from __future__ import annotations

from datetime import time
from decimal import Decimal
from typing import Any

import pytest

from aurora.errors import OperatorError, SafetyStop, UsageError
from aurora.market.mode import Mode
from aurora.session.settings import SessionRequest, settle_settings, tripwire_limits
from tests.trading import make_profile


def settle(profile: dict[str, Any] | None = None, **request: Any) -> Any:
    """Settle a request with the sim profile."""
    values: dict[str, Any] = {"mode": Mode.PAPER, "symbols": ("SPY", "TSLA"), "quotes": "dummy", **request}
    equity = values.pop("equity", Decimal(1_000_000))
    return settle_settings(SessionRequest(**values), make_profile(**(profile or {})), equity)


def test_profile_says_how_much() -> None:
    """Percents of the capital become USD; tripwires and breaker come from the profile."""
    settings = settle({"capital_usd": 50_000, "risk": {"per_trade_notional_pct": Decimal("1.5"), "collar_bps": 7}})
    assert settings.limits.per_trade_notional_usd == 750
    assert settings.limits.collar_bps == 7
    assert settings.capital_usd == 50_000
    assert settings.daily_loss_limit_usd == 250
    assert settings.tripwires == tripwire_limits(make_profile())
    assert settings.breaker.same_hold_polls == 5


def test_symbols_own_limits_lie_over_everybodys() -> None:
    """Trading rule 12: what a symbol does not say for itself, everybody's limit says."""
    wires = settle({"risk": {"symbols": {"IBM": {"max_quote_age_s": 5}}}}).tripwires
    assert (wires.of("IBM").max_quote_age_s, wires.of("IBM").max_spread_bps) == (5, 50)
    assert (wires.of("SPY").max_quote_age_s, wires.of("SPY").max_spread_bps) == (Decimal("1.5"), 50)


def test_smaller_account_bounds_the_capital() -> None:
    """Trading rule 9: capital is the profile's or the account's worth, whichever is less; caps are shares of that."""
    settings = settle(equity=Decimal(20_000))
    assert (settings.capital_usd, settings.limits.per_trade_notional_usd) == (20_000, 200)


def test_request_says_what_and_how_long() -> None:
    """Symbols, steps, minutes and until come from the request; the interval too, when it has one."""
    settings = settle(steps=60, minutes=Decimal(15), until="15:45", poll_sec=Decimal(2))
    assert (settings.steps, settings.minutes, settings.until, settings.poll_sec) == (60, 15, time(15, 45), 2)
    assert settle().poll_sec == 5


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"symbols": ()}, "at least one symbol"),
        ({"symbols": ("SPY", "SPY")}, "SPY was named 2 times"),
        ({"steps": 0}, "steps was 0"),
        ({"minutes": Decimal(-1)}, "minutes was -1"),
        ({"poll_sec": Decimal(0)}, "poll interval was 0"),
        ({"poll_sec": Decimal("NaN")}, "poll interval was NaN"),
        ({"poll_sec": Decimal(4000)}, "0.1 to 3600"),
    ],
)
def test_request_that_no_session_can_keep_is_refused(request_: dict[str, Any], said: str) -> None:
    """An impossible request is a usage error with the value in it."""
    with pytest.raises(UsageError, match=said):
        settle(**request_)


def test_until_is_a_time_of_day() -> None:
    """`until` is New York's time of day."""
    with pytest.raises(OperatorError, match="write it like 10:30"):
        settle(until="teatime")


@pytest.mark.parametrize("risk", [{"max_spread_bps": Decimal("NaN")}, {"per_trade_notional_pct": Decimal("NaN")}])
def test_limit_that_is_none_stops(risk: dict[str, Any]) -> None:
    """NaN raises, also in a profile."""
    with pytest.raises(SafetyStop):
        settle({"risk": risk})
