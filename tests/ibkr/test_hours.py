from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime

import pytest

from aurora.errors import VenueRefusal
from aurora.ibkr.hours import regular_hours
from aurora.market.calendar import session_hours
from tests.ibkr.desk import VenueDesk

DAY = date(2026, 1, 5)
TEXT = "20260105:0930-20260105:1600;20260106:0930-20260106:1300;20260110:CLOSED"


@pytest.mark.parametrize(
    ("text", "day", "hours"),
    [
        (TEXT, DAY, ((14, 30), (21, 0))),
        (TEXT, date(2026, 1, 6), ((14, 30), (18, 0))),
        (TEXT, date(2026, 1, 10), None),
        ("20260105:0930-1200,20260105:1300-1600", DAY, ((14, 30), (21, 0))),
    ],
)
def test_hours_are_read(text: str, day: date, hours: tuple[tuple[int, int], tuple[int, int]] | None) -> None:
    """Old and new forms, short days and closed ones; instants are UTC."""
    found = regular_hours("SPY", text, "US/Eastern", day)
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    wanted = None if hours is None else tuple(midnight.replace(hour=hour, minute=minute) for hour, minute in hours)
    assert found == wanted


@pytest.mark.parametrize(
    ("text", "zone"),
    [("", "US/Eastern"), ("20260106:0930-20260106:1600", "US/Eastern"), ("20260105:open", "US/Eastern"),
     ("20260105:0930-20260105:1661", "US/Eastern"), (TEXT, "Mars/Olympus"), (TEXT, ""), (TEXT, "../etc")],
)  # fmt: skip
def test_hours_that_can_not_be_read_are_refused(text: str, zone: str) -> None:
    """Fail closed: hours that are missing or odd are no hours."""
    with pytest.raises(VenueRefusal, match="SPY on 2026-01-05 can't be read"):
        regular_hours("SPY", text, zone, DAY)


def test_hours_of_the_gateway_are_the_calendars(venue: Callable[..., VenueDesk]) -> None:
    """A quote source tells the hours of what it subscribed to."""
    source = venue().source()
    source.subscribe(["SPY", "TSLA"])
    assert source.regular_hours(DAY) == dict.fromkeys(("SPY", "TSLA"), session_hours(DAY))
