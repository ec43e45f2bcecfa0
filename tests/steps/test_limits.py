from __future__ import annotations

from pathlib import Path

from tests.steps.support import call


def test_caps_are_checked_at_the_quotes(tmp_path: Path) -> None:
    """Trading rule 7: the profile's caps are checked against each other and against one share of each symbol."""
    found = call("limits.caps", tmp_path, symbols=["SPY", "TSLA"], quotes="dummy:seed=2")
    assert found.problems == []
    assert found.per_trade_notional_usd == 1000
