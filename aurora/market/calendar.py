"""The exchange's calendar (XNYS): which days have a session, and from when to when, holidays and early closes included.

`xnys.txt` is a table of the days that are not as usual, written by `make calendar`: the package that knows them takes
half a second and 100 MB to load, and a desk must not depend on that to know that today is Thanksgiving.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from functools import cache
from pathlib import Path

from aurora.errors import OperatorError
from aurora.market.hours import CLOSE, OPEN, exchange_day, in_new_york

TABLE = Path(__file__).with_name("xnys.txt")
FIRST_DAY = date(2000, 1, 1)
LAST_DAY = date(2027, 12, 31)

SATURDAY = 5


def session_hours(day: date) -> tuple[datetime, datetime] | None:
    """Return the instants of open and close of `day`, in UTC; None when the exchange has no session then.

    Raises OperatorError for a day that the table does not know: no holiday of that year is known.
    """
    if not FIRST_DAY <= day <= LAST_DAY:
        raise OperatorError(
            f"The exchange's calendar of this Aurora goes from {FIRST_DAY} to {LAST_DAY}; {day} was asked for.",
            means="nobody here knows whether there is a session, and when it ends",
            todo="update Aurora, or write the table again: make calendar",
        )
    hours = None if day.weekday() >= SATURDAY else _unusual_days().get(day, (OPEN, CLOSE))
    return None if hours is None else (in_new_york(day, hours[0]), in_new_york(day, hours[1]))


def session_of(instant: datetime) -> tuple[datetime, datetime] | None:
    """Return open and close of the exchange's own day at `instant`, as `session_hours` does."""
    return session_hours(exchange_day(instant))


CALENDARS: Mapping[str, Callable[[datetime], tuple[datetime, datetime] | None]] = {"XNYS": session_of}
"""What a runbook's schedule may name; `[tool.aurora] calendars` points the engine here."""


@cache
def _unusual_days() -> Mapping[date, tuple[time, time] | None]:
    days: dict[date, tuple[time, time] | None] = {}
    for line in TABLE.read_text("utf-8").splitlines():
        if not line.startswith("#"):
            day, *hours = line.split()
            days[date.fromisoformat(day)] = _hours(hours)
    return days


def _hours(words: list[str]) -> tuple[time, time] | None:
    if words == ["closed"]:
        return None
    opens, closes = map(time.fromisoformat, words)
    return opens, closes
