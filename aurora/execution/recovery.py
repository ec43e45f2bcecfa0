"""What became of the orders whose end is not on record: asked of the venue until there is evidence (trading rule 8)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from aurora.brokers.base import Broker
from aurora.clock import Clock
from aurora.errors import VenueRefusal
from aurora.execution.order_journal import OrderJournal
from aurora.market.order import OrderState, OrderStatus

PATIENCE_S = 30.0
BETWEEN_READS_S = 5.0
LOOK_S = 0.5


@dataclass(frozen=True)
class _Read:
    """One full read of the venue: when, every ref it speaks of, and its positions."""

    at_s: float
    refs: frozenset[str]
    positions: dict[str, int]


@dataclass
class _Doubt:
    """An order without an end: since when the venue answers and does not end it, and the last full read after 30 s."""

    since_s: float
    last: _Read | None = None


@dataclass
class Inquiry:
    """Asks the venue for the ends of open orders, a little at a time: step* → `said` has what came of it.

    An order that the venue does not know for 30 s is NOT_RECEIVED if two full reads, 5 s apart, have no such ref and
    the position that is explained without it; else it stays UNKNOWN, and is judged again later. A venue that fails
    to answer begins the 30 s anew: silence is no evidence.

    said: by ref, what was concluded of an order that has no end by the venue's own word.
    """

    orders: OrderJournal
    broker: Broker
    clock: Clock
    said: dict[str, str] = field(default_factory=dict)
    _doubts: dict[str, _Doubt] = field(default_factory=dict)

    def step(self) -> list[str]:
        """Ask once, and judge what is due; return the anomalies of executions. Raises VenueRefusal."""
        try:
            anomalies = list(self.orders.take_fills(self.broker.executions()).anomalies)
            still_open = self._ask()
            self._doubts = {ref: self._doubts.get(ref, _Doubt(self.clock.monotonic())) for ref in still_open}
            due = [ref for ref, doubt in self._doubts.items() if self._is_due(doubt)]
            if due:
                read = self._read()
                for ref in set(due) & set(self._ask()):
                    self._take_read(ref, read)
        except VenueRefusal:
            self._doubts.clear()
            raise
        return anomalies

    @property
    def undecided(self) -> list[str]:
        """Return the open orders of which nothing was concluded yet."""
        return [ref for ref in self.orders.day.open_refs() if ref not in self.said]

    def _ask(self) -> list[str]:
        """Note what the venue says of the open orders; return those that are still open."""
        for ref in self.orders.day.open_refs():
            state = self.broker.order_state(ref)
            if state is not None:
                self.orders.told(state)
        return self.orders.day.open_refs()

    def _is_due(self, doubt: _Doubt) -> bool:
        now = self.clock.monotonic()
        if doubt.last is None:
            return now >= doubt.since_s + PATIENCE_S
        return now >= doubt.last.at_s + BETWEEN_READS_S

    def _read(self) -> _Read:
        self.broker.refresh()
        executions = self.broker.executions()
        self.orders.take_fills(executions)
        states = [*self.broker.open_orders(), *self.broker.orders()]
        refs = frozenset({state.order.ref for state in states} | {fill.ref for fill in executions})
        positions = {held.symbol: held.quantity for held in self.broker.positions()}
        return _Read(self.clock.monotonic(), refs, positions)

    def _take_read(self, ref: str, read: _Read) -> None:
        doubt = self._doubts[ref]
        before, doubt.last = doubt.last, read
        if before is not None:
            self.said[ref] = self._judge(self.orders.day.orders[ref], [before, read])

    def _judge(self, state: OrderState, reads: list[_Read]) -> str:
        order = state.order
        shown = f"{order.side} {order.quantity} {order.symbol} ({order.ref})"
        expected = self.orders.day.held_without(order.ref)
        seen = [read.positions.get(order.symbol, 0) for read in reads]
        if any(order.ref in read.refs for read in reads) or any(shares not in expected for shares in seen):
            known = " or ".join(map(str, sorted(expected)))
            return f"UNKNOWN: {shown} has no end; {order.symbol} is at {seen[-1]} shares, {known} by the record"
        reason = f"two full reads {BETWEEN_READS_S:g} s apart knew no such order, and the position was unchanged"
        self.orders.told(replace(state, status=OrderStatus.NOT_RECEIVED, filled=0, reason=reason))
        return f"NOT_RECEIVED: {shown} was meant and never reached the venue: {reason}"


def learn_the_truth(orders: OrderJournal, broker: Broker, clock: Clock) -> list[str]:
    """Settle every order that has no end on record, before a session may trade; return the anomalies found.

    An order that works is cancelled. What the venue does not end within 30 s is judged as `Inquiry` says; that is an
    anomaly either way. Raises VenueRefusal.
    """
    anomalies = list(orders.take_fills(broker.executions()).anomalies)
    for ref in orders.day.open_refs():
        broker.cancel(ref)
    inquiry = Inquiry(orders, broker, clock)
    while orders.day.open_refs():
        anomalies += inquiry.step()
        if not inquiry.undecided:
            break
        clock.sleep(LOOK_S)
    return [*anomalies, *inquiry.said.values(), *orders.take_fills(broker.executions()).anomalies]
