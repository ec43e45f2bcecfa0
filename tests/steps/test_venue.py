from __future__ import annotations

from pathlib import Path

import pytest

from aurora.errors import ProfileError, VenueRefusal
from tests.steps.support import call


def test_simulated_account_is_flat(tmp_path: Path) -> None:
    """positions() and cash() answer, and the account is flat."""
    account = call("venue.positions_and_cash", tmp_path)
    assert (account.flat, account.cash_usd, account.venue) == (True, 100_000, "simulated")


def test_account_after_a_session_is_read_from_its_record(tmp_path: Path) -> None:
    """With a recording, the account is what that session left."""
    result = call("session.live", tmp_path, symbols=["SPY", "TSLA"], steps=60)
    account = call("venue.positions_and_cash", tmp_path, recording=result.recording)
    assert account.flat
    assert account.cash_usd == 100_000 + result.pnl_usd


def test_venue_that_can_not_be_reached_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A venue that can't be reached is not told to be flat."""
    for name, value in {"IB_ACCOUNT": "U1", "IB_PORT": "9", "IB_CLIENT_ID": "1"}.items():
        monkeypatch.setenv(name, value)
    for step in ("positions_and_cash", "clock"):
        with pytest.raises(VenueRefusal):
            call(f"venue.{step}", tmp_path, "live_canary")


def test_simulated_venue_has_no_settings_to_probe(tmp_path: Path) -> None:
    """Asked of the simulated venue, no probe is green: there is nothing that it could have looked at."""
    reached = call("venue.reach", tmp_path)
    assert (reached.broker, len(reached.problems)) == ("", 1)
    assert "no account at IBKR" in reached.problems[0]
    for step in ("market_data", "terms", "orders_taken"):
        with pytest.raises(ProfileError, match="no account at IBKR"):
            call(f"venue.{step}", tmp_path, symbols=["SPY"])


def test_clock_of_the_simulated_venue_proves_nothing(tmp_path: Path) -> None:
    """The simulated venue's clock is ours: the drift is nothing, and it says that it is no independent clock."""
    clock = call("venue.clock", tmp_path)
    assert (clock.independent, abs(clock.drift_s) < 1) == (False, True)
