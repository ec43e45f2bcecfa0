"""A venue on a bad day, by a seed: it loses orders and answers, rejects, fills late and in parts.

Its own book (`book`) is the truth that tests compare with; what it tells (`positions`, `executions`) comes later.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from aurora.brokers.base import LastLook, no_objection
from aurora.clock import ManualClock
from aurora.errors import VenueRefusal
from aurora.market.order import Fill, Order, OrderState, OrderStatus
from aurora.market.position import Position

PRICE = Decimal("100.00")


@dataclass
class _Received:
    """An order as the venue has it: what it will trade, when, and when it tells of its end."""

    order: Order
    trades: list[tuple[float, int]]
    told_s: float
    rejected: bool = False
    cancelled: bool = False


@dataclass
class UnrulyVenue:
    """A venue with faults drawn from `seed`, until `calm_s` seconds have passed: after that it does as it is told.

    book: signed shares by symbol, as they are. worst: by symbol, the furthest that each was on the other side of zero.
    """

    clock: ManualClock
    seed: int
    book: dict[str, int] = field(default_factory=dict)
    calm_s: float = 90.0
    received: dict[str, _Received] = field(default_factory=dict)
    doubled: list[str] = field(default_factory=list)
    crossed: list[str] = field(default_factory=list)

    name = "unruly"

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._told = dict(self.book)
        self._fills: list[tuple[float, Fill]] = []
        self._moves: list[tuple[float, str, int]] = []
        self._began = dict(self.book)

    def _chance(self, share: float) -> bool:
        return self.clock.monotonic() < self.calm_s and self._random.random() < share

    def _delay(self, most_s: float) -> float:
        return self._random.random() * most_s if self.clock.monotonic() < self.calm_s else 0.0

    def place_order(self, order: Order, last_look: LastLook = no_objection) -> OrderState:
        """Lose it, reject it, lose the answer, or take it: immediate or cancel, filled in parts within seconds."""
        self._pass()
        if order.ref in self.received:
            self.doubled.append(order.ref)
        if self._chance(0.1):
            raise VenueRefusal("the connection was reset before the order went out")
        now = self.clock.monotonic()
        rejected = self._chance(0.1)
        trades: list[tuple[float, int]] = []
        left = 0 if rejected else order.quantity
        at = now
        while left and not self._chance(0.3):
            at += 0.1 + self._delay(1.0)
            part = self._random.randint(1, left) if self._chance(0.5) else left
            trades.append((at, part))
            left -= part
        self.received[order.ref] = _Received(order, trades, at + self._delay(2.0), rejected)
        if self._chance(0.15):
            raise VenueRefusal("the connection was reset after the order went out")
        return OrderState(order, OrderStatus.PENDING)

    def _pass(self) -> None:
        """Let everything happen that is due."""
        now = self.clock.monotonic()
        for ref, received in self.received.items():
            while received.trades and received.trades[0][0] <= now:
                at, quantity = received.trades.pop(0)
                self._trade(ref, received.order, at, quantity)
        for at, symbol, shares in [move for move in self._moves if move[0] <= now]:
            self._moves.remove((at, symbol, shares))
            self._told[symbol] = self._told.get(symbol, 0) + shares

    def _trade(self, ref: str, order: Order, at: float, quantity: int) -> None:
        shares = order.side.sign * quantity
        self.book[order.symbol] = self.book.get(order.symbol, 0) + shares
        if self.book[order.symbol] * self._began.get(order.symbol, 0) < 0:
            self.crossed.append(f"{order.symbol} is at {self.book[order.symbol]} after {ref}")
        number = sum(fill.ref == ref for _, fill in self._fills)
        fill = Fill(ref, order.symbol, order.side, quantity, PRICE, Decimal(1), self.clock.now(), f"{ref}.{number}")
        self._fills.append((at + self._delay(2.0), fill))
        self._moves.append((at + self._delay(4.0), order.symbol, shares))

    def cancel(self, ref: str) -> None:
        """Cancel what has not traded yet."""
        self._pass()
        if ref in self.received:
            self.received[ref].trades.clear()

    def cancel_all(self) -> None:
        """Cancel every working order, or fail to."""
        if self._chance(0.2):
            raise VenueRefusal("the venue did not answer")
        for ref in self.received:
            self.cancel(ref)

    def _state(self, ref: str) -> OrderState:
        received = self.received[ref]
        state = OrderState(received.order, OrderStatus.WORKING)
        if received.trades or self.clock.monotonic() < received.told_s:
            return state
        filled = sum(fill.quantity for _, fill in self._fills if fill.ref == ref)
        if received.rejected:
            return replace(state, status=OrderStatus.REJECTED, reason="rejected")
        whole = filled == received.order.quantity
        return replace(state, status=OrderStatus.FILLED if whole else OrderStatus.CANCELLED, filled=filled)

    def orders(self) -> Sequence[OrderState]:
        """Return all orders that arrived."""
        self._refuse_now_and_then()
        return [self._state(ref) for ref in self.received]

    def order_state(self, ref: str) -> OrderState | None:
        """Return an order's state, None for one that never arrived."""
        self._refuse_now_and_then()
        return self._state(ref) if ref in self.received else None

    def open_orders(self) -> Sequence[OrderState]:
        """Return the orders that may still fill."""
        return [state for state in self.orders() if not state.status.is_final]

    def executions(self) -> Sequence[Fill]:
        """Return the executions that were told so far."""
        self._refuse_now_and_then()
        return [fill for at, fill in self._fills if at <= self.clock.monotonic()]

    def positions(self) -> Sequence[Position]:
        """Return the positions as they were told, some seconds ago."""
        self._refuse_now_and_then()
        return [Position(symbol, shares, PRICE) for symbol, shares in self._told.items() if shares]

    def cash(self) -> Decimal:
        """Return cash."""
        return Decimal(100_000)

    def refresh(self) -> None:
        """Tell nothing new."""
        self._refuse_now_and_then()

    def server_time(self) -> datetime:
        """Return the time."""
        return self.clock.now()

    def _refuse_now_and_then(self) -> None:
        self._pass()
        if self._chance(0.02):
            raise VenueRefusal("the venue did not answer in time")
