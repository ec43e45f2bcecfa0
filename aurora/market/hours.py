"""New York's clock: its wall times as instants, and the times at which an ordinary day of the exchange begins and ends.

Which days are not ordinary stands in `aurora.market.calendar`.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from aurora.errors import OperatorError

OPEN = time(9, 30)
CLOSE = time(16, 0)


@cache
def new_york() -> ZoneInfo:
    """Return the exchange's time zone. Raises OperatorError where the machine has no time zone data."""
    try:
        return ZoneInfo("America/New_York")
    except ZoneInfoNotFoundError as error:
        raise OperatorError(
            "This machine has no time zone data, so New York's clock is not known.",
            means="neither trading hours nor recorded quotes can be placed in time",
            todo="install the system's tzdata package, or `pip install tzdata`",
        ) from error


def in_new_york(day: date, at: time) -> datetime:
    """Return the wall-clock time `at` of `day` in New York as an instant in UTC."""
    return datetime.combine(day, at, new_york()).astimezone(UTC)


def exchange_day(instant: datetime) -> date:
    """Return New York's calendar date at `instant`."""
    return instant.astimezone(new_york()).date()


def parse_time(text: str) -> time:
    """Read `10:30` or `10:30:15`. Raises OperatorError for anything else."""
    try:
        parsed = time.fromisoformat(text)
    except ValueError:
        parsed = None
    if parsed is None or parsed.tzinfo is not None or ":" not in text:
        raise OperatorError(f"The time was {text!r}; write it like 10:30, in New York's time.")
    return parsed
