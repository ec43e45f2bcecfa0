"""The matching engine: orders against the displayed quote, by price, then by time.

An order that comes in takes from the far side what is displayed, once a quote. What is left of it goes on taking
while the far side is within its limit; else it waits at its limit behind the displayed size of that price. It trades
there when the size before it is gone, or when the far side comes to its limit. Quotes show no trades, so every
reduction of the displayed size counts as traded.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from aurora.gateway.orders import VenueOrder
from aurora.market.order import Side
from aurora.market.quote import Quote

OnTrade = Callable[[VenueOrder, int, Decimal], None]


class Book:
    """The working orders of all symbols: add → on_quote … → on_trade for each fill → remove.

    on_trade: told of each fill (order, shares, USD a share) before the order's own numbers change hands further.
    """

    def __init__(self, on_trade: OnTrade) -> None:
        self._on_trade = on_trade
        self._orders: dict[str, list[VenueOrder]] = {}
        self._quotes: dict[str, Quote] = {}
        self._left: dict[tuple[str, Side], int] = {}

    def quote(self, symbol: str) -> Quote | None:
        """Return the quote that orders of `symbol` meet now."""
        return self._quotes.get(symbol)

    def add(self, order: VenueOrder) -> None:
        """Take an order in, and trade what trades at once."""
        self._orders.setdefault(order.listing.symbol, []).append(order)
        quote = self._quotes.get(order.listing.symbol)
        if quote is not None and not quote.halted:
            self._take(order, quote)
            self._join_queue(order, quote)

    def remove(self, order: VenueOrder) -> None:
        """Take an order out; one that is not there is no fault."""
        orders = self._orders.get(order.listing.symbol, [])
        if order in orders:
            orders.remove(order)

    def on_quote(self, quote: Quote) -> None:
        """Let the orders of a symbol meet a new quote."""
        old = self._quotes.get(quote.symbol)
        self._quotes[quote.symbol] = quote
        for side in Side:
            self._left[quote.symbol, side] = quote.far_touch(side)[1]
        if quote.halted:
            return
        for order in self._by_priority(quote.symbol):
            if not order.status.is_done:  # what happened to one order may have ended another
                self._take(order, quote)
                self._advance(order, old, quote)

    def _by_priority(self, symbol: str) -> list[VenueOrder]:
        def rank(order: VenueOrder) -> Decimal:
            limit = order.terms.limit
            return Decimal("-Infinity") if limit is None else -order.side.sign * limit

        return sorted(self._orders.get(symbol, ()), key=rank)  # stable: time decides between equal prices

    def _take(self, order: VenueOrder, quote: Quote) -> None:
        price, _ = quote.far_touch(order.side)
        if price is None or not order.is_marketable(price):
            order.has_waited = True
            return
        if order.has_waited and order.terms.limit is not None:
            price = order.terms.limit  # who waited gets the price it waited at
        place = order.listing.symbol, order.side
        quantity = min(order.remaining, self._left.get(place, 0))
        if quantity > 0:
            self._left[place] -= quantity
            self._on_trade(order, quantity, price)

    def _advance(self, order: VenueOrder, old: Quote | None, quote: Quote) -> None:
        limit = order.terms.limit
        price, size = quote.far_touch(order.side.opposite)
        if limit is None or price != limit or not order.remaining:
            return
        before, size_before = (None, 0) if old is None else old.far_touch(order.side.opposite)
        if before != limit or order.queue_ahead is None:
            self._join_queue(order, quote)
            return
        gone = max(0, size_before - size)
        through = gone - order.queue_ahead
        order.queue_ahead = max(0, order.queue_ahead - gone)
        if through > 0:
            self._on_trade(order, min(through, order.remaining), limit)

    @staticmethod
    def _join_queue(order: VenueOrder, quote: Quote) -> None:
        limit, (price, size) = order.terms.limit, quote.far_touch(order.side.opposite)
        if limit is None or not order.remaining or order.queue_ahead is not None:
            return
        if price is None or (limit - price) * order.side.sign > 0:
            order.queue_ahead = 0  # it is the best price itself
        elif limit == price:
            order.queue_ahead = size
