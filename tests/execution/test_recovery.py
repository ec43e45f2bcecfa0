from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from aurora.clock import ManualClock
from aurora.execution.order_journal import OrderJournal
from aurora.execution.recovery import BETWEEN_READS_S, PATIENCE_S, learn_the_truth
from aurora.execution.router import Stage
from aurora.market.order import OrderStatus
from tests.execution.venue_on_disk import BOOK, VenueOnDisk, open_router
from tests.trading import ROOT, START, make_order, make_quote


def killed_session(project: Path, moment: str) -> VenueOnDisk:
    """Let a process die while it sends the order a-1; return the venue as it is then."""
    command = [sys.executable, "-m", "tests.execution.venue_on_disk", str(project), moment]
    assert subprocess.run(command, cwd=ROOT).returncode == -signal.SIGKILL
    return VenueOnDisk(project / "venue")


def learn(project: Path, venue: VenueOnDisk) -> tuple[list[str], OrderJournal, float]:
    """Do what the next session does first; return the anomalies, the journal, and how long it took."""
    clock = ManualClock(START)
    orders = OrderJournal.open(project, BOOK, clock)
    return learn_the_truth(orders, venue, clock), orders, clock.monotonic()


@pytest.mark.parametrize(("moment", "sent"), [("before", []), ("after", ["a-1"])])
def test_killed_session_leaves_its_intent_on_disk(tmp_path: Path, moment: str, sent: list[str]) -> None:
    """Trading rule 8: killed between intent and send, or between send and answer, the order is UNKNOWN and counted."""
    venue = killed_session(tmp_path, moment)
    assert venue.sent() == sent
    with closing(OrderJournal.open(tmp_path, BOOK, ManualClock(START))) as orders:
        assert orders.day.orders["a-1"].status is OrderStatus.UNKNOWN
        assert orders.day.use.notional_usd > 0


@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_intent_becomes_one_order_at_most(tmp_path: Path, moment: str) -> None:
    """A ref that was on disk when the session died is never sent by the next one, whatever became of it."""
    venue = killed_session(tmp_path, moment)
    before = venue.sent()
    router = open_router(tmp_path, venue)
    router.settle()  # what is not known of it is told: an anomaly, which a session would stop at
    assert router.route(make_order(), make_quote()).stage is Stage.DUPLICATE
    assert venue.sent() == before
    router.orders.close()


def test_order_that_arrived_is_learned_with_its_fill(tmp_path: Path) -> None:
    """Killed between send and answer: the venue tells the end and the fill, and there is no anomaly in that."""
    anomalies, orders, took_s = learn(tmp_path, killed_session(tmp_path, "after"))
    assert (anomalies, orders.day.open_refs(), took_s) == ([], [], 0)
    assert orders.day.orders["a-1"].status is OrderStatus.FILLED
    assert orders.day.holdings == {"SPY": 5}
    orders.close()


def test_order_that_never_left_is_not_received_by_evidence(tmp_path: Path) -> None:
    """Trading rule 8: NOT_RECEIVED takes 30 s and two full reads 5 s apart; it stays an anomaly all the same."""
    venue = killed_session(tmp_path, "before")
    anomalies, orders, took_s = learn(tmp_path, venue)
    assert "NOT_RECEIVED: BUY 5 SPY (a-1) was meant and never reached the venue" in anomalies[0]
    assert took_s >= PATIENCE_S + BETWEEN_READS_S
    assert orders.day.orders["a-1"].status is OrderStatus.NOT_RECEIVED
    assert orders.day.use.notional_usd == 0
    assert venue.cancelled == ["a-1"]
    orders.close()


def test_unknown_order_with_a_changed_position_stays_unknown(tmp_path: Path) -> None:
    """Trading rule 8: when the venue knows no order but holds shares that the record doesn't, nothing is concluded."""
    venue = killed_session(tmp_path, "after")
    venue.answers = False
    venue.orders = list  # type: ignore[method-assign]
    anomalies, orders, _ = learn(tmp_path, venue)
    assert anomalies == ["UNKNOWN: BUY 5 SPY (a-1) has no end; SPY is at 5 shares, 0 by the record"]
    assert (orders.day.open_refs(), orders.day.use.notional_usd > 0) == (["a-1"], True)
    orders.close()


def test_order_that_turns_up_in_a_full_read_stays_unknown(tmp_path: Path) -> None:
    """Trading rule 8: a ref that any full read speaks of was received, even where its state can't be told."""
    venue = killed_session(tmp_path, "after")
    venue.answers = False
    venue.positions = list  # type: ignore[method-assign]
    anomalies, orders, _ = learn(tmp_path, venue)
    assert anomalies[0].startswith("UNKNOWN: BUY 5 SPY (a-1) has no end")
    orders.close()


def test_nothing_open_takes_no_time(tmp_path: Path) -> None:
    """A day without open orders is learned at once."""
    anomalies, orders, took_s = learn(tmp_path, VenueOnDisk(tmp_path / "venue"))
    assert (anomalies, took_s) == ([], 0)
    orders.close()
