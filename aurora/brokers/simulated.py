"""A broker that fills orders from the session's own quotes: trading rule 16, with IBKR's fixed fees."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from aurora.brokers.base import LastLook, no_objection
from aurora.clock import Clock
from aurora.errors import VenueRefusal
from aurora.market.order import Fill, Order, OrderState, OrderStatus, OrderType, Side
from aurora.market.position import Position
from aurora.market.quote import Quote

LATENCY = timedelta(milliseconds=250)
PATIENCE = timedelta(seconds=10)
_CENT = Decimal("0.01")


@dataclass(frozen=True)
class FeeSchedule:
    """Commission of an order, in USD: so much a share, at least `minimum`, at most a share of the trade's value.

    The defaults are IBKR's fixed pricing for US stocks: USD 0.005 a share, minimum 1.00, maximum 1 % of the value
    (which wins over the minimum). Exchange, clearing and regulatory fees are not in it.
    """

    per_share: Decimal = Decimal("0.005")
    minimum: Decimal = Decimal("1.00")
    maximum_pct: Decimal = Decimal(1)

    def fee(self, quantity: int, price: Decimal) -> Decimal:
        """Return the commission in USD, rounded to the cent, of `quantity` shares at `price`."""
        most = quantity * price * self.maximum_pct / 100
        return min(max(quantity * self.per_share, self.minimum), most).quantize(_CENT, ROUND_HALF_UP)


class SimulatedBroker:
    """A venue with a book of its own that starts flat, driven by the session's quotes and clock.

    place_order → WORKING → whenever anything is read, each working order meets the first quote that is at least 250 ms
    younger than its decision → filled at the far touch if that is within the limit, up to the displayed size; the rest
    is cancelled (immediate or cancel). An order that sees no such quote within ten seconds is cancelled.

    quote_of: the quote of a symbol at the clock's now. cash: USD at the start.
    """

    name = "simulated"

    def __init__(
        self,
        *,
        quote_of: Callable[[str], Quote | None],
        clock: Clock,
        cash: Decimal,
        fees: FeeSchedule | None = None,
        latency: timedelta = LATENCY,
    ) -> None:
        if not cash.is_finite():
            raise ValueError(f"A broker starts with finite cash; it was {cash}.")
        self._quote_of = quote_of
        self._clock = clock
        self._cash = cash
        self._fees = fees or FeeSchedule()
        self._latency = latency
        self._states: dict[str, OrderState] = {}
        self._working: list[str] = []
        self._fills: list[Fill] = []
        self._positions: dict[str, Position] = {}

    def place_order(self, order: Order, last_look: LastLook = no_objection) -> OrderState:
        """Take `order` into the book; it can fill from 250 ms after its decision on."""
        if order.ref in self._states:
            raise VenueRefusal(
                f"The order {order.ref} was placed before.",
                means="a second one might trade twice",
                todo="use a new ref",
            )
        if why := last_look():
            return OrderState(order, OrderStatus.WITHHELD, reason=why)
        reason = self._reason_to_reject(order)
        status = OrderStatus.REJECTED if reason else OrderStatus.WORKING
        if not reason:
            self._working.append(order.ref)
        self._states[order.ref] = OrderState(order, status, reason=reason)
        return self._states[order.ref]

    def cancel(self, ref: str) -> None:
        """Cancel the order if it still works."""
        self._match()
        if ref in self._working:
            self._working.remove(ref)
            self._end(ref, 0, "cancelled on request")

    def cancel_all(self) -> None:
        """Cancel every working order."""
        for state in self.open_orders():
            self.cancel(state.order.ref)

    def orders(self) -> Sequence[OrderState]:
        """Return every order in the order it was placed."""
        self._match()
        return tuple(self._states.values())

    def order_state(self, ref: str) -> OrderState | None:
        """Return what became of one order, or None when there is no such ref."""
        self._match()
        return self._states.get(ref)

    def open_orders(self) -> Sequence[OrderState]:
        """Return the orders that still work."""
        self._match()
        return tuple(self._states[ref] for ref in self._working)

    def executions(self) -> Sequence[Fill]:
        """Return all fills so far, oldest first."""
        self._match()
        return tuple(self._fills)

    def positions(self) -> Sequence[Position]:
        """Return the positions that are not zero."""
        self._match()
        return tuple(position for position in self._positions.values() if position.quantity)

    def cash(self) -> Decimal:
        """Return cash in USD, after fees; sales count at once."""
        self._match()
        return self._cash

    def refresh(self) -> None:
        """Do nothing: what it tells is always of now."""

    def server_time(self) -> datetime:
        """Return the session's own time: there is no other machine."""
        return self._clock.now()

    def _reason_to_reject(self, order: Order) -> str:
        if order.quantity <= 0 or order.quantity != int(order.quantity):
            return f"quantity was {order.quantity}, it is a whole number of shares above 0"
        if not (order.limit.is_finite() and order.limit > 0):
            return f"limit was {order.limit}, it is a price above 0"
        cost = order.quantity * order.limit
        if order.side is Side.BUY and cost > self._cash:
            return f"cost would be up to {cost} USD, cash is {self._cash} USD"
        return ""

    def _match(self) -> None:
        for ref in list(self._working) if self._working else ():
            order = self._states[ref].order
            due = order.decided + self._latency
            now = self._clock.now()
            if now < due:
                continue
            quote = self._quote_of(order.symbol)
            if quote is not None and quote.at >= due:
                self._working.remove(ref)
                self._meet(order, quote)
            elif now >= due + PATIENCE:
                self._working.remove(ref)
                self._end(ref, 0, f"no quote came within {PATIENCE.total_seconds():g} s")

    def _meet(self, order: Order, quote: Quote) -> None:
        price, displayed = quote.far_touch(order.side)
        if quote.halted:
            return self._end(order.ref, 0, "trading was halted")
        if price is None or not math.isfinite(price) or price <= 0:
            return self._end(order.ref, 0, "the far side was empty")
        if order.type is OrderType.LIMIT and (price - order.limit) * order.side.sign > 0:
            return self._end(order.ref, 0, f"the far touch was {price}, the limit {order.limit}")
        quantity = min(order.quantity, displayed)
        if quantity > 0:
            self._book(order, quantity, price)
        rest = order.quantity - quantity
        return self._end(order.ref, quantity, f"{displayed} shares were displayed, {rest} cancelled" if rest else "")

    def _end(self, ref: str, filled: int, reason: str) -> None:
        state = self._states[ref]
        status = OrderStatus.FILLED if filled == state.order.quantity else OrderStatus.CANCELLED
        self._states[ref] = replace(state, status=status, filled=filled, reason=reason)

    def _book(self, order: Order, quantity: int, price: Decimal) -> None:
        fee = self._fees.fee(quantity, price)
        self._fills.append(Fill(order.ref, order.symbol, order.side, quantity, price, fee, self._clock.now()))
        self._cash -= order.side.sign * quantity * price + fee
        held = self._positions.get(order.symbol, Position(order.symbol, 0, Decimal(0)))
        self._positions[order.symbol] = held.after(order.side.sign * quantity, price)
