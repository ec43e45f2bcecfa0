from __future__ import annotations

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfoNotFoundError

import pytest

from aurora.errors import OperatorError
from aurora.market import hours
from aurora.market.hours import exchange_day, has_session, in_new_york, parse_time, regular_hours


@pytest.mark.parametrize(
    ("day", "opens"),
    [
        (date(2026, 3, 6), 14),  # Friday before clocks go forward
        (date(2026, 3, 9), 13),  # Monday after
        (date(2026, 10, 30), 13),  # Friday before they go back
        (date(2026, 11, 2), 14),  # Monday after
    ],
)
def test_open_follows_new_yorks_clock(day: date, opens: int) -> None:
    """The open is 09:30 in New York whatever the season, thus 14:30 or 13:30 UTC."""
    assert regular_hours(day)[0] == datetime(day.year, day.month, day.day, opens, 30, tzinfo=UTC)


def test_regular_hours_last_six_and_a_half() -> None:
    """Regular hours are 09:30 to 16:00."""
    opens, closes = regular_hours(date(2026, 7, 1))
    assert (closes - opens).total_seconds() == 6.5 * 3600


def test_exchange_day_is_new_yorks_date() -> None:
    """Trading rule 9: a day is the exchange's date: at 03:00 UTC it is still the day before."""
    assert exchange_day(datetime(2026, 1, 6, 3, tzinfo=UTC)) == date(2026, 1, 5)


def test_weekends_have_no_session() -> None:
    """Saturday and Sunday have no session."""
    assert [has_session(date(2026, 1, day)) for day in range(5, 12)] == [True] * 5 + [False] * 2


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
