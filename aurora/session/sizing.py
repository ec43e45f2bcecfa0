"""From a wanted weight to an order, or to the note that says why there is none (trading rules 6 and 7)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_FLOOR, Decimal

from aurora.market.instrument import Instrument
from aurora.market.order import Order, Side
from aurora.market.quote import Quote


@dataclass(frozen=True)
class Sizing:
    """What bounds an order's size and price: USD, and basis points beyond the far touch."""

    capital_usd: Decimal
    per_trade_notional_usd: Decimal
    min_trade_usd: Decimal
    collar_bps: Decimal


@dataclass(frozen=True)
class Wish:
    """What a symbol's weight comes to: the target in shares, an order if there is one, and notes."""

    target: int
    order: Order | None
    notes: tuple[str, ...] = ()


def size_order(
    weight: Decimal, position: int, quote: Quote, now: datetime, ref: str, sizing: Sizing, *, reduce_only: bool
) -> Wish:
    """Return the order that brings `position` signed shares towards `weight` of the capital.

    weight: share of capital, below zero counts as zero (no short sales). reduce_only: the session is about to end.
    Raises ValueError when `quote` has no mid; it must have passed the tripwires.
    """
    mid = quote.mid
    if mid is None:
        raise ValueError(f"{quote.symbol} has no mid to size an order by")
    notes: list[str] = []
    if weight < 0:
        notes.append("no short sales: a weight below zero counts as zero")
    target = _floor(max(weight, Decimal(0)) * sizing.capital_usd / mid)
    if weight > 0 and target == 0:
        notes.append(f"zero shares: {weight * sizing.capital_usd:.2f} USD buy no share at {mid}")
    if reduce_only and target > position:
        target = max(position, 0)
        notes.append("the session is about to end: it only reduces")
    change = target - position
    if change == 0:
        return Wish(target, None, tuple(notes))
    if abs(change) * mid < sizing.min_trade_usd:
        notes.append(f"change of {abs(change) * mid:.2f} USD, minimum {sizing.min_trade_usd} USD")
        return Wish(target, None, tuple(notes))
    side = Side.BUY if change > 0 else Side.SELL
    limit = limit_price(quote, side, sizing.collar_bps)
    quantity = _clip(abs(change), max(limit, mid), side, sizing, notes)
    if quantity == 0:
        return Wish(target, None, tuple(notes))
    return Wish(target, Order(ref, quote.symbol, side, quantity, limit, now, mid), tuple(notes))


def limit_price(quote: Quote, side: Side, collar_bps: Decimal) -> Decimal:
    """Return far touch ± `collar_bps`, rounded passively to the tick (rule 6). Raises ValueError where none is."""
    touch, _ = quote.far_touch(side)
    if touch is None:
        raise ValueError(f"{quote.symbol} has no far touch to price an order by")
    return Instrument(quote.symbol).round_passively(touch * (1 + side.sign * collar_bps / 10_000), side)


def _clip(quantity: int, price: Decimal, side: Side, sizing: Sizing, notes: list[str]) -> int:
    """Return at most what the cap a trade buys; a sale reduces (there are no shorts), so no cap holds it back."""
    most = _floor(sizing.per_trade_notional_usd / price)
    if side is Side.SELL or quantity <= most:
        return quantity
    notes.append(f"clipped from {quantity} to {most} shares by the cap of {sizing.per_trade_notional_usd} USD a trade")
    return most


def _floor(value: Decimal) -> int:
    return int(value.to_integral_value(ROUND_FLOOR))
