from __future__ import annotations

from pathlib import Path

from tests.steps.support import call


def test_rollup_agrees_with_the_session(tmp_path: Path) -> None:
    """The figures that are computed from the record are those that the session told."""
    result = call("session.live", tmp_path, symbols=["SPY", "TSLA"], steps=120)
    rollup = call("rollup.session", tmp_path, recording=result.recording)
    same = ("mode", "venue", "quotes", "polls", "steps", "orders", "blocked", "fills", "fees_usd", "turnover_usd",
            "notional_usd", "opened_usd", "anomalies", "fallbacks", "flat")  # fmt: skip
    assert {name: getattr(rollup, name) for name in same} == {name: getattr(result, name) for name in same}
    assert rollup.closed
    assert rollup.within_caps
    assert (rollup.trade_cap_usd, rollup.notional_cap_usd) == (1000, 25_000)
    assert sum(hold.polls for hold in rollup.holds) >= result.holds
    assert rollup.cash_usd == 100_000 + result.pnl_usd
    assert rollup.slippage_enough
    assert rollup.slippage_median_bps is not None
    assert 0 < rollup.slippage_median_bps < 5
