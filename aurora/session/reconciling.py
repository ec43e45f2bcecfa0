"""Reconciles an account: today's order journal, read or held, with what its venue says; drift locks live out."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from decimal import Decimal

from aurora.errors import LockHeld
from aurora.execution.order_journal import Book, OrderJournal, read_day
from aurora.execution.reconciliation import Finding, VenueRead, learn, reconcile
from aurora.risk.lockout import Lockout
from aurora.session.account import live_book
from aurora.session.services import Services


@dataclass
class Reconciled:
    """What came of it: what both reads found, what one found, how much was compared, and whether live is locked out.

    fees_usd: of the day's fills, as far as the venue told them.
    """

    book: str
    venue: str
    orders: int
    fills: int
    findings: list[Finding]
    passing: list[Finding]
    is_clean: bool
    is_locked_out: bool = False
    fees_usd: Decimal = Decimal(0)
    notes: list[str] = field(default_factory=list)


def reconcile_account(services: Services, stack: contextlib.ExitStack, *, records: bool) -> Reconciled:
    """Compare the day's live orders of the profile's account with its venue, and return in what they differ.

    records: write what the venue said of Aurora's own orders to their journal, unless a session holds it, and lock live
    out on drift. Raises VenueRefusal when the venue does not say all of it, RecordError when the journal is damaged.
    """
    book, notes = live_book(services), list[str]()
    broker = services.open_observer(stack)
    day = read_day(services.project, book)
    orders = _held(services, book, stack, notes) if records else None
    if orders is not None:
        learn(orders, VenueRead.of(broker))
        day = orders.day
    result = reconcile(day, broker, services.clock)
    unseen = sum(fill.fee is None for fill in broker.executions())
    if unseen:
        notes.append(f"the venue tells this client no commission of {unseen} executions; those fees are not checked")
    done = Reconciled(
        book=f"{book.folder_name}/{book.day}",
        venue=broker.name,
        orders=len(day.orders),
        fills=len(day.fills),
        findings=result.findings,
        passing=result.passing,
        is_clean=result.is_clean,
        fees_usd=day.use.fees_usd,
        notes=notes,
    )
    if records and result.drift:
        lockout = Lockout(services.project, "live")
        for finding in result.drift:
            lockout.set(f"drift: {finding.text}", "reconcile", services.clock.now())
        done.is_locked_out = True
    return done


def _held(services: Services, book: Book, stack: contextlib.ExitStack, notes: list[str]) -> OrderJournal | None:
    """Return the day's journal to write in; None when there is none yet, or a session has it."""
    if not book.path(services.project).exists():
        notes.append("there is no order journal of today: Aurora has sent nothing")
        return None
    try:
        return stack.enter_context(contextlib.closing(OrderJournal.open(services.project, book, services.clock)))
    except LockHeld:
        notes.append("a session is at work and writes the journal itself; it was only compared")
        return None
