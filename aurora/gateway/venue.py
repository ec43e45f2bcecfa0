"""The venue behind the gateway: orders, executions and the account, whoever is connected.

It knows order and client ids as names only; what a client may do with whose order is judged in `trading`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from aurora.brokers.simulated import FeeSchedule
from aurora.gateway.account import Account
from aurora.gateway.book import Book
from aurora.gateway.listings import Listing
from aurora.gateway.orders import Execution, Status, Terms, TimeInForce, VenueOrder
from aurora.market.order import Side
from aurora.market.quote import Quote

_FIRST_PERM_ID = 1_000_000_000


class Listener(Protocol):
    """Who is told what happens at the venue, as it happens."""

    def order_changed(self, order: VenueOrder) -> None:
        """An order stands differently now."""

    def executed(self, fill: Execution) -> None:
        """An order traded; the account is booked already."""

    def corrected(self, fill: Execution) -> None:
        """A trade of the past is another one now, under a new id; the account is booked already."""


class Venue:
    """Orders from place to done: place → (match) → executed, order_changed → done.

    now: the venue's clock. seed: makes permIds and execIds of one venue differ from another's.
    """

    def __init__(self, account: Account, listener: Listener, now: Callable[[], datetime], seed: int) -> None:
        self.account = account
        self.orders: list[VenueOrder] = []
        self.executions: list[Execution] = []
        self.book = Book(self._trade)
        self._listener = listener
        self._now = now
        self._fees = FeeSchedule()
        self._seed = seed
        self._next_id: dict[int, int] = {}

    # ── Names ────────────────────────────────────────────────────────────────────────────────────────────────────────
    def next_order_id(self, client_id: int) -> int:
        """Return the lowest order id that the client has not used."""
        return self._next_id.get(client_id, 1)

    def use_order_id(self, client_id: int, order_id: int) -> None:
        """Note that the client used `order_id`; lower ones are used up with it."""
        self._next_id[client_id] = max(self.next_order_id(client_id), order_id + 1)

    def find(self, client_id: int, order_id: int) -> VenueOrder | None:
        """Return the client's latest order of that id, or None."""
        mine = (order for order in reversed(self.orders) if order.client_id == client_id)
        return next((order for order in mine if order.order_id == order_id), None)

    def working(self) -> Iterator[VenueOrder]:
        """Yield the orders that are not done, oldest first."""
        return (order for order in self.orders if not order.status.is_done)

    # ── Orders ───────────────────────────────────────────────────────────────────────────────────────────────────────
    def new_order(
        self, stock: Listing, side: Side, terms: Terms, *, client_id: int, order_id: int, ref: str = ""
    ) -> VenueOrder:
        """Return an order that is not placed yet, with a permId of its own."""
        perm_id = _FIRST_PERM_ID + self._seed % 1000 * 1_000_000 + len(self.orders) + 1
        return VenueOrder(perm_id, client_id, order_id, stock, side, terms, self.account.name, ref)

    def place(self, order: VenueOrder) -> None:
        """Take an order, tell that it works, and match it."""
        self.orders.append(order)
        self._activate(order)

    def modify(self, order: VenueOrder, terms: Terms) -> None:
        """Give a working order new terms; it loses its place in the queue."""
        self.book.remove(order)
        order.terms = terms
        order.queue_ahead, order.has_waited = None, False
        if order.remaining <= 0:
            self._finish(order, Status.FILLED)
        else:
            self._activate(order)

    def _activate(self, order: VenueOrder) -> None:
        if not order.terms.transmit:
            self._set(order, Status.INACTIVE)
            return
        self._set(order, Status.PRE_SUBMITTED)
        self._set(order, Status.SUBMITTED)
        self.book.add(order)
        if order.terms.tif is TimeInForce.IOC and not order.status.is_done:
            self.cancel(order)

    def cancel(self, order: VenueOrder, why: str = "") -> None:
        """Cancel what is left of an order."""
        order.why_held = why
        self._finish(order, Status.CANCELLED)

    def fill(self, order: VenueOrder, quantity: int, price: Decimal) -> None:
        """Trade `quantity` shares of an order at `price`, whatever the quote says."""
        self._trade(order, quantity, price)

    def worth_of(self, order: VenueOrder, terms: Terms) -> Decimal:
        """Return what an order would trade for in USD: at its limit, or at the far touch; 0 while there is no quote."""
        quote = self.book.quote(order.listing.symbol)
        touch = None if quote is None else quote.far_touch(order.side)[0]
        return terms.quantity * (terms.limit or touch or Decimal(0))

    def fee_of(self, order: VenueOrder, worth: Decimal) -> Decimal:
        """Return the commission in USD if the whole order traded for `worth`."""
        return self._fees.fee(order.terms.quantity, worth / order.terms.quantity)

    def correct(self, wrong: Execution, price: Decimal) -> Execution:
        """Report an execution again at another price; its id ends in the next number (IB's way of a correction)."""
        order, change = wrong.order, (price - wrong.price) * wrong.quantity
        stem, _, number = wrong.exec_id.rpartition(".")
        order.value += change
        self.account.correct(order.listing.symbol, order.side, change)
        right = replace(wrong, exec_id=f"{stem}.{int(number) + 1:02d}", price=price, average_price=order.average_price)
        self.executions[self.executions.index(wrong)] = right
        self._listener.corrected(right)
        return right

    # ── Matching ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def on_quote(self, quote: Quote) -> None:
        """Let the book meet a new quote."""
        self.book.on_quote(quote)

    def _trade(self, order: VenueOrder, quantity: int, price: Decimal) -> None:
        order.filled += quantity
        order.value += quantity * price
        order.last_price = price
        fees = self._fees.fee(order.filled, order.average_price)  # the minimum is an order's, not a fill's
        commission, order.fees = fees - order.fees, fees
        realized = self.account.book(order.listing.symbol, order.side, quantity, price, commission)
        fill = Execution(
            self._exec_id(), order, self._now(), quantity, price, order.filled, order.average_price, commission,
            realized,
        )  # fmt: skip
        self.executions.append(fill)
        self._listener.executed(fill)
        if order.remaining:
            self._listener.order_changed(order)
        else:
            self._finish(order, Status.FILLED)

    def _exec_id(self) -> str:
        return f"0000e0d5.{self._seed & 0xFFFFFFFF:08x}.{len(self.executions) + 1:08x}.01"

    def _finish(self, order: VenueOrder, status: Status) -> None:
        self.book.remove(order)
        order.completed = self._now()
        self._set(order, status)

    def _set(self, order: VenueOrder, status: Status) -> None:
        order.status = status
        self._listener.order_changed(order)

    def prices(self) -> dict[str, Decimal]:
        """Return the price at which each position is valued: the mid of its quote."""
        quotes = (self.book.quote(held.symbol) for held in self.account.positions())
        return {quote.symbol: quote.mid for quote in quotes if quote is not None and quote.mid is not None}
