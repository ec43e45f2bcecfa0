"""Tripwires: what makes a quote unfit to decide on, each with its value and its limit (trading rule 11).

Pure functions. A tripwire that fires is a HOLD of that symbol for that poll; whether HOLDs add up to an anomaly is the
circuit breaker's question.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from aurora.errors import SafetyStop
from aurora.market.quote import Quote


class HoldKind(StrEnum):
    """Why a symbol is held for a poll."""

    MISSED = "missed"
    HALTED = "halted"
    NULL = "null"
    ONE_SIDED = "one-sided"
    CROSSED = "crossed"
    STALE = "stale"
    WIDE = "wide"
    FUTURE = "future"
    DISORDER = "out of order"
    SPIKE = "weight spike"
    LINE = "line down"


@dataclass(frozen=True)
class Hold:
    """One tripwire that fired: its kind, and a reason that prints the value and the limit."""

    kind: HoldKind
    reason: str


@dataclass(frozen=True)
class TripwireLimits:
    """The limits: seconds since the last tick, and spread in basis points of the mid.

    A quote that is more than `max_quote_age_s` in the future means that a clock is off.
    by_symbol: the limits of symbols that have some of their own (a quiet symbol ticks less often than others).
    """

    max_quote_age_s: Decimal
    max_spread_bps: Decimal
    by_symbol: Mapping[str, TripwireLimits] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("max_quote_age_s", "max_spread_bps"):
            value = getattr(self, name)
            if not (value.is_finite() and value > 0):
                raise SafetyStop(f"{name} was {value}; a tripwire needs a limit above 0.", todo="mend the profile")

    def of(self, symbol: str) -> TripwireLimits:
        """Return the limits of `symbol`: its own, or everybody's."""
        return self.by_symbol.get(symbol, self)


def check_quote(symbol: str, quote: Quote | None, now: datetime, limits: TripwireLimits) -> tuple[Hold, ...]:
    """Return every tripwire that `quote` sets off at `now`, the gravest first; none when it is fit to decide on.

    Raises SafetyStop for a price that is not a number: such data can't be judged at all.
    """
    if quote is None:
        return (Hold(HoldKind.MISSED, f"{symbol}: no quote has come"),)
    _refuse_nan(quote)
    limits = limits.of(symbol)
    holds = [_halted(quote), *_sides(quote), _age(quote, now, limits), _spread(quote, limits)]
    return tuple(hold for hold in holds if hold is not None)


def check_sequence(symbol: str, quote: Quote | None, newest: datetime | None) -> tuple[Hold, ...]:
    """Return the HOLD of a quote that is older than one that came before it; newest: the latest tick so far."""
    if quote is None or newest is None or quote.at >= newest:
        return ()
    back = (newest - quote.at).total_seconds()
    return (Hold(HoldKind.DISORDER, f"{symbol}: quote {back:.3f} s older than the one before it, limit 0 s"),)


def check_weight(symbol: str, weight: Decimal, before: Decimal | None, max_change_pct: Decimal) -> tuple[Hold, ...]:
    """Return the HOLD of a weight that jumped: |weight - before| above `max_change_pct` of the capital.

    before: the answer of the bar before; None where there was none, and nothing to jump from.
    """
    change_pct = Decimal(0) if before is None else abs(weight - before) * 100
    if change_pct <= max_change_pct:
        return ()
    reason = f"{symbol}: weight moved by {change_pct:.3f} % of the capital in a bar, limit {max_change_pct} %"
    return (Hold(HoldKind.SPIKE, reason),)


def check_prior_close(symbol: str, mid: Decimal | None, prior_close: Decimal | None, max_gap_pct: Decimal) -> str:
    """Return why the first mid is too far from the prior close, both in USD (trading rule 13), or ""."""
    if prior_close is None or not prior_close.is_finite() or prior_close <= 0:
        return f"{symbol}: prior close {_shown(prior_close)}, so nobody knows how far the market has moved"
    if mid is None or not mid.is_finite() or mid <= 0:
        return f"{symbol}: mid {_shown(mid)}, so nobody knows how far the market has moved"
    gap_pct = abs(mid / prior_close - 1) * 100
    if gap_pct <= max_gap_pct:
        return ""
    return f"{symbol}: mid {mid} is {gap_pct:.2f} % from the prior close {prior_close}, limit {max_gap_pct} %"


def _refuse_nan(quote: Quote) -> None:
    for name, price in (("bid", quote.bid), ("ask", quote.ask)):
        if price is not None and not price.is_finite():
            raise SafetyStop(
                f"{quote.symbol}: the {name} was {price} at {quote.at:%H:%M:%S} UTC.",
                means="the quote source sends what is no price; nothing that it says can be trusted",
                todo="look into the quote source before another session",
            )


def _halted(quote: Quote) -> Hold | None:
    return Hold(HoldKind.HALTED, f"{quote.symbol}: trading is halted") if quote.halted else None


def _sides(quote: Quote) -> list[Hold]:
    bid, ask = quote.bid, quote.ask
    no_bid, no_ask = bid is None or bid <= 0, ask is None or ask <= 0
    if no_bid and no_ask:
        return [Hold(HoldKind.NULL, f"{quote.symbol}: bid {_shown(bid)} and ask {_shown(ask)}")]
    if no_bid or no_ask:
        return [Hold(HoldKind.ONE_SIDED, f"{quote.symbol}: bid {_shown(bid)}, ask {_shown(ask)}")]
    if bid is not None and ask is not None and bid > ask:
        return [Hold(HoldKind.CROSSED, f"{quote.symbol}: bid {bid} above ask {ask}")]
    return []


def _age(quote: Quote, now: datetime, limits: TripwireLimits) -> Hold | None:
    age = (now - quote.at).total_seconds()
    limit = limits.max_quote_age_s
    if age > limit:
        return Hold(HoldKind.STALE, f"{quote.symbol}: quote age {age:.3f} s, limit {limit} s")
    if -age > limit:
        return Hold(HoldKind.FUTURE, f"{quote.symbol}: quote {-age:.3f} s in the future, limit {limit} s")
    return None


def _spread(quote: Quote, limits: TripwireLimits) -> Hold | None:
    spread = quote.spread_bps
    if spread is None or spread <= limits.max_spread_bps:
        return None
    return Hold(HoldKind.WIDE, f"{quote.symbol}: spread {spread:.2f} bps, limit {limits.max_spread_bps} bps")


def _shown(price: Decimal | None) -> str:
    return "missing" if price is None else str(price)
