from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

from tests.steps.support import call


def test_rollup_agrees_with_the_session(tmp_path: Path) -> None:
    """The figures that are computed from the record are those that the session told."""
    result = call("session.live", tmp_path, symbols=["SPY", "TSLA"], steps=120)
    rollup = call("rollup.session", tmp_path, recording=result.recording)
    same = ("mode", "venue", "quotes", "polls", "steps", "orders", "blocked", "fills", "fees_usd", "turnover_usd",
            "notional_usd", "opened_usd", "anomalies", "fallbacks", "flat", "hold_share_pct")  # fmt: skip
    assert {name: getattr(rollup, name) for name in same} == {name: getattr(result, name) for name in same}
    assert rollup.closed
    assert rollup.within_caps
    assert (rollup.trade_cap_usd, rollup.notional_cap_usd) == (1000, 25_000)
    assert sum(hold.polls for hold in rollup.holds) >= result.holds
    assert rollup.cash_usd == 100_000 + result.pnl_usd
    assert rollup.slippage_enough
    assert rollup.slippage_median_bps is not None
    assert 0 < rollup.slippage_median_bps < 5


def test_a_clean_session_keeps_what_the_profile_promises(tmp_path: Path) -> None:
    """Of a session's own record, and of the week that it is all of: each promise is looked at and met."""
    result = call("session.live", tmp_path, symbols=["SPY", "TSLA"], steps=120)
    verdict = call("rollup.slo", tmp_path, recording=result.recording)
    assert {found.verdict for found in verdict.findings} == {"met"}, verdict
    assert (verdict.missed, verdict.unknown, verdict.advice) == ([], [], [])


def test_a_week_without_a_session_keeps_no_promise(tmp_path: Path) -> None:
    """Nothing recorded is unknown: what blocks is not green, the rest is advice."""
    verdict = call("rollup.period_slo", tmp_path, mode="shadow", days=7)
    assert {found.verdict for found in verdict.findings} == {"unknown"}
    assert len(verdict.unknown) == 4
    assert len(verdict.advice) == 6


def test_a_session_is_drawn_and_drawn_alike(tmp_path: Path) -> None:
    """Four files among the step's artifacts, each with a sentence; drawn again they have the same bytes."""
    result = call("session.live", tmp_path, symbols=["SPY", "TSLA"], steps=120)
    drawn = call("rollup.figures", tmp_path, recording=result.recording)
    assert drawn.files == ["slippage.svg", "loop_latency.svg", "equity.svg", "limits_used.svg"]
    assert (len(drawn.shows), drawn.undrawn) == (4, [])
    folder = tmp_path / "runs/r/artifacts"
    before = {name: (folder / name).read_bytes() for name in drawn.files}
    assert call("rollup.figures", tmp_path, recording=result.recording) == drawn
    assert {name: (folder / name).read_bytes() for name in drawn.files} == before


def test_what_did_not_happen_is_not_drawn(tmp_path: Path) -> None:
    """A session without a fill has no slippage figure, and says so; a week without a session has none at all."""
    result = call("session.shadow", tmp_path, symbols=["SPY"], steps=1)
    drawn = call("rollup.figures", tmp_path, recording=result.recording)
    assert drawn.files == ["loop_latency.svg", "equity.svg", "limits_used.svg"]
    assert drawn.undrawn == ["Slippage of shadow session, SPY: there is no fill, nothing to draw."]
    week = call("rollup.period_figures", tmp_path, mode="live", days=7)
    assert (week.files, len(week.undrawn)) == ([], 4)


def test_recorded_sessions_of_a_week_are_drawn(tmp_path: Path) -> None:
    """Sessions by hand and of runs are points of the week's figures."""
    for number in (1, 2):
        call("session.shadow", tmp_path, symbols=["SPY"], steps=60, quotes=f"dummy:seed={number}")
        made = next((tmp_path / "runs/r/artifacts").glob("**/session.jsonl"))
        place = tmp_path / f"sessions/{datetime.now(UTC):%Y-%m-%dT%H%M%S}.00{number}Z-abcd"
        place.mkdir(parents=True)
        made.replace(place / "session.jsonl")
        shutil.rmtree(tmp_path / "runs")
    week = call("rollup.period_figures", tmp_path, mode="shadow", days=7)
    assert week.files == ["slippage.svg", "loop_latency.svg", "equity.svg", "limits_used.svg"]
    assert all("2 shadow sessions of 7 days" in said for said in week.shows)
