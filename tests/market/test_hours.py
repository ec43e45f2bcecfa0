from __future__ import annotations

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfoNotFoundError

import pytest

from aurora.errors import OperatorError
from aurora.market import hours
from aurora.market.hours import exchange_day, in_new_york, parse_time


def test_exchange_day_is_new_yorks_date() -> None:
    """Trading rule 9: a day is the exchange's date: at 03:00 UTC it is still the day before."""
    assert exchange_day(datetime(2026, 1, 6, 3, tzinfo=UTC)) == date(2026, 1, 5)


def test_wall_time_becomes_an_instant() -> None:
    """15:45 in New York is an instant in UTC."""
    assert in_new_york(date(2026, 1, 5), time(15, 45)) == datetime(2026, 1, 5, 20, 45, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "10", "25:00", "10:61", "noon", "10:30Z", "10:30+01:00"])
def test_only_wall_times_are_read(text: str) -> None:
    """What is no time of day is refused with the text that was given."""
    with pytest.raises(OperatorError, match="write it like 10:30"):
        parse_time(text)


def test_time_of_day_is_read() -> None:
    """10:30 and 10:30:15 are times of day."""
    assert (parse_time("10:30"), parse_time("10:30:15")) == (time(10, 30), time(10, 30, 15))


def test_machine_without_time_zones_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without time zone data gets a remedy, not a traceback."""

    def missing(_: str) -> None:
        raise ZoneInfoNotFoundError

    monkeypatch.setattr(hours, "ZoneInfo", missing)
    hours.new_york.cache_clear()
    try:
        with pytest.raises(OperatorError, match="no time zone data"):
            hours.new_york()
    finally:
        hours.new_york.cache_clear()
