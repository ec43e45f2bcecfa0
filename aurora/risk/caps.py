"""Whether a profile's caps make sense together, and at today's prices (trading rule 7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from aurora.risk.limits import WAY_OUT, OrderLimits

MOST_PCT_A_TRADE_LIVE = Decimal(2)


@dataclass(frozen=True)
class CapsCheck:
    """The caps in USD, and what is wrong with them, each with value and limit; empty is good."""

    problems: list[str]
    per_trade_notional_usd: Decimal
    notional_daily_cap_usd: Decimal
    daily_loss_limit_usd: Decimal
    max_drawdown_usd: Decimal
    min_trade_usd: Decimal


@dataclass(frozen=True)
class Caps:
    """What a profile says: amounts in USD; real_money: it is for a live account."""

    capital_usd: Decimal
    orders: OrderLimits
    max_weight_usd: Decimal
    min_trade_usd: Decimal
    daily_loss_limit_usd: Decimal
    max_drawdown_usd: Decimal
    real_money: bool


def check_caps(caps: Caps, asks: Mapping[str, Decimal | None]) -> CapsCheck:
    """Return what is wrong with `caps` at the prices `asks`, in USD a share by symbol (None: no price)."""
    trade, day = caps.orders.per_trade_notional_usd, caps.orders.notional_daily_cap_usd
    problems = []
    if trade * (1 + WAY_OUT) > day:
        problems.append(f"a trade of {trade:.2f} USD and its way out do not fit in the daily cap of {day:.2f} USD")
    if caps.min_trade_usd > trade:
        problems.append(f"min_trade_usd {caps.min_trade_usd} is above the cap a trade, {trade:.2f} USD: nothing trades")
    if caps.daily_loss_limit_usd > caps.max_drawdown_usd:
        problems.append(
            f"daily loss limit {caps.daily_loss_limit_usd:.2f} USD is above the drawdown limit "
            f"{caps.max_drawdown_usd:.2f} USD: it would never be the first to stop"
        )
    if caps.orders.daily_fee_cap_usd > caps.daily_loss_limit_usd:
        problems.append(
            f"daily fee cap {caps.orders.daily_fee_cap_usd} USD is above the daily loss limit "
            f"{caps.daily_loss_limit_usd:.2f} USD"
        )
    if caps.real_money and trade > caps.capital_usd * MOST_PCT_A_TRADE_LIVE / 100:
        problems.append(f"a trade of {trade:.2f} USD is above {MOST_PCT_A_TRADE_LIVE} % of {caps.capital_usd} USD")
    problems += _exposure_problems(caps)
    problems += _share_problems(caps, asks)
    return CapsCheck(problems, trade, day, caps.daily_loss_limit_usd, caps.max_drawdown_usd, caps.min_trade_usd)


def _exposure_problems(caps: Caps) -> list[str]:
    """Return the limits on what is held that contradict each other."""
    symbol, gross = caps.orders.max_symbol_exposure_usd, caps.orders.max_gross_exposure_usd
    return [
        f"{name} {value:.2f} USD is above {other} {limit:.2f} USD: it is never reached"
        for name, value, other, limit in (
            ("the cap a trade", caps.orders.per_trade_notional_usd, "the limit of a symbol", symbol),
            ("models.max_weight_pct", caps.max_weight_usd, "the limit of a symbol", symbol),
            ("the limit of a symbol", symbol, "the limit of all symbols", gross),
        )
        if value > limit
    ]


def _share_problems(caps: Caps, asks: Mapping[str, Decimal | None]) -> list[str]:
    """Return the caps that do not buy one share of each symbol (rule 7)."""
    problems = []
    for symbol, ask in asks.items():
        if ask is None or not ask.is_finite() or ask <= 0:
            problems.append(f"{symbol}: no ask, so nobody knows whether the caps buy a share of it")
            continue
        for name, cap in (
            ("the cap a trade", caps.orders.per_trade_notional_usd),
            ("models.max_weight_pct", caps.max_weight_usd),
        ):
            if ask > cap:
                problems.append(f"{symbol}: one share costs {ask} USD, {name} is {cap:.2f} USD")
    return problems
