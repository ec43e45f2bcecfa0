"""The router: the only caller of `Broker.place_order`. Each order that it lets through or stops has its reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

from aurora.brokers.base import Broker
from aurora.clock import Clock
from aurora.execution.order_journal import OrderJournal
from aurora.market.mode import Mode
from aurora.market.order import Fill, Order, OrderState, Side
from aurora.market.quote import Quote
from aurora.risk.kill_switch import KillSwitch
from aurora.risk.limits import DayUse, OrderLimits, check_collar, check_opening, check_shape, is_reducing
from aurora.risk.tripwires import TripwireLimits, check_quote

POSITION_LAG_S = 30.0


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


class Router:
    """One door: run grant → kill switch → lockout → tripwires → limits → duplicate → journal → broker (not in shadow).

    route:   the way of a strategy's order. One that only reduces skips caps; they count it all the same.
    reduce:  the way out, for flattening: only "does it reduce", the collar and a whole size stand in it.
    settle:  reads fills and ended orders, and gives unfilled notional back.

    objection: why this session has no right to open orders (`aurora.grant`), or "".
    broker:  in paper and shadow mode the session's own simulated book, in live mode the venue.
    lockout: why the session is locked out, or "".
    orders:  the day's journal; what is open in it is in flight from the start.
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
        self.orders = orders
        self._mode = mode
        self._broker = broker
        self._clock = clock
        self._kill_switch = kill_switch
        self._lockout = lockout
        self._objection = objection
        self._tripwires = tripwires
        self._limits = limits
        self._in_flight = orders.day.open_refs()
        self._executions: Sequence[Fill] = ()
        self._ended: list[OrderState] = []
        # As if they had ended just now: a killed session's last fill may be younger than the venue's position.
        ended = [state for state in orders.day.orders.values() if state.status.is_final]
        self._last_end = {state.order.symbol: (state.order.ref, clock.monotonic()) for state in ended}

    @property
    def use(self) -> DayUse:
        """What the day's orders have used so far, those of other sessions included."""
        return self.orders.day.use

    def route(self, order: Order, quote: Quote | None) -> Decision:
        """Send `order` if every check lets it through; `quote` is the newest of its symbol."""
        position, working = self._on_the_way(order.symbol)
        opens = not is_reducing(order, position, working)
        stage, reasons = self._first_objection(order, quote, opens, position - working)
        if reasons:
            return Decision(order, opens, stage, "; ".join(reasons))
        return self._send(order, opens, position)

    def reduce(self, order: Order, quote: Quote, collar_bps: Decimal) -> Decision:
        """Send an order of a flatten: no cap, lockout, tripwire or kill flag stands between the trader and the exit."""
        position, working = self._on_the_way(order.symbol)
        opens = not is_reducing(order, position, working)
        reasons = check_shape(order) or check_collar(order, quote.far_touch(order.side)[0], collar_bps)
        if opens:
            reasons = (f"holds {position} shares, {working} of them are being reduced: the order would open", *reasons)
        if reasons:
            return Decision(order, opens, Stage.LIMITS, "; ".join(reasons))
        if self.use.has_seen(order.ref):
            return Decision(order, opens, Stage.DUPLICATE, f"the ref {order.ref} was used before")
        return self._send(order, opens, position, must_record=False)

    def reducible(self, symbol: str) -> int:
        """Return the signed shares of `symbol` that the venue holds and no order on its way reduces already."""
        position, working = self._on_the_way(symbol)
        free = max(abs(position) - working, 0)
        return free if position > 0 else -free

    def settle(self) -> Settlement:
        """Return new fills and orders that ended; give back what ended unfilled."""
        self._take_ends()
        ended, self._ended = self._ended, []
        executions = self._broker.executions()
        if executions == self._executions:
            return Settlement((), tuple(ended))
        self._executions = executions
        news = self.orders.take_fills(executions)
        return Settlement(tuple(news.fills), tuple(ended), tuple(news.anomalies))

    def _take_ends(self) -> None:
        """Ask for the ends of what is in flight; `settle` returns them."""
        for ref in list(self._in_flight):
            state = self._broker.order_state(ref)
            if state is None:
                state = self.orders.day.orders[ref]  # UNKNOWN until there is evidence (trading rule 8)
            else:
                self.orders.told(state)
            if state.status.is_final:
                self._in_flight.remove(ref)
                self._last_end[state.order.symbol] = (ref, self._clock.monotonic())
                self._ended.append(state)

    def _on_the_way(self, symbol: str) -> tuple[int, int]:
        """Return signed shares of the symbol, and how many of them working and unknown orders reduce already."""
        self._take_ends()
        position = self._position(symbol)
        exit_side = Side.SELL if position > 0 else Side.BUY
        working = sum(
            state.unfilled
            for state in self._working()
            if state.order.symbol == symbol and state.order.side is exit_side
        )
        return position, working

    def _position(self, symbol: str) -> int:
        """Return the signed shares that the venue holds.

        A venue tells fills and positions apart, and its position may be from before the fill: for 30 s after an order's
        end, what is nearer to zero of its word and what the fill made of the position counts. So nothing is sold twice.
        """
        told = next((held.quantity for held in self._broker.positions() if held.symbol == symbol), 0)
        ref, at = self._last_end.get(symbol, ("", 0.0))
        if not ref or self._clock.monotonic() >= at + POSITION_LAG_S:
            return told
        ours = self.orders.day.held_after(ref)
        return min(told, ours, key=abs) if told * ours > 0 else 0

    def _working(self) -> list[OrderState]:
        """Return the orders that may still fill: ours without an end, known to the venue or not, and its other ones."""
        known = self.orders.day.orders
        others = [state for state in self._broker.open_orders() if state.order.ref not in self._in_flight]
        return [*(known[ref] for ref in self._in_flight), *others]

    def _exposure_usd(self) -> Decimal:
        """Return what all positions cost and all working orders may cost, in USD."""
        held = sum((abs(held.quantity) * held.average_cost for held in self._broker.positions()), Decimal(0))
        working = sum((state.unfilled * state.order.limit for state in self._working()), Decimal(0))
        return held + working

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
        if not reasons:
            reasons = check_collar(order, quote.far_touch(order.side)[0], self._limits.collar_bps)
        if opens and not reasons:
            reasons = check_opening(order, free, self._exposure_usd(), self.use, self._limits)
        if reasons:
            return Stage.LIMITS, reasons
        if self.use.has_seen(order.ref):
            return Stage.DUPLICATE, (f"the ref {order.ref} was used before",)
        return Stage.BROKER, ()

    def _send(self, order: Order, opens: bool, held: int, *, must_record: bool = True) -> Decision:
        # On disk and counted before it is sent: when sending fails, nobody knows whether the venue has it.
        self.orders.intend(order, opens=opens, held=held, must=must_record)
        self._in_flight.append(order.ref)
        try:
            state = self._broker.place_order(order)
        except Exception as error:
            self.orders.doubt(order.ref, f"sending failed: {error}")
            raise
        self.orders.told(state)
        if self._mode is Mode.SHADOW:
            return Decision(order, opens, Stage.SHADOW, "shadow mode: not sent, filled in the session's own book")
        return Decision(order, opens, Stage.BROKER, "sent")


def exit_router(broker: Broker, clock: Clock, orders: OrderJournal) -> Router:
    """Return a router that only lets reducing orders out, for a flatten: it has no right to open anything."""
    none, tightest = Decimal(0), Decimal(1)
    return Router(
        mode=Mode.LIVE,
        broker=broker,
        clock=clock,
        kill_switch=KillSwitch(Path()),
        lockout=lambda: "only a way out was asked for",
        tripwires=TripwireLimits(tightest, tightest),
        limits=OrderLimits(none, none, none, none),
        objection="only a way out was asked for",
        orders=orders,
    )
