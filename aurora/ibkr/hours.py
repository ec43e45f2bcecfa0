"""The regular hours of a stock as the venue writes them: `20260105:0930-20260105:1600;20260110:CLOSED`."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from aurora.errors import VenueRefusal

_SPAN = re.compile(r"(\d{8}):(\d{4})-(?:(\d{8}):)?(\d{4})")


def regular_hours(symbol: str, text: str, zone: str, day: date) -> tuple[datetime, datetime] | None:
    """Return from when to when, in UTC, a stock trades on `day`; None when the venue says that it is closed.

    text, zone: the contract's liquid hours and time zone. Raises VenueRefusal when they do not tell of that day.
    """
    parts = [part for part in re.split(r"[;,]", text) if part.startswith(f"{day:%Y%m%d}:")]
    if parts == [f"{day:%Y%m%d}:CLOSED"]:
        return None
    try:
        spans = [_instants(part, ZoneInfo(zone)) for part in parts]
        if not spans:
            raise ValueError(f"there is nothing of {day}")
    except (ValueError, ZoneInfoNotFoundError, OSError) as error:
        raise VenueRefusal(
            f"The venue's hours of {symbol} on {day} can't be read from {text[:120]!r} in {zone!r}: {error}.",
            means="nobody knows whether the venue and the calendar agree; nothing was traded",
            todo="look at the contract's description in TWS",
        ) from error
    return min(opens for opens, _ in spans), max(closes for _, closes in spans)


def _instants(part: str, zone: ZoneInfo) -> tuple[datetime, datetime]:
    found = _SPAN.fullmatch(part)
    if found is None:
        raise ValueError(f"{part!r} is no span of time")
    first, opens, last, closes = found.groups()
    return _instant(first, opens, zone), _instant(last or first, closes, zone)


def _instant(day: str, clock: str, zone: ZoneInfo) -> datetime:
    return datetime.strptime(day + clock, "%Y%m%d%H%M").replace(tzinfo=zone).astimezone(UTC)
