"""Lockouts that outlive the session that was locked out."""

from __future__ import annotations

import threading
from decimal import Decimal
from pathlib import Path

import pytest

from aurora.alerts.base import Alert, Delivery
from aurora.clock import ManualClock, iso
from aurora.errors import SafetyStop
from aurora.execution.router import Stage
from aurora.market.mode import Mode
from aurora.risk.lockout import Lockout
from aurora.session.loop import Session
from aurora.session.run import Attempt, run_session
from aurora.session.settings import SessionRequest
from tests.session.test_day import run as run_day
from tests.session.test_loop import Ran, Wants, run
from tests.trading import START, FakeServices, ScriptedQuotes, make_profile, steady


class Fails(Wants):
    """A model that has no answer."""

    def weight(self, features: object) -> Decimal:
        raise ValueError("no answer")


def session(project: Path, name: str, mode: Mode = Mode.LIVE, *, fails: bool = False) -> Ran:
    """Run a session in a folder of its own."""
    (project / name).mkdir()
    (project / name / "runlocks").symlink_to(project / "runlocks")
    (project / "runlocks").mkdir(exist_ok=True)
    return run(project / name, model=Fails() if fails else Wants(), mode=mode)


def test_anomaly_locks_live_out_on_disk(tmp_path: Path) -> None:
    """Trading rules 11, 23: the first anomaly of a live session writes the lock; the next session does not begin."""
    ran = session(tmp_path, "a", fails=True)
    lockout = Lockout(tmp_path, "live")
    assert [anomaly.reason for anomaly in lockout.anomalies()] == ran.result.anomalies
    assert (lockout.anomalies()[0].session, lockout.anomalies()[0].at) == ("test", iso(START))  # the machine's clock
    assert "model fallback" in ran.result.anomalies[0]
    with pytest.raises(SafetyStop, match=r"live is locked out.*model fallback"):
        session(tmp_path, "b")
    assert not (tmp_path / "b/records").exists()
    lockout.lift("a bad model", None, "ada", ManualClock(START))
    assert session(tmp_path, "c").result.anomalies == []


@pytest.mark.parametrize("mode", [Mode.PAPER, Mode.SHADOW])
def test_paper_and_shadow_lockouts_end_with_their_session(tmp_path: Path, mode: Mode) -> None:
    """Trading rule 23: a paper or shadow lockout leaves no lock, and live's lock does not stop them."""
    assert session(tmp_path, "a", mode, fails=True).result.locked_out
    assert not any((tmp_path / "runlocks").iterdir())
    Lockout(tmp_path, "live").set("reject", "s", START)
    assert session(tmp_path, "b", mode).result.anomalies == []


@pytest.mark.parametrize("mode", list(Mode))
def test_first_anomaly_is_told_at_once(tmp_path: Path, mode: Mode) -> None:
    """Trading rule 11: a lockout of any mode is told, once, with the anomaly; a clean session tells nothing."""
    (notice,) = session(tmp_path, "a", mode, fails=True).services.notices
    assert "model fallback: SPY: ValueError: no answer. It flattens and ends" in notice
    assert ("only invoke unlock lifts it" in notice) == (mode is Mode.LIVE)
    (tmp_path / "runlocks/live.lock").unlink(missing_ok=True)
    assert session(tmp_path, "b", mode).services.notices == []


def test_wide_spread_is_told_at_five_polls(tmp_path: Path) -> None:
    """Trading rule 11: a wide spread is told at five polls, also where a profile locks out later."""
    wide = {"risk": {"max_spread_bps": "0.1", "breaker": {"same_hold_polls": 8, "hold_share_after_polls": 1000}}}
    ran = run(tmp_path, profile=wide)
    assert ran.services.notices[0].startswith("wide for 5 polls running (SPY: spread ")
    assert [line["n"] for line in ran.polls][-1] == 8
    assert ran.result.anomalies[0].startswith("wide for 8 polls running")


def test_alerts_that_hang_do_not_hold_the_exit(tmp_path: Path) -> None:
    """An alert goes out beside the session: the flatten does not wait for somebody's network."""
    told = threading.Event()
    flat: list[bool] = []

    class Hanging(FakeServices):
        def notify(self, alert: Alert) -> Delivery:
            told.wait(30)
            return super().notify(alert)

    services = Hanging(tmp_path, make_profile(), ScriptedQuotes(steady()), Fails())

    def look(ran: Session) -> None:
        flat.append(ran.flat)
        told.set()

    request = SessionRequest(Mode.LIVE, ("SPY",), "x", steps=5)
    run_session(services, request, Attempt("a", tmp_path / "records"), after_run=look)
    assert (flat, len(services.notices)) == ([True], 1)


def test_lock_is_there_before_the_flatten(tmp_path: Path) -> None:
    """Trading rule 11: the lock is on disk before the way out begins: a crash in a flatten must not forget it."""
    seen: list[bool] = []

    def on_poll(number: int, services: FakeServices) -> None:
        if number == 15:
            broker = services.brokers[0]
            cancel_all = broker.cancel_all

            def cancel() -> None:
                seen.append(Lockout(tmp_path, "live").stands)
                cancel_all()

            broker.cancel_all = cancel  # type: ignore[method-assign]

    class FailsLate(Wants):
        def weight(self, features: object) -> Decimal:
            self.asked += 1
            if self.asked > 6:
                raise ValueError("no answer")
            return Decimal("0.01")

    ran = run(tmp_path, model=FailsLate(), on_poll=on_poll)
    assert (ran.result.locked_out, ran.result.flat, seen) == (True, True, [True])


def test_lock_of_another_session_stops_this_one(tmp_path: Path) -> None:
    """Trading rule 23: a lockout that another session sets stops this one's orders at the door."""

    def on_poll(number: int, services: FakeServices) -> None:
        if number == 12:
            Lockout(tmp_path, "live").set("drift", "reconcile", START)

    ran = run(tmp_path, model=Wants("0.01", "0"), on_poll=on_poll)
    late = [line for line in ran.decisions if line["stage"] == Stage.LOCKOUT]
    assert late
    assert "live.lock stands" in late[0]["reason"]
    assert ran.result.flat


def test_disk_that_refuses_the_lock_does_not_stop_the_exit(tmp_path: Path) -> None:
    """Where the lock can't be written the session still leaves flat, and says that it is not locked out on disk."""

    def on_poll(number: int, services: FakeServices) -> None:
        if number == 1:
            (tmp_path / "runlocks").touch()

    ran = run(tmp_path, model=Fails(), on_poll=on_poll)
    assert ran.result.flat
    assert any(text.startswith("the lockout could not be written") for text in ran.result.anomalies)


def test_drawdown_is_measured_from_the_last_unlock(tmp_path: Path) -> None:
    """Trading rule 9: after an unlock the high-water mark begins anew; without one the next session stops again."""
    limits = {"risk": {"max_drawdown_pct": "0.02", "daily_loss_limit_pct": 1, "daily_fee_cap_usd": 1000}}
    anomalies = [run_day(tmp_path, "a", **limits).anomalies]
    lockout = Lockout(tmp_path, "live")
    for name in "bc":
        anomalies.append(run_day(tmp_path, name, **limits).anomalies)
        if lockout.stands and name == "b":
            lockout.path.unlink()  # nobody's unlock: nothing is on record
    lockout.lift("fees of tiny orders", None, "ada", ManualClock(START))
    anomalies.append(run_day(tmp_path, "d", **limits).anomalies)
    assert [bool(each) for each in anomalies] == [False, True, True, False]
    assert all(each[0].startswith("drawdown ") for each in anomalies[1:3])
