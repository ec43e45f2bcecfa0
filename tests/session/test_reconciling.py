from __future__ import annotations

import contextlib
from decimal import Decimal
from pathlib import Path

import pytest

from aurora.brokers.base import Broker
from aurora.errors import VenueRefusal
from aurora.execution.order_journal import OrderJournal, read_day
from aurora.execution.reconciliation import Kind
from aurora.market.order import OrderStatus
from aurora.risk.lockout import Lockout
from aurora.session.account import live_book
from aurora.session.reconciling import Reconciled, reconcile_account
from tests.execution.venue_on_disk import VenueOnDisk
from tests.trading import FakeServices, make_order, make_profile


class Desk(FakeServices):
    """Services whose account is at a venue on disk."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.venue = VenueOnDisk(self.project / "venue")

    def open_observer(self, stack: contextlib.ExitStack) -> Broker:
        del stack
        return self.venue


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Return a desk whose journal has an order that the venue filled, and no end of it."""
    desk = Desk(tmp_path, make_profile())
    with contextlib.closing(OrderJournal.open(tmp_path, live_book(desk), desk.clock)) as orders:
        orders.intend(make_order("a-1"), opens=True, held=0)
    desk.venue.path.write_text("a-1\n")
    desk.clock.sleep(120)
    return desk


def run(desk: Desk, *, records: bool = True) -> Reconciled:
    """Reconcile the desk's account."""
    with contextlib.ExitStack() as stack:
        return reconcile_account(desk, stack, records=records)


def test_what_the_venue_knows_is_recorded_and_no_drift(desk: Desk) -> None:
    """Issue: it records what it learned; an UNKNOWN order that the venue filled is filled, on record, and clean."""
    result = run(desk)
    assert (result.is_clean, result.findings, result.orders, result.fills) == (True, [], 1, 1)
    day = read_day(desk.project, live_book(desk))
    assert (day.orders["a-1"].status, day.holdings) == (OrderStatus.FILLED, {"SPY": 5})
    assert result.fees_usd == sum(fill.fee or 0 for fill in day.fills.values()) > 0
    assert not Lockout(desk.project, "live").stands


def test_dry_run_writes_nothing(desk: Desk) -> None:
    """With --dry-run the journal stays as it is, and live is not locked out whatever was found."""
    path = live_book(desk).path(desk.project)
    before = path.read_bytes()
    desk.venue.path.write_text("a-1\na-9\n")
    result = run(desk, records=False)
    kinds = {finding.kind for finding in result.findings}
    assert kinds == {Kind.UNKNOWN_RESOLVED, Kind.FOREIGN, Kind.POSITION}
    assert (result.is_clean, result.is_locked_out) == (False, False)
    assert path.read_bytes() == before
    assert not Lockout(desk.project, "live").stands


def test_drift_locks_live_out(desk: Desk) -> None:
    """Rules 11, 20: drift is an anomaly; live is locked out with each finding as its reason."""
    desk.venue.path.write_text("a-1\na-9\n")
    result = run(desk)
    assert result.is_locked_out
    reasons = [anomaly.reason for anomaly in Lockout(desk.project, "live").anomalies()]
    assert any(reason.startswith("drift: foreign order: BUY 5 SPY (a-9)") for reason in reasons)
    assert any(reason == "drift: position: SPY: 5 shares on record, 10 shares at the venue" for reason in reasons)


def test_beside_a_session_it_only_compares(desk: Desk) -> None:
    """Issue: it runs beside a session, which holds the journal and writes it itself."""
    with contextlib.closing(OrderJournal.open(desk.project, live_book(desk), desk.clock)):
        result = run(desk)
    assert result.notes == ["a session is at work and writes the journal itself; it was only compared"]
    assert [finding.kind for finding in result.findings] == [Kind.UNKNOWN_RESOLVED]


def test_day_without_orders_is_compared_too(tmp_path: Path) -> None:
    """Without a journal nothing was sent; an account that holds something drifts all the same."""
    desk = Desk(tmp_path, make_profile())
    assert run(desk).is_clean
    desk.venue.path.write_text("a-9\n")
    result = run(desk)
    assert result.notes == ["there is no order journal of today: Aurora has sent nothing"]
    assert {finding.kind for finding in result.findings} == {Kind.FOREIGN, Kind.POSITION}


def test_venue_that_says_half_is_refused(desk: Desk) -> None:
    """A venue that does not answer has not been reconciled, and nothing is called clean."""

    def silent() -> Decimal:
        raise VenueRefusal("The venue did not answer within 10 s.")

    desk.venue.cash = silent  # type: ignore[method-assign]
    with pytest.raises(VenueRefusal):
        run(desk)
