from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from aurora.risk.caps import Caps, check_caps
from aurora.risk.limits import OrderLimits
from aurora.session.settings import caps_of
from tests.trading import make_profile

CAPS = Caps(
    capital_usd=Decimal(100_000),
    orders=OrderLimits(Decimal(1000), Decimal(10_000), Decimal(50), Decimal(10)),
    max_weight_usd=Decimal(1000),
    min_trade_usd=Decimal(400),
    daily_loss_limit_usd=Decimal(500),
    max_drawdown_usd=Decimal(2000),
    real_money=False,
)
ASKS: dict[str, Decimal | None] = {"SPY": Decimal("168.01"), "TSLA": Decimal("250.05")}


def test_sane_caps_have_no_problem() -> None:
    """Caps that fit together and buy a share of each symbol have no problem, and are told in USD."""
    check = check_caps(CAPS, ASKS)
    assert check.problems == []
    assert (check.per_trade_notional_usd, check.notional_daily_cap_usd) == (Decimal(1000), Decimal(10_000))


@pytest.mark.parametrize("name", ["sim", "paper_strict", "paper_account", "live_canary"])
def test_shipped_profiles_are_sane(name: str) -> None:
    """Each shipped profile's caps are sane at the prices of generated quotes."""
    assert check_caps(caps_of(make_profile(name)), ASKS).problems == []


@pytest.mark.parametrize(("price", "problems"), [("1000.00", 0), ("1000.01", 2)])
def test_each_cap_buys_one_share(price: str, problems: int) -> None:
    """Trading rule 7: preflight is red unless each cap buys one share of each symbol."""
    found = check_caps(CAPS, {**ASKS, "NVR": Decimal(price)}).problems
    assert len(found) == problems
    assert all(f"NVR: one share costs {price} USD" in problem for problem in found)


@pytest.mark.parametrize("ask", [None, Decimal(0), Decimal("NaN")])
def test_symbol_without_a_price_is_a_problem(ask: Decimal | None) -> None:
    """Trading rule 7: without an ask nobody knows whether the caps buy a share."""
    assert check_caps(CAPS, {"SPY": ask}).problems == [
        "SPY: no ask, so nobody knows whether the caps buy a share of it"
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {
                "orders": replace(
                    CAPS.orders, per_trade_notional_usd=Decimal(6000), max_symbol_exposure_usd=Decimal(6000)
                )
            },
            "do not fit in the daily cap",
        ),
        ({"min_trade_usd": Decimal(1001)}, "min_trade_usd 1001 is above the cap a trade, 1000.00 USD"),
        (
            {"daily_loss_limit_usd": Decimal(2001)},
            "daily loss limit 2001.00 USD is above the drawdown limit 2000.00 USD",
        ),
        ({"orders": OrderLimits(Decimal(1000), Decimal(10_000), Decimal(501), Decimal(10))}, "daily fee cap 501 USD"),
        (
            {"orders": replace(CAPS.orders, max_symbol_exposure_usd=Decimal(999)), "max_weight_usd": Decimal(999)},
            "the cap a trade 1000.00 USD is above the limit of a symbol 999.00 USD",
        ),
        (
            {"max_weight_usd": Decimal(5001)},
            "models.max_weight_pct 5001.00 USD is above the limit of a symbol 5000.00 USD",
        ),
        (
            {"orders": replace(CAPS.orders, max_gross_exposure_usd=Decimal(4999))},
            "the limit of a symbol 5000.00 USD is above the limit of all symbols 4999.00 USD",
        ),
        ({"real_money": True, "capital_usd": Decimal(40_000)}, "a trade of 1000.00 USD is above 2 % of 40000 USD"),
    ],
)
def test_contradictions_are_told_with_both_numbers(change: dict[str, object], said: str) -> None:
    """Caps that contradict each other are told with both values."""
    (problem,) = check_caps(replace(CAPS, **change), ASKS).problems  # type: ignore[arg-type]
    assert said in problem
