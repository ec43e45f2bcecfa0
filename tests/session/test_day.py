"""A trading day that several sessions share, or that a crash cut in two."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from aurora.brokers.base import Broker
from aurora.brokers.simulated import SimulatedBroker
from aurora.clock import ManualClock
from aurora.errors import LockHeld, ProfileError
from aurora.execution.order_journal import ORDERS, Book, OrderJournal
from aurora.market.mode import Mode
from aurora.market.order import OrderState, OrderStatus
from aurora.quotes.base import QuoteSource
from aurora.risk.lockout import Lockout
from aurora.session.account import account_id
from aurora.session.result import SessionResult
from aurora.session.run import Attempt, run_session
from aurora.session.settings import SessionRequest
from tests.session.test_loop import Wants
from tests.trading import ROOT, START, FakeServices, ScriptedQuotes, make_order, make_profile, steady

BOOK = Book("live", "simulated", "SIM", START.date())


class RealQuotes(ScriptedQuotes):
    """A scripted market that says that it is the venue's own, now: its day is shared by all sessions."""

    realtime = True


def run(project: Path, name: str, model: Any = None, *, script: Any = None, **changes: Any) -> SessionResult:
    """Run one live session of the day, twenty steps long."""
    services = FakeServices(
        project, make_profile(**changes), RealQuotes(script or steady()), model or Wants("0.01", "0")
    )
    request = SessionRequest(Mode.LIVE, ("SPY",), "scripted", steps=20)
    return run_session(services, request, Attempt(name, project / name))


def day_of(project: Path) -> OrderJournal:
    """Return the day's journal, closed again."""
    orders = OrderJournal.open(project, BOOK, ScriptedQuotes().clock)
    orders.close()
    return orders


def test_sessions_of_a_day_share_its_caps(tmp_path: Path) -> None:
    """Trading rule 9: notional counts over the exchange day: what one session used, the next one lacks."""
    risk = {"risk": {"notional_daily_cap_pct": 12}}
    results = [run(tmp_path, name, **risk) for name in "abc"]
    assert results[0].notional_usd > 8_000
    assert max(result.notional_usd for result in results) <= 12_000
    assert results[2].blocked > results[0].blocked
    assert results[2].notional_usd == day_of(tmp_path).day.use.notional_usd


def test_recorded_days_are_nobody_elses(tmp_path: Path) -> None:
    """A session on generated or recorded quotes keeps a day of its own: it can be run again and decides alike."""
    for name in "ab":
        services = FakeServices(tmp_path, make_profile(), ScriptedQuotes(steady()), Wants("0.01", "0"))
        run_session(services, SessionRequest(Mode.LIVE, ("SPY",), "x", steps=20), Attempt(name, tmp_path / name))
    lines = [(tmp_path / name / "orders.jsonl").read_text().count("\n") for name in "ab"]
    assert lines[0] == lines[1]
    assert not (tmp_path / ORDERS).exists()


def test_loss_of_the_day_counts_over_sessions(tmp_path: Path) -> None:
    """Trading rule 9: two sessions that each lose less than the limit are locked out by what they lose together."""
    limit = {"risk": {"daily_loss_limit_pct": "0.02", "daily_fee_cap_usd": 1000, "min_trade_usd": 1}}
    first, second = run(tmp_path, "a", **limit), run(tmp_path, "b", **limit)
    assert first.anomalies == []
    assert second.anomalies[0].startswith("loss of the day ")
    assert second.anomalies[0].endswith("limit 20.00 USD")
    assert -first.pnl_usd < 20
    assert -(first.pnl_usd + second.pnl_usd) > 20


def test_capital_is_the_first_sessions(tmp_path: Path) -> None:
    """Trading rule 9: the day's capital is frozen: a profile with more does not raise it within the day."""
    run(tmp_path, "a", capital_usd=50_000)
    result = run(tmp_path, "b", capital_usd=100_000)
    assert day_of(tmp_path).day.capital_usd == 50_000
    assert result.largest_trade_usd <= 500


def test_session_at_the_same_time_is_refused(tmp_path: Path) -> None:
    """Two sessions of an account at once are refused: each would count only its own half of the day."""
    orders = OrderJournal.open(tmp_path, BOOK, ScriptedQuotes().clock)
    with pytest.raises(LockHeld):
        run(tmp_path, "a")
    orders.close()


def test_session_first_learns_what_became_of_open_orders(tmp_path: Path) -> None:
    """Trading rule 8: an order that a session before left open is an anomaly: it ends at once, flat."""
    orders = OrderJournal.open(tmp_path, replace(BOOK, venue="paper"), ScriptedQuotes().clock)
    orders.intend(make_order(), opens=True, held=0)
    orders.close()
    result = run(tmp_path, "b", venue="paper")
    assert result.anomalies[0].startswith("NOT_RECEIVED: BUY 5 SPY (a-1)")
    assert (result.polls, result.orders, result.locked_out, result.flat) == (0, 0, True, True)


def test_order_of_an_earlier_day_is_closed_by_a_persons_word(tmp_path: Path) -> None:
    """Trading rule 8: the venue tells the day's executions only; what an earlier day left open waits for an unlock."""
    friday = ManualClock(START - timedelta(days=3))
    orders = OrderJournal.open(tmp_path, replace(BOOK, venue="paper", day=friday.now().date()), friday)
    orders.intend(make_order(), opens=True, held=0)
    orders.close()
    for name in "ab":
        Lockout(tmp_path, "live").path.unlink(missing_ok=True)  # taken away by hand: that is no word on the order
        result = run(tmp_path, name, venue="paper")
        assert result.anomalies == ["BUY 5 SPY (a-1), of before 2026-01-05, has no end on record"]
        assert (result.orders, result.locked_out) == (0, True)
    Lockout(tmp_path, "live").lift("TWS shows that it never came", None, "kim", ManualClock(START + timedelta(hours=1)))
    assert run(tmp_path, "c", venue="paper").anomalies == []
    assert run(tmp_path, "d", venue="paper").anomalies == []


def test_foreign_execution_locks_the_session_out(tmp_path: Path) -> None:
    """Trading rule 2: an execution of somebody else's order on a dedicated account is an anomaly; nor is that flat."""

    class Shared(FakeServices):
        def open_broker(self, mode: Mode, source: QuoteSource) -> Broker:
            broker = super().open_broker(mode, source)
            broker.place_order(make_order("theirs", limit="169.00"))
            return broker

    services = Shared(tmp_path, make_profile(), ScriptedQuotes(steady()), Wants())
    request = SessionRequest(Mode.LIVE, ("SPY",), "x", steps=20)
    result = run_session(services, request, Attempt("a", tmp_path / "a"))
    order, execution = result.anomalies[:2]
    assert order == "foreign order theirs: BUY 5 SPY is not Aurora's"
    assert execution.startswith("foreign execution theirs: BUY 5 SPY")
    assert (result.locked_out, result.flat) == (True, False)
    assert result.left == "the venue holds nothing, asked twice; the record adds up to -5 SPY"


def test_foreign_order_locks_the_session_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trading rule 2: so is a working order of somebody else, before it has traded; it is told once, and cancelled."""
    theirs = OrderState(make_order("perm-7", limit="1.00"), OrderStatus.WORKING)
    reads, cancels = SimulatedBroker.open_orders, SimulatedBroker.cancel_all
    there = [theirs]

    def cancel_all(self: SimulatedBroker) -> None:
        there.clear()
        cancels(self)

    monkeypatch.setattr(SimulatedBroker, "open_orders", lambda self: (*reads(self), *there))
    monkeypatch.setattr(SimulatedBroker, "cancel_all", cancel_all)
    result = run(tmp_path, "a")
    assert result.anomalies == ["foreign order perm-7: BUY 5 SPY is not Aurora's"]
    assert (result.orders, result.locked_out, result.flat) == (0, True, True)


DIES = """
import os, signal, sys
from pathlib import Path
from tests.session.test_day import dying_session
dying_session(Path(sys.argv[1]))
"""


def dying_session(project: Path) -> None:
    """Run a session that is killed in its sixteenth poll, while it holds a position."""
    services = FakeServices(project, make_profile(), RealQuotes(steady()), Wants("0.01"))
    polls = [0]

    def die(*_: object) -> None:
        polls[0] += 1
        if polls[0] == 16:
            os.kill(os.getpid(), signal.SIGKILL)

    run_session(services, SessionRequest(Mode.LIVE, ("SPY",), "x", steps=20), Attempt("died", project / "died", die))


def test_killed_session_still_counts(tmp_path: Path) -> None:
    """Trading rule 9: what a killed session sent counts for the rest of the day; its simulated book is gone."""
    done = subprocess.run([sys.executable, "-c", DIES, str(tmp_path)], cwd=ROOT)
    assert done.returncode == -signal.SIGKILL
    used = day_of(tmp_path).day.use.notional_usd
    assert used > 0
    result = run(tmp_path, "b")
    assert (result.anomalies, result.flat) == ([], True)
    assert result.notional_usd > used


def test_account_comes_from_the_environment(tmp_path: Path) -> None:
    """The account's id stands in the environment; one that is not set is refused by the variable's name."""
    services = FakeServices(tmp_path, make_profile(account={"id": "env:IB_ACCOUNT"}))
    with pytest.raises(ProfileError, match="IB_ACCOUNT, which is not set"):
        account_id(services)
    assert account_id(replace(services, environment={"IB_ACCOUNT": "DU1"})) == "DU1"
    assert account_id(FakeServices(tmp_path)) == "SIM"
