from __future__ import annotations

import json
from contextlib import ExitStack
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from aurora.errors import OperatorError
from aurora.market.mode import Mode
from aurora.session.account import VenueClock, read_account, read_venue_clock
from aurora.session.run import Attempt, run_session
from aurora.session.settings import SessionRequest
from tests.trading import FakeServices, ScriptedQuotes


def test_simulated_venue_starts_flat(tmp_path: Path) -> None:
    """Without a session before, the simulated account is flat and holds the profile's capital."""
    account = read_account(FakeServices(tmp_path), "")
    assert (account.flat, account.positions, account.working_orders) == (True, [], 0)
    assert account.cash_usd == 100_000
    assert account.source == "the simulated venue's opening book"


def test_account_after_a_session_is_what_it_left(tmp_path: Path) -> None:
    """After a session the simulated account is what that session left: flat, and poorer by what it paid."""
    request = SessionRequest(Mode.LIVE, ("SPY",), "scripted", steps=10)
    services = FakeServices(tmp_path, source=ScriptedQuotes())
    result = run_session(services, request, Attempt("a", tmp_path / "a"))
    account = read_account(services, result.recording)
    assert (account.flat, account.positions) == (True, [])
    assert account.cash_usd == 100_000 + result.pnl_usd
    assert "a/session.jsonl" in account.source


def test_session_that_left_a_position_is_not_flat(tmp_path: Path) -> None:
    """Trading rule 3: what a session left behind is told, and is not flat."""
    polls = [0]
    services = FakeServices(tmp_path, source=ScriptedQuotes())

    def kill(*_: object) -> None:
        polls[0] += 1
        if polls[0] == 14:
            services.kill_switch.flag.touch()

    request = SessionRequest(Mode.LIVE, ("SPY",), "scripted", steps=50)
    result = run_session(services, request, Attempt("a", tmp_path / "a", kill))
    account = read_account(services, result.recording)
    assert account.flat is False
    assert [(held.symbol, held.quantity) for held in account.positions] == [("SPY", 4)]


def test_session_that_was_killed_is_not_known_to_be_flat(tmp_path: Path) -> None:
    """A record without its end proves nothing: the account is not told to be flat."""
    request = SessionRequest(Mode.LIVE, ("SPY",), "scripted", steps=3)
    services = FakeServices(tmp_path, source=ScriptedQuotes())
    run_session(services, request, Attempt("a", tmp_path / "a"))
    path = tmp_path / "a/session.jsonl"
    whole = path.read_text().splitlines(keepends=True)
    assert json.loads(whole[-1])["type"] == "session.closed"
    path.write_text("".join(whole[:-1]))
    assert read_account(services, "a/session.jsonl").flat is False


def test_missing_record_is_told(tmp_path: Path) -> None:
    """A record that is not there is an operator's error."""
    with pytest.raises(OperatorError, match="can't be read"):
        read_account(FakeServices(tmp_path), "nowhere.jsonl")


def test_venue_clock_is_held_against_ours(tmp_path: Path) -> None:
    """The drift is the venue's time less the middle of asking; the simulated venue has no clock of its own."""
    services = FakeServices(tmp_path)
    assert read_venue_clock(services) == VenueClock(Decimal(0), independent=False)
    venue = services.open_venue(ExitStack())
    venue.server_time = lambda: services.clock.now() - timedelta(seconds=3)  # type: ignore[method-assign]
    services.open_venue = lambda stack: venue  # type: ignore[method-assign]
    assert read_venue_clock(services).drift_s == Decimal(3)
