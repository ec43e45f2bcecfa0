"""What a session learns before it may trade: what became of the orders whose end is not on record (trading rule 8)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from aurora.brokers.base import Broker
from aurora.clock import Clock
from aurora.execution.order_journal import OrderJournal
from aurora.market.order import OrderState, OrderStatus

PATIENCE_S = 30.0
BETWEEN_READS_S = 5.0
LOOK_S = 0.5


@dataclass(frozen=True)
class _Read:
    """One full read of the venue: every ref it speaks of, and its positions."""

    refs: frozenset[str]
    positions: dict[str, int]


def learn_the_truth(orders: OrderJournal, broker: Broker, clock: Clock) -> list[str]:
    """Ask the venue for the end of every order that has none on record; return the anomalies found.

    An order that works is cancelled. One that the venue does not know for 30 s is NOT_RECEIVED if two full reads, 5 s
    apart, have no such ref and the positions that the journal knows; else it stays UNKNOWN. Both are anomalies.
    """
    anomalies = list(orders.take_fills(broker.executions()).anomalies)
    for ref in orders.day.open_refs():
        broker.cancel(ref)
    until = clock.monotonic() + PATIENCE_S
    while _ask(orders, broker) and clock.monotonic() < until:
        clock.sleep(LOOK_S)
    if orders.day.open_refs():
        reads = [_read(orders, broker)]
        clock.sleep(BETWEEN_READS_S)
        reads.append(_read(orders, broker))
        _ask(orders, broker)
        anomalies += [_judge(orders, orders.day.orders[ref], reads) for ref in orders.day.open_refs()]
    return anomalies + orders.take_fills(broker.executions()).anomalies


def _ask(orders: OrderJournal, broker: Broker) -> list[str]:
    """Note what the venue says of the open orders; return those that are still open."""
    orders.take_fills(broker.executions())
    for ref in orders.day.open_refs():
        state = broker.order_state(ref)
        if state is not None:
            orders.told(state)
    return orders.day.open_refs()


def _read(orders: OrderJournal, broker: Broker) -> _Read:
    executions = broker.executions()
    orders.take_fills(executions)
    states = [*broker.open_orders(), *broker.orders()]
    refs = frozenset({state.order.ref for state in states} | {fill.ref for fill in executions})
    return _Read(refs, {held.symbol: held.quantity for held in broker.positions()})


def _judge(orders: OrderJournal, state: OrderState, reads: list[_Read]) -> str:
    order = state.order
    shown = f"{order.side} {order.quantity} {order.symbol} ({order.ref})"
    expected = orders.day.holdings.get(order.symbol, 0)
    seen = [read.positions.get(order.symbol, 0) for read in reads]
    if any(order.ref in read.refs for read in reads) or any(shares != expected for shares in seen):
        return f"UNKNOWN: {shown} has no end; {order.symbol} is at {seen[-1]} shares, {expected} by the record"
    reason = f"two full reads {BETWEEN_READS_S:g} s apart knew no such order, and the position was unchanged"
    orders.told(replace(state, status=OrderStatus.NOT_RECEIVED, filled=0, reason=reason))
    return f"NOT_RECEIVED: {shown} was meant and never reached the venue: {reason}"
