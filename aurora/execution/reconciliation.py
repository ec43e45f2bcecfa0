"""Reconciliation: the order journal of a day against what the venue says of it. It never invents a record.

    read → compare → (five seconds) → read → compare: drift is what both say (trading rule 20)

`compare` is pure; `reconcile` reads a broker twice; `learn` writes what the venue said of Aurora's orders down.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from aurora.brokers.base import Broker
from aurora.clock import Clock
from aurora.errors import JournalWriteError
from aurora.execution.order_journal import OrderJournal
from aurora.execution.trading_day import TradingDay
from aurora.market.order import Fill, OrderState
from aurora.risk.limits import assumed_fee

BETWEEN_READS_S = 5.0
IN_FLIGHT = timedelta(minutes=1)
"""How long an order may be on its way: it is immediate or cancel."""
CASH_TOLERANCE_USD = Decimal(1)
_OURS = re.compile(r"[0-9a-f]{12}-\d{5,}")
"""What the refs of Aurora's orders look like."""


class Kind(StrEnum):
    """In what way the record and the venue differ."""

    MISSING_AT_VENUE = "missing at venue"
    MISSING_HERE = "missing here"
    STATUS = "status"
    QUANTITY = "quantity"
    POSITION = "position"
    FILL = "fill"
    FEE = "fee"
    CASH = "cash"
    FOREIGN = "foreign order"
    UNKNOWN_RESOLVED = "UNKNOWN resolved"


class Weight(StrEnum):
    """What a finding is worth: drift locks out, advice is said, a note only explains."""

    DRIFT = "drift"
    ADVICE = "advice"
    NOTE = "note"


_MEANS: Mapping[Kind, tuple[Weight, str, str]] = {
    Kind.MISSING_AT_VENUE: (
        Weight.DRIFT,
        "the order may never have arrived, or the venue no longer tells of it",
        "look for it in TWS; a session that starts asks for it again",
    ),
    Kind.MISSING_HERE: (
        Weight.DRIFT,
        "an order that looks like Aurora's is in no journal: that was lost, or another machine trades this account",
        "see whether orders/ was restored from an older copy, and who else runs Aurora on this account",
    ),
    Kind.STATUS: (Weight.DRIFT, "record and venue tell two ends of one order", "the venue's word counts: see its log"),
    Kind.QUANTITY: (Weight.DRIFT, "record and venue tell two sizes of what traded", "compare the executions in TWS"),
    Kind.POSITION: (
        Weight.DRIFT,
        "the account holds what no recorded order explains, or does not hold what one bought",
        "look for a trade by hand, a transfer, a split, or shares held since before today",
    ),
    Kind.FILL: (Weight.DRIFT, "an execution is on one side only, or differs", "compare the executions in TWS"),
    Kind.FEE: (Weight.ADVICE, "the cost of the day is not known to the cent", "look again after the day's statement"),
    Kind.CASH: (Weight.ADVICE, "money moved that no recorded fill explains", "look for dividends, interest, transfers"),
    Kind.FOREIGN: (
        Weight.DRIFT,
        "somebody else trades this account: a person in TWS, or another program",
        "find out who, and stop it: a live account belongs to Aurora alone",
    ),
    Kind.UNKNOWN_RESOLVED: (Weight.NOTE, "the venue knows the end of an order that had none on record", ""),
}


@dataclass(frozen=True)
class Finding:
    """One difference: what it is about (an order, an execution, a symbol), what the record and the venue say."""

    kind: Kind
    subject: str
    ours: str
    theirs: str

    @property
    def weight(self) -> Weight:
        """Return what it is worth."""
        return _MEANS[self.kind][0]

    @property
    def means(self) -> str:
        """Return what it means, in words."""
        return _MEANS[self.kind][1]

    @property
    def todo(self) -> str:
        """Return what to do about it."""
        return _MEANS[self.kind][2]

    @property
    def text(self) -> str:
        """Return it in one line."""
        ours, theirs = self.ours or "nothing", self.theirs or "nothing"
        return f"{self.kind}: {self.subject}: {ours} on record, {theirs} at the venue"


@dataclass(frozen=True)
class VenueRead:
    """One full read of a venue: open and completed orders, executions, signed shares by symbol, and cash in USD."""

    orders: Sequence[OrderState]
    executions: Sequence[Fill]
    positions: Mapping[str, int]
    cash_usd: Decimal

    @classmethod
    def of(cls, broker: Broker) -> VenueRead:
        """Read a broker anew. Raises VenueRefusal when any part of it does not come."""
        broker.refresh()
        orders = dict.fromkeys((*broker.open_orders(), *broker.orders()))  # foreign ones have no ref to know them by
        held = {position.symbol: position.quantity for position in broker.positions() if position.quantity}
        return cls(tuple(orders), tuple(broker.executions()), held, broker.cash())


@dataclass
class Reconciliation:
    """What came of it: findings that two reads agree on, and what only one of them said."""

    findings: list[Finding] = field(default_factory=list)
    passing: list[Finding] = field(default_factory=list)

    @property
    def drift(self) -> list[Finding]:
        """Return the findings that lock live trading out."""
        return [finding for finding in self.findings if finding.weight is Weight.DRIFT]

    @property
    def is_clean(self) -> bool:
        """Return whether nothing drifts."""
        return not self.drift


def compare(
    day: TradingDay, read: VenueRead, now: datetime, *, expected_cash_usd: Decimal | None = None
) -> list[Finding]:
    """Return in what a day's record and one read of the venue differ; orders that are in flight are left out.

    now:               aware UTC; an order without an end is in flight for a minute after its decision.
    expected_cash_usd: what the account should hold; only asked at the end of the day (trading rule 20).
    """
    in_flight = {
        ref for ref, state in day.orders.items() if not state.status.is_final and now - state.order.decided < IN_FLIGHT
    }
    learned = _learned(day, read)
    return [
        *_orders(day, read, in_flight),
        *_executions(learned, read, in_flight),
        *_positions(learned, read, {day.orders[ref].order.symbol for ref in in_flight}),
        *_cash(day, read, expected_cash_usd),
    ]


def reconcile(
    day: TradingDay, broker: Broker, clock: Clock, *, expected_cash_usd: Decimal | None = None
) -> Reconciliation:
    """Read the venue, twice when the first read differs, and return what both differ in. Raises VenueRefusal."""

    def look() -> list[Finding]:
        return compare(day, VenueRead.of(broker), clock.now(), expected_cash_usd=expected_cash_usd)

    first = look()
    if not any(finding.weight is Weight.DRIFT for finding in first):
        return Reconciliation(first)
    clock.sleep(BETWEEN_READS_S)
    second = look()
    both = [finding for finding in second if finding in first]
    return Reconciliation(both, [finding for finding in (*first, *second) if finding not in both])


def learn(orders: OrderJournal, read: VenueRead) -> None:
    """Write what the venue said of our own orders to their journal: ends, fills, fees. Nothing else is written.

    An end that is on record stays; of an order that ended only fills are taken that its end had counted.
    """
    for fill in read.executions:
        state = orders.day.orders.get(fill.ref)
        if state is not None and (fill.id in orders.day.fills or _is_expected(orders.day, state, fill)):
            orders.take_fills([fill])
    for state in read.orders:
        known = orders.day.orders.get(state.order.ref)
        if known is not None and not known.status.is_final and state.status.is_final:
            orders.told(state)


def _is_expected(day: TradingDay, state: OrderState, fill: Fill) -> bool:
    return not state.status.is_final or day.filled(fill.ref) + fill.quantity <= state.filled


def _learned(day: TradingDay, read: VenueRead) -> TradingDay:
    """Return the day as it would be after `learn`; `day` stays as it is."""
    orders = OrderJournal.unrecorded(JournalWriteError("it is only compared"))
    orders.day = copy.deepcopy(day)
    learn(orders, read)
    return orders.day


def _orders(day: TradingDay, read: VenueRead, in_flight: Container[str]) -> Iterator[Finding]:
    theirs = {state.order.ref: state for state in read.orders}
    for ref, ours in day.orders.items():
        told = theirs.get(ref)
        if ref in in_flight:
            continue
        if told is None:  # a venue may forget orders that ended; their executions are compared by themselves
            if not ours.status.is_final:
                yield Finding(Kind.MISSING_AT_VENUE, _shown(ours), _state(ours), "")
        elif told.status.is_final and not ours.status.is_final:
            yield Finding(Kind.UNKNOWN_RESOLVED, _shown(ours), _state(ours), _state(told))
        elif told.status is not ours.status:
            yield Finding(Kind.STATUS, _shown(ours), _state(ours), _state(told))
        elif told.filled != ours.filled:
            yield Finding(Kind.QUANTITY, _shown(ours), f"{ours.filled} filled", f"{told.filled} filled")
    for state in read.orders:
        if state.order.ref not in day.orders:
            yield Finding(_whose(state.order.ref), _shown(state), "", _state(state))


def _whose(ref: str) -> Kind:
    return Kind.MISSING_HERE if _OURS.fullmatch(ref) else Kind.FOREIGN


def _executions(day: TradingDay, read: VenueRead, in_flight: Container[str]) -> Iterator[Finding]:
    theirs = {fill.id: fill for fill in sorted(read.executions, key=lambda fill: fill.revision)}
    for id_, fill in theirs.items():
        ours, subject = day.fills.get(id_), f"execution {id_} of {fill.ref or 'no ref'}"
        if fill.ref not in day.orders:
            yield Finding(_whose(fill.ref), subject, "", _fill(fill))
        elif fill.ref in in_flight:
            continue
        elif ours is None or _fill(ours) != _fill(fill):
            yield Finding(Kind.FILL, subject, "" if ours is None else _fill(ours), _fill(fill))
        elif fill.fee is None and ours.fee is not None:
            continue  # commissions are told to the client that sent, and to the master: not told here is not checked
        elif fill.fee is None or ours.fee != fill.fee:
            yield Finding(Kind.FEE, subject, _fee(ours), _fee(fill))
    for id_, fill in day.fills.items():
        if id_ not in theirs:
            yield Finding(Kind.FILL, f"execution {id_} of {fill.ref}", _fill(fill), "")


def _positions(day: TradingDay, read: VenueRead, in_flight: Container[str]) -> Iterator[Finding]:
    for symbol in sorted({*day.holdings, *read.positions}):
        ours, theirs = day.holdings.get(symbol, 0), read.positions.get(symbol, 0)
        if ours != theirs and symbol not in in_flight:
            yield Finding(Kind.POSITION, symbol, f"{ours} shares", f"{theirs} shares")


def _cash(day: TradingDay, read: VenueRead, expected: Decimal | None) -> Iterator[Finding]:
    if expected is None:
        return
    missing = (assumed_fee(fill.quantity) for fill in day.fills.values() if fill.fee is None)
    tolerance = max(CASH_TOLERANCE_USD, sum(missing, Decimal(0)))
    if not (read.cash_usd.is_finite() and abs(read.cash_usd - expected) <= tolerance):
        yield Finding(Kind.CASH, "cash", f"{expected:.2f} USD", f"{read.cash_usd:.2f} USD")


def _shown(state: OrderState) -> str:
    order = state.order
    return f"{order.side} {order.quantity} {order.symbol} ({order.ref or 'no ref'})"


def _state(state: OrderState) -> str:
    return f"{state.status}, {state.filled} filled"


def _fill(fill: Fill) -> str:
    return f"{fill.side} {fill.quantity} {fill.symbol} at {fill.price.normalize():f} USD"


def _fee(fill: Fill) -> str:
    return "no commission yet" if fill.fee is None else f"{fill.fee.normalize():f} USD"
