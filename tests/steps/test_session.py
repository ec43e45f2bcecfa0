from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from aurora.errors import ProfileError, SafetyStop
from steps.session import live
from tests.steps.support import call, make_context


@pytest.mark.parametrize(("step", "sent"), [("paper", True), ("shadow", False), ("live", True)])
def test_session_steps_run_their_mode(tmp_path: Path, step: str, sent: bool) -> None:
    """Each session step runs in its mode, ends flat, and leaves its record among the step's artifacts."""
    result = call(f"session.{step}", tmp_path, symbols=["SPY", "TSLA"], quotes="dummy:seed=3", steps=60)
    assert (result.mode, result.flat, result.anomalies, result.steps) == (step, True, [], 60)
    assert result.orders > 0
    assert (result.orders_sent > 0) is sent
    assert result.recording == "runs/r/artifacts/session.jsonl"
    header = json.loads((tmp_path / result.recording).read_text().splitlines()[0])
    assert (header["mode"], header["session"]) == (step, "token-1")


def test_session_is_bounded_as_asked(tmp_path: Path) -> None:
    """Minutes, until and the poll interval of `with` are the session's."""
    result = call("session.paper", tmp_path, symbols=["SPY"], minutes=Decimal(2), poll_sec=Decimal("2.5"))
    assert result.polls == 48
    (tmp_path / "b").mkdir()
    assert call("session.paper", tmp_path / "b", symbols=["SPY"], until="09:36").polls == 12


def test_session_tells_its_progress_and_hears_stop(tmp_path: Path) -> None:
    """A session step tells its progress, and ends cleanly when the engine asks it to stop."""
    context = make_context(tmp_path)
    told: list[str] = []
    context.on_progress = lambda done, total, label: told.append(label)
    context.is_stopping = lambda: len(told) >= 5
    result = live(context, ["SPY"], steps=100)
    assert (result.ended, result.flat) == ("it was asked to stop", True)
    assert told[-1].startswith("poll 5,")


def test_live_is_refused_where_the_profile_is_not_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trading rule 1: mode, venue and profile agree, or nothing runs."""
    monkeypatch.setenv("HEARTBEAT_URL", "https://dead-man.invalid/s3cr3t")
    with pytest.raises(ProfileError, match="is for paper"):
        call("session.live", tmp_path, "paper_strict", symbols=["SPY"], steps=5)
    with pytest.raises(ProfileError, match="IB_ACCOUNT, which is not set"):
        call("session.live", tmp_path, "live_canary", symbols=["SPY"], steps=5)


def test_rehearsal_halts_and_cleans_up(tmp_path: Path) -> None:
    """The rehearsal halts a session by the real flag and takes its own flag away."""
    found = call("session.rehearse_kill_switch", tmp_path, symbols=["SPY"])
    assert (found.halted, found.opening_refused, found.flag_removed) == (True, True, True)
    assert not (tmp_path / "kill.flag").exists()
    (tmp_path / "kill.flag").touch()
    with pytest.raises(SafetyStop):
        call("session.rehearse_kill_switch", tmp_path, symbols=["SPY"])
