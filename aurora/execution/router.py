"""The router: the only caller of `Broker.place_order`. Each order that it lets through or stops has its reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import takewhile

from aurora.brokers.base import Broker, LastLook, Restricted, no_objection
from aurora.clock import Clock
from aurora.execution.in_flight import InFlight
from aurora.execution.order_journal import OrderJournal
from aurora.market.mode import Mode
from aurora.market.order import Fill, Order, OrderState, OrderStatus, OrderType
from aurora.market.quote import Quote
from aurora.risk.kill_switch import KillSwitch
from aurora.risk.limits import (
    DayUse,
    OrderLimits,
    Pace,
    check_collar,
    check_exposure,
    check_opening,
    check_pace,
    check_shape,
    is_reducing,
)
from aurora.risk.tripwires import TripwireLimits, check_quote

MINUTE = timedelta(seconds=60)


class Stage(StrEnum):
    """Where an order's way ended, in the order of the checks."""

    GRANT = "run grant"
    KILL = "kill switch"
    LOCKOUT = "lockout"
    TRIPWIRES = "tripwires"
    LIMITS = "limits"
    DUPLICATE = "duplicate"
    SHADOW = "shadow"
    BROKER = "broker"


@dataclass(frozen=True)
class Decision:
    """What became of an order at the door: how far it came, whether it was sent, and why not."""

    order: Order
    opens: bool
    stage: Stage
    reason: str

    @property
    def passed(self) -> bool:
        """Return whether every check let the order through (in shadow mode it was still not sent)."""
        return self.stage in (Stage.SHADOW, Stage.BROKER)

    @property
    def sent(self) -> bool:
        """Return whether the order went to the session's broker as an order."""
        return self.stage is Stage.BROKER


@dataclass(frozen=True)
class Settlement:
    """What happened since the router last asked: new fills, orders that reached their end, fills that can't be."""

    fills: tuple[Fill, ...] = ()
    ended: tuple[OrderState, ...] = ()
    anomalies: tuple[str, ...] = ()


class ExitRouter:
    """The way out: reduce* and settle; it has no right to open anything, and needs nobody's limits.

    reduce: for flattening: only "does it reduce", the collar and a whole size stand in it.
    settle: reads fills and ended orders, and gives unfilled notional back.

    broker: in paper and shadow mode the session's own simulated book, in live mode the venue.
    orders: the day's journal; what is open in it is in flight from the start.
    """

    def __init__(self, *, mode: Mode, broker: Broker, clock: Clock, orders: OrderJournal) -> None:
        self.orders = orders
        self._mode = mode
        self._broker = broker
        self._clock = clock
        self._in_flight = InFlight(broker, clock, orders)
        self._executions: Sequence[Fill] = ()

    @property
    def use(self) -> DayUse:
        """What the day's orders have used so far, those of other sessions included."""
        return self.orders.day.use

    def reduce(self, order: Order, quote: Quote | None, collar_bps: Decimal) -> Decision:
        """Send an order of a flatten: no cap, lockout, tripwire or kill flag stands between the trader and the exit.

        A market order has no price to hold a collar against: a person asked for it in so many words (rule 22).
        """
        position, working = self._in_flight.of(order.symbol)
        opens = not is_reducing(order, position, working)
        reasons = check_shape(order)
        if order.type is OrderType.LIMIT and not reasons:
            touch = None if quote is None else quote.far_touch(order.side)[0]
            reasons = check_collar(order, touch, collar_bps)
        if opens:
            reasons = (f"holds {position} shares, {working} of them are being reduced: the order would open", *reasons)
        if reasons:
            return Decision(order, opens, Stage.LIMITS, "; ".join(reasons))
        if self.use.has_seen(order.ref):
            return Decision(order, opens, Stage.DUPLICATE, f"the ref {order.ref} was used before")
        return self._send(order, opens, must_record=False)

    def reducible(self, symbol: str) -> int:
        """Return the signed shares of `symbol` that the venue holds and no order on its way reduces already."""
        position, working = self._in_flight.of(symbol)
        free = max(abs(position) - working, 0)
        return free if position > 0 else -free

    def expected(self, symbol: str) -> int:
        """Return the signed shares of `symbol` that a new order has to reckon with."""
        return self._in_flight.expected(symbol)

    def settle(self) -> Settlement:
        """Return new fills and orders that ended; give back what ended unfilled."""
        ended = self._in_flight.ended()
        executions = self._broker.executions()
        if executions == self._executions:
            return Settlement((), ended, self._in_flight.odd())
        self._executions = executions
        news = self.orders.take_fills(executions)
        return Settlement(tuple(news.fills), ended, (*news.anomalies, *self._in_flight.odd()))

    def _send(
        self, order: Order, opens: bool, last_look: LastLook = no_objection, *, must_record: bool = True
    ) -> Decision:
        # What the account is reckoned to hold, not the least that is sure: the next order is counted on top of it.
        held = self._in_flight.expected(order.symbol)
        # On disk and counted before it is sent: when sending fails, nobody knows whether the venue has it.
        self.orders.intend(order, opens=opens, held=held, must=must_record)
        self._in_flight.add(order.ref)
        try:
            state = self._broker.place_order(order, last_look)
        except Exception as error:
            self.orders.doubt(order.ref, f"sending failed: {error}")
            raise
        self.orders.told(state)
        if state.status is OrderStatus.WITHHELD:
            return Decision(order, opens, Stage.KILL, f"withheld while it waited to be sent: {state.reason}")
        if self._mode is Mode.SHADOW:
            return Decision(order, opens, Stage.SHADOW, "shadow mode: not sent, filled in the session's own book")
        return Decision(order, opens, Stage.BROKER, "sent")


class Router(ExitRouter):
    """One door: run grant → kill switch → lockout → tripwires → limits → duplicate → journal → broker (not in shadow).

    route: the way of a strategy's order. One that only reduces skips caps; they count it all the same.

    objection: why this session has no right to open orders (`aurora.grant`), or "".
    lockout:   why the session is locked out, or "".
    """

    def __init__(
        self,
        *,
        mode: Mode,
        broker: Broker,
        clock: Clock,
        kill_switch: KillSwitch,
        lockout: Callable[[], str],
        tripwires: TripwireLimits,
        limits: OrderLimits,
        objection: str,
        orders: OrderJournal,
    ) -> None:
        super().__init__(mode=mode, broker=broker, clock=clock, orders=orders)
        self._kill_switch = kill_switch
        self._lockout = lockout
        self._objection = objection
        self._tripwires = tripwires
        self._limits = limits
        self._used_before_usd = orders.day.use.notional_usd
        self._restricted = broker if isinstance(broker, Restricted) else None

    def route(self, order: Order, quote: Quote | None) -> Decision:
        """Send `order` if every check lets it through; `quote` is the newest of its symbol."""
        position, working = self._in_flight.of(order.symbol)
        opens = not is_reducing(order, position, working)
        stage, reasons = self._first_objection(order, quote, opens, position - working)
        if reasons:
            return Decision(order, opens, stage, "; ".join(reasons))
        return self._send(order, opens, self._last_look)

    def _last_look(self) -> str:
        """Return what came up while the order waited for its turn on the wire (rule 5: nothing opens after a kill)."""
        return "the kill flag is set" if self._kill_switch.is_set else self._lockout()

    def _pace(self) -> Pace:
        since = self._clock.now() - MINUTE
        recent = takewhile(lambda state: state.order.decided > since, reversed(self.orders.day.orders.values()))
        session_usd = self.use.notional_usd - self._used_before_usd
        return Pace(session_usd, sum(1 for _ in recent), len(self.orders.day.rejects))

    def _check_limits(self, order: Order, free: int) -> tuple[str, ...]:
        """Return every limit that an opening `order` would break; free: shares held and not being reduced."""
        venue = "" if self._restricted is None else self._restricted.opening_objection()
        gross = self._in_flight.exposure_usd()
        return (
            *((venue,) if venue else ()),
            *check_opening(order, free, gross, self.use, self._limits),
            *check_exposure(order, self._in_flight.exposure_usd(order.symbol), gross, self._limits),
            *check_pace(order, self._pace(), gross, self._limits),
        )

    def _first_objection(
        self, order: Order, quote: Quote | None, opens: bool, free: int
    ) -> tuple[Stage, tuple[str, ...]]:
        if opens and self._mode is Mode.LIVE and self._objection:
            return Stage.GRANT, (self._objection,)
        if self._kill_switch.is_set:
            return Stage.KILL, ("the kill flag is set",)
        if lockout := self._lockout():
            return Stage.LOCKOUT, (lockout,)
        holds = check_quote(order.symbol, quote, self._clock.now(), self._tripwires)
        if holds or quote is None:
            return Stage.TRIPWIRES, tuple(hold.reason for hold in holds)
        reasons = check_shape(order)
        if order.type is not OrderType.LIMIT:
            reasons = (*reasons, "a market order is for a flatten, on a person's word")
        if not reasons:
            reasons = check_collar(order, quote.far_touch(order.side)[0], self._limits.collar_bps)
        if opens and not reasons:
            reasons = self._check_limits(order, free)
        if reasons:
            return Stage.LIMITS, reasons
        if self.use.has_seen(order.ref):
            return Stage.DUPLICATE, (f"the ref {order.ref} was used before",)
        return Stage.BROKER, ()
