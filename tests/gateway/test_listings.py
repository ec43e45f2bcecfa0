"""The hours that the gateway tells of its stocks."""

from __future__ import annotations

from datetime import UTC, datetime

from aurora.gateway.listings import liquid_hours, trading_hours

TUESDAY = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)


def test_hours_know_holidays_and_early_closes() -> None:
    """Thanksgiving is closed, the day after ends at 13:00 and its extended hours at 17:00, the weekend is closed."""
    assert liquid_hours(TUESDAY).split(";") == [
        "20261124:0930-20261124:1600",
        "20261125:0930-20261125:1600",
        "20261126:CLOSED",
        "20261127:0930-20261127:1300",
        "20261128:CLOSED",
        "20261129:CLOSED",
    ]
    assert trading_hours(TUESDAY).split(";")[::3] == ["20261124:0400-20261124:2000", "20261127:0400-20261127:1700"]
