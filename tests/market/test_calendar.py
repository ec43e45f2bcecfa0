from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from aurora.errors import OperatorError
from aurora.market.calendar import FIRST_DAY, LAST_DAY, TABLE, session_hours
from tests.market.exchange_days import table_text


def length_h(day: date) -> float:
    """Return how many hours the exchange is open."""
    hours = session_hours(day)
    return 0 if hours is None else (hours[1] - hours[0]).total_seconds() / 3600


def test_table_is_what_the_calendar_package_says() -> None:
    """Trading rule 14: holidays and early closes are those of exchange_calendars, day by day from 2000 to 2027."""
    assert TABLE.read_text("utf-8") == table_text()


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
    hours = session_hours(day)
    assert hours is not None
    assert hours[0] == datetime(day.year, day.month, day.day, opens, 30, tzinfo=UTC)


def test_ordinary_day_lasts_six_and_a_half_hours() -> None:
    """Regular hours are 09:30 to 16:00."""
    assert length_h(date(2026, 7, 1)) == 6.5


def test_weekends_have_no_session() -> None:
    """Saturday and Sunday have no session."""
    assert [session_hours(date(2026, 1, day)) is None for day in range(5, 12)] == [False] * 5 + [True] * 2


@pytest.mark.parametrize("day", [date(2026, 11, 26), date(2026, 7, 3), date(2025, 1, 9), date(2026, 4, 3)])
def test_holidays_have_no_session(day: date) -> None:
    """Trading rule 14: Thanksgiving, a moved holiday, a day of mourning and Good Friday have no session."""
    assert session_hours(day) is None


@pytest.mark.parametrize("day", [date(2026, 11, 27), date(2026, 12, 24), date(2013, 7, 3)])
def test_half_days_close_early(day: date) -> None:
    """Trading rule 14: on a half day the exchange closes at 13:00."""
    assert length_h(day) == 3.5


@pytest.mark.parametrize("day", [FIRST_DAY - timedelta(days=1), LAST_DAY + timedelta(days=1)])
def test_day_beyond_the_table_is_refused(day: date) -> None:
    """A day whose holidays nobody knows is refused with the table's bounds, never taken for an ordinary one."""
    with pytest.raises(OperatorError, match=f"goes from {FIRST_DAY} to {LAST_DAY}; {day} was asked for"):
        session_hours(day)
