"""Flatten: cancel what works, then reduce every position step by step until the book is empty (trading rule 22)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from aurora.brokers.base import Broker
from aurora.errors import VenueRefusal
from aurora.execution.router import Decision, Router, Settlement
from aurora.market.instrument import Instrument
from aurora.market.order import Order, Side
from aurora.market.position import Position
from aurora.market.quote import Quote
from aurora.quotes.base import QuoteSource

LADDER_BPS = tuple(map(Decimal, (10, 25, 50, 100, 200)))
OLDEST_QUOTE = timedelta(seconds=5)
RUNG_S = 2.0
LOOK_S = 0.05
PATIENCE_S = 60.0


@dataclass
class Flattening:
    """What a flatten did: whether the book is empty now, the orders it sent, and why it is not empty."""

    flat: bool = False
    decisions: list[Decision] = field(default_factory=list)
    settlements: list[Settlement] = field(default_factory=list)
    reason: str = ""


def flatten_book(
    router: Router,
    broker: Broker,
    source: QuoteSource,
    next_ref: Callable[[], str],
    *,
    patience_s: float = PATIENCE_S,
) -> Flattening:
    """Cancel working orders and reduce all positions to zero.

    Limit orders, immediate or cancel, at the far touch plus or minus 10, 25, 50, 100, 200 bps, two seconds apart; a
    symbol without a two-sided quote younger than five seconds waits. Gives up after `patience_s` seconds and says what
    is left.
    """
    done = Flattening()
    clock = source.clock
    broker.cancel_all()
    gives_up = clock.monotonic() + patience_s
    rung = 0
    while broker.positions() or broker.open_orders():
        if clock.monotonic() >= gives_up:
            break
        tried = [_reduce(router, source, position, LADDER_BPS[rung], next_ref()) for position in broker.positions()]
        done.decisions += [decision for decision in tried if decision is not None]
        if any(decision is not None and decision.passed for decision in tried):
            rung = min(rung + 1, len(LADDER_BPS) - 1)
        _wait(router, broker, source, done)
    done.settlements.append(router.settle())
    left = ", ".join(f"{position.quantity} {position.symbol}" for position in broker.positions())
    done.flat = not left and not broker.open_orders()
    done.reason = "" if done.flat else f"left after {patience_s:g} s: {left or 'working orders'}"
    return done


def _reduce(router: Router, source: QuoteSource, position: Position, rung: Decimal, ref: str) -> Decision | None:
    try:
        quote = source.poll().get(position.symbol)
    except VenueRefusal:
        return None  # no quote, no price: wait for the next rung
    now = source.clock.now()
    if quote is None or not _is_usable(quote) or now - quote.at > OLDEST_QUOTE:
        return None
    side = Side.SELL if position.quantity > 0 else Side.BUY
    touch, mid = quote.far_touch(side)[0], quote.mid
    assert touch is not None
    assert mid is not None
    limit = touch * (1 + side.sign * rung / 10_000)
    limit = Instrument(position.symbol).round_passively(limit, side)
    order = Order(ref, position.symbol, side, abs(position.quantity), limit, now, mid)
    return router.reduce(order, quote, rung)


def _is_usable(quote: Quote) -> bool:
    sides = (quote.bid, quote.ask)
    if quote.halted or any(price is None or not price.is_finite() or price <= 0 for price in sides):
        return False
    return quote.bid is not None and quote.ask is not None and quote.bid <= quote.ask


def _wait(router: Router, broker: Broker, source: QuoteSource, done: Flattening) -> None:
    """Let one rung's two seconds pass, less when the book is empty before."""
    clock = source.clock
    until = clock.monotonic() + RUNG_S
    while clock.monotonic() < until and (broker.positions() or broker.open_orders()):
        clock.sleep(LOOK_S)
    done.settlements.append(router.settle())
