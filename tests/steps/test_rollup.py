from __future__ import annotations

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
