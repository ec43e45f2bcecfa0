"""What an account holds and what is on its way: the venue's word, and what our own orders make of it meanwhile."""

from __future__ import annotations

from decimal import Decimal

from aurora.brokers.base import Broker
from aurora.clock import Clock
from aurora.execution.order_journal import OrderJournal
from aurora.market.order import OrderState, OrderStatus, Side
from aurora.market.position import Position

POSITION_LAG_S = 30.0
"""How long after an order's end a venue's position may still be from before its fill."""


class InFlight:
    """The orders of a journal that may still fill: add* → of → ended.

    An order counts until there is evidence of its end, whether the venue knows it or not (trading rule 8).
    Where the venue's positions and the record disagree for longer than a fill takes to reach both, the venue is asked
    anew: what it says then counts, and is an anomaly (`odd`) if it still disagrees.
    """

    def __init__(self, broker: Broker, clock: Clock, orders: OrderJournal) -> None:
        self._broker = broker
        self._clock = clock
        self._orders = orders
        self._refs = orders.day.open_refs()
        self._ended: list[OrderState] = []
        self._asked: dict[str, tuple[int, int]] = {}
        self._odd: list[str] = []
        self._doubted: set[str] = set()
        # As if they had ended just now: a killed session's last fill may be younger than the venue's position.
        done = [state for state in orders.day.orders.values() if state.status.is_final]
        self._last_end = {state.order.symbol: (state.order.ref, clock.monotonic()) for state in done}

    def add(self, ref: str) -> None:
        """Count an order that is about to be sent."""
        self._refs.append(ref)

    def ended(self) -> tuple[OrderState, ...]:
        """Return the orders that ended since this was asked last."""
        self._look()
        self._look_for_others()
        ended, self._ended = tuple(self._ended), []
        return ended

    def odd(self) -> tuple[str, ...]:
        """Return the anomalies since this was asked last: drift, an UNKNOWN order, one of somebody else."""
        odd, self._odd = tuple(self._odd), []
        return odd

    def expected(self, symbol: str) -> int:
        """Return the signed shares that a new order has to reckon with: of a fill younger than the position, too."""
        self._look()
        ours = self._ours(symbol)
        return self._told(symbol) if ours is None else ours

    def of(self, symbol: str) -> tuple[int, int]:
        """Return signed shares of a symbol, and how many of them working and unknown orders reduce already."""
        self._look()
        position = self._sure_of(symbol)
        exit_side = Side.SELL if position > 0 else Side.BUY
        working = sum(
            state.unfilled
            for state in self._working()
            if state.order.symbol == symbol and state.order.side is exit_side
        )
        return position, working

    def exposure_usd(self, symbol: str | None = None) -> Decimal:
        """Return what positions cost and working and unknown orders may cost, of `symbol` or of all, in USD.

        Within the lag the larger of the venue's word and what our fills made of it counts, at the order's limit.
        """
        cost = Decimal(0)
        told = {held.symbol: held for held in self._broker.positions()}
        for each in {*told, *self._last_end} if symbol is None else {symbol}:
            held = told.get(each, Position(each, 0, Decimal(0)))
            cost += abs(held.quantity) * held.average_cost
            ours = self._ours(each)
            if ours is not None and abs(ours) > abs(held.quantity):
                limit = self._orders.day.orders[self._last_end[each][0]].order.limit
                cost += (abs(ours) - abs(held.quantity)) * limit
        working = [state for state in self._working() if symbol in (None, state.order.symbol)]
        return cost + sum((state.unfilled * state.order.limit for state in working), Decimal(0))

    def _look(self) -> None:
        """Ask the venue for the ends of what is in flight."""
        for ref in list(self._refs):
            state = self._broker.order_state(ref)
            if state is None:
                state = self._orders.day.orders[ref]  # UNKNOWN until there is evidence
                self._doubt(ref, "the venue does not tell of it")
            else:
                self._orders.told(state)
            if state.status is OrderStatus.UNKNOWN:
                self._doubt(ref, state.reason)
            if state.status.is_final:
                self._refs.remove(ref)
                self._last_end[state.order.symbol] = (ref, self._clock.monotonic())
                self._ended.append(state)

    def _look_for_others(self) -> None:
        """Say once of each working order that is on no record: somebody else trades in the account (trading rule 2)."""
        for state in self._broker.open_orders():
            ref, order = state.order.ref, state.order
            if ref not in self._orders.day.orders and ref not in self._doubted:
                self._doubted.add(ref)
                self._odd.append(f"foreign order {ref}: {order.side} {order.quantity} {order.symbol} is not Aurora's")

    def _doubt(self, ref: str, why: str) -> None:
        """Say once that nobody knows what became of an order (trading rule 11)."""
        if ref not in self._doubted:
            self._doubted.add(ref)
            self._odd.append(f"what became of {ref} is not known: {why}")

    def _sure_of(self, symbol: str) -> int:
        """Return the signed shares that are there for sure.

        A venue tells fills and positions apart, and its position may be from before the fill: within the lag, what is
        nearer to zero of its word and what the fill made of the position counts. So nothing is sold twice.
        """
        ours = self._ours(symbol)
        if ours is None:
            return self._told(symbol)
        told = self._position(symbol)
        return min(told, ours, key=abs) if told * ours > 0 else 0

    def _position(self, symbol: str) -> int:
        return next((held.quantity for held in self._broker.positions() if held.symbol == symbol), 0)

    def _told(self, symbol: str) -> int:
        """Return the venue's word on a position; asked anew, once, where it is not what the record adds up to.

        While an order of the symbol is on its way, the two may differ for good reasons.
        """
        told, recorded = self._position(symbol), self._orders.day.holdings.get(symbol, 0)
        is_moving = any(state.order.symbol == symbol for state in self._working())
        if told == recorded or is_moving or self._asked.get(symbol) == (told, recorded):
            return told
        self._broker.refresh()
        told = self._position(symbol)
        if told != recorded and self._asked.get(symbol) != (told, recorded):
            self._odd.append(f"the venue holds {told} {symbol}, asked anew; the record adds up to {recorded}")
        self._asked[symbol] = (told, recorded)
        return told

    def _ours(self, symbol: str) -> int | None:
        """Return what the last order of a symbol made of its position; None when that is long ago."""
        ref, at = self._last_end.get(symbol, ("", 0.0))
        if not ref or self._clock.monotonic() >= at + POSITION_LAG_S:
            return None
        return self._orders.day.held_after(ref)

    def _working(self) -> list[OrderState]:
        """Return the orders that may still fill: ours without an end, known to the venue or not, and its other ones."""
        known = self._orders.day.orders
        others = [state for state in self._broker.open_orders() if state.order.ref not in self._refs]
        return [*(known[ref] for ref in self._refs), *others]
