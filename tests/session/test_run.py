from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aurora.desk import Desk
from aurora.errors import ProfileError, RecordError, SafetyStop, UsageError, VenueRefusal
from aurora.market.mode import Mode
from aurora.risk.loosening import limits_of
from aurora.session.result import SessionResult
from aurora.session.run import Attempt, run_session, shown_path
from aurora.session.settings import SessionRequest
from tests.trading import (
    LEAN,
    START,
    FakeServices,
    ScriptedQuotes,
    bar,
    give_models,
    lean_path,
    make_profile,
    needs_data,
    write_lean,
    write_zip,
)


def session(project: Path, quotes: str, *symbols: str, name: str = "a", **request: Any) -> SessionResult:
    """Run a session on generated or recorded quotes with the shipped strategy."""
    desk = Desk(give_models(project), make_profile("sim"), {})
    asked = SessionRequest(Mode.LIVE, symbols or ("SPY", "TSLA"), quotes, **request)
    return run_session(desk, asked, Attempt(name, project / name))


def record(project: Path, name: str = "a") -> list[dict[str, Any]]:
    """Return a record's lines without what a second run can't repeat."""
    lines = [json.loads(line) for line in (project / name / "session.jsonl").read_text().splitlines()]
    for line in lines:
        for varying in ("phase_times_ms", "session"):
            line.pop(varying, None)
        if "result" in line:
            for varying in ("loop_p95_ms", "recording", "quotes"):
                line["result"].pop(varying)
        if line["type"] == "session.opened":
            line.pop("quotes")
            line.pop("orders")
        for decision in [*line.get("decisions", []), *line.get("orders", []), *line.get("fills", [])]:
            decision["ref"] = decision["ref"].partition("-")[2]
    return lines


def test_rehearsal_session_is_clean(tmp_path: Path) -> None:
    """The shipped sim profile on generated quotes trades, keeps its caps, and ends flat without an anomaly."""
    result = session(tmp_path, "dummy", steps=120)
    assert (result.anomalies, result.fallbacks, result.flat, result.rejected) == ([], 0, True, 0)
    assert result.fills > 10
    assert result.largest_trade_usd <= 1000
    assert result.notional_usd <= 25_000
    assert result.hold_share_pct <= 5
    assert result.bars_decided >= 40
    assert (result.mode, result.venue, result.realtime) == ("live", "simulated", False)
    assert result.recording == "a/session.jsonl"


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_caps_hold_for_any_day(tmp_path: Path, seed: int) -> None:
    """Whatever the quotes do, no order is above its cap and the day stays under its cap, the way out included."""
    result = session(tmp_path, f"dummy:seed={seed}", minutes=Decimal(90))
    assert result.largest_trade_usd <= 1000
    assert result.opened_usd <= result.notional_usd <= 25_000
    assert result.blocked > 0
    assert result.flat


def test_same_session_leaves_the_same_record(tmp_path: Path) -> None:
    """Two sessions on the same quotes leave the same record, but for how long their loops took."""
    for name in ("a", "b"):
        session(tmp_path, "dummy:seed=9", steps=60, name=name)
    assert record(tmp_path, "a") == record(tmp_path, "b")


def test_record_replays_to_the_same_record(tmp_path: Path) -> None:
    """A session on its own record decides, fills and ends as it did: what it acted on is all there."""
    session(tmp_path, "dummy:seed=9", steps=60)
    session(tmp_path, "replay:a/session.jsonl", steps=60, name="b")
    assert record(tmp_path, "a") == record(tmp_path, "b")


def test_header_and_result_frame_the_record(tmp_path: Path) -> None:
    """The record begins with what the session is, ends with its result, and every poll is between."""
    result = session(tmp_path, "dummy", steps=5)
    lines = [json.loads(line) for line in (tmp_path / "a/session.jsonl").read_text().splitlines()]
    types = [line["type"] for line in lines]
    assert types == ["session.opened", *["poll"] * result.polls, "flatten", "session.closed"]
    header = lines[0]
    assert (header["mode"], header["venue"], header["quotes"]) == ("live", "simulated", "dummy:seed=7")
    profile = make_profile("sim")
    assert header["profile"] == {"name": "sim", "digest": profile.digest, "limits": limits_of(profile)}
    assert lines[-1]["result"]["flat"] is True
    assert list(lines[1]["phase_times_ms"]) == ["quotes", "tripwires", "features", "predict", "risk", "route", "record"]


def test_lean_recording_is_traded(tmp_path: Path) -> None:
    """A session runs on a Lean recording from the open + 5 min until the recording ends."""
    write_lean(tmp_path / "data")
    result = session(tmp_path, "replay:data", "SPY", "IBM")
    assert result.ended == "the recording has ended"
    assert (result.polls, result.flat) == (121, True)


def test_damage_in_a_recording_ends_the_session_flat(tmp_path: Path) -> None:
    """A recording that turns out damaged ends the session as an anomaly that names file and line."""
    opens = 34_200
    lines = [bar(opens + n, 1_680_000, 1_680_100) for n in range(500)] + ["damage"]
    write_zip(lean_path(tmp_path / "data", "second", "spy"), lines)
    result = session(tmp_path, "replay:data", "SPY")
    assert "20131007_quote.zip:501: 1 columns" in result.anomalies[0]
    assert (result.locked_out, result.flat) == (True, True)


def test_kill_flag_refuses_a_session(tmp_path: Path) -> None:
    """A session does not start under a kill flag, and leaves no record."""
    (tmp_path / "kill.flag").touch()
    with pytest.raises(SafetyStop):
        session(tmp_path, "dummy", steps=5)
    assert not (tmp_path / "a").exists()


def test_live_asks_for_a_live_profile(tmp_path: Path) -> None:
    """Trading rule 1: a live session under a paper profile is refused by name."""
    desk = Desk(give_models(tmp_path), make_profile("paper_strict"), {})
    request = SessionRequest(Mode.LIVE, ("SPY",), "dummy", steps=5)
    with pytest.raises(ProfileError, match="paper_strict is for paper"):
        run_session(desk, request, Attempt("a", tmp_path))


@pytest.mark.parametrize(
    ("quotes", "symbols", "error"),
    [
        ("tape", ("SPY",), UsageError),
        ("dummy", ("spy",), VenueRefusal),
        ("dummy", (), UsageError),
        ("ibkr", ("SPY",), VenueRefusal),
    ],
)
def test_session_that_cannot_start_leaves_nothing(
    tmp_path: Path, quotes: str, symbols: tuple[str, ...], error: type[Exception]
) -> None:
    """A session that is refused leaves no record, and its source is closed."""
    services = FakeServices(tmp_path)
    with pytest.raises(error):
        run_session(services, SessionRequest(Mode.PAPER, symbols, quotes), Attempt("a", tmp_path / "a"))
    assert not (tmp_path / "a").exists()


def test_source_is_closed_whatever_happens(tmp_path: Path) -> None:
    """The source is closed after a session, and after one that could not open its record."""
    first, second = ScriptedQuotes(), ScriptedQuotes()
    request = SessionRequest(Mode.PAPER, ("SPY",), "scripted", steps=2)
    run_session(FakeServices(tmp_path, source=first), request, Attempt("a", tmp_path / "a"))
    with pytest.raises(RecordError, match="can't be opened"):
        run_session(FakeServices(tmp_path, source=second), request, Attempt("a", tmp_path / "a"))
    assert (first.closed, second.closed) == (True, True)


def test_refs_are_unique_for_ever(tmp_path: Path) -> None:
    """An order's ref holds a digest of the attempt and a number: two sessions never share one."""
    refs: set[str] = set()
    for name in ("first", "second"):
        session(tmp_path, "dummy", steps=30, name=name)
        lines = [json.loads(line) for line in (tmp_path / name / "session.jsonl").read_text().splitlines()]
        own = {decision["ref"] for line in lines for decision in line.get("decisions", [])}
        assert own
        assert all(len(ref) == 18 for ref in own)
        assert not own & refs
        refs |= own


def test_paths_inside_the_project_are_relative(tmp_path: Path) -> None:
    """A recording inside the project is named relative to it, so that a record names no place on this machine."""
    assert shown_path(tmp_path / "runs/x", tmp_path) == "runs/x"
    assert shown_path(Path("/elsewhere/x"), tmp_path) == "/elsewhere/x"


def test_start_is_a_monday_after_the_open() -> None:
    """The scripted clock begins where a session may begin at once."""
    assert START.weekday() == 0


@needs_data
@pytest.mark.slow
def test_five_thousand_polls_of_a_replayed_day(tmp_path: Path) -> None:
    """A replayed day of 5,000 polls runs to its end and is flat."""
    result = session(tmp_path, f"replay:{LEAN}", "SPY", steps=5000, poll_sec=Decimal(2))
    assert (result.steps, result.flat) == (5000, True)


@needs_data
def test_recorded_spy_day_is_clean(tmp_path: Path) -> None:
    """Measured: SPY's recorded morning is traded without an anomaly, at a false-HOLD share far under 5 %."""
    result = session(tmp_path, f"replay:{LEAN}?day=2013-10-07", "SPY", steps=700)
    assert (result.anomalies, result.flat) == ([], True)
    assert result.hold_share_pct < 5


@needs_data
def test_recorded_ibm_day_locks_out(tmp_path: Path) -> None:
    """Measured: IBM's ticks are older than 1.5 s for about 40 % of the day: the breaker locks it out."""
    result = session(tmp_path, f"replay:{LEAN}", "SPY", "IBM", steps=120)
    assert result.locked_out
    assert result.anomalies[0].startswith("IBM: held in ")
