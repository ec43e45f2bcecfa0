"""How long each of several sessions may be, so that the last one ends before the bell (trading rule 14)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal

from aurora.market.calendar import session_hours
from aurora.market.hours import exchange_day
from aurora.profile import Profile

SHORTEST_MIN = Decimal(5)
OWN_CLOCK = ("dummy", "replay")
"""Sources that bring a day of their own: the bell of today is nothing to them."""


@dataclass(frozen=True)
class Share:
    """What one of several sessions has. enough: it may run, for so many minutes. why: when it is cut or not run."""

    enough: bool
    minutes: Decimal
    why: str


def share_of(asked: Decimal, parts: int, quotes: str, profile: Profile, now: datetime) -> Share:
    """Return the share of the next one of `parts` sessions of `asked` minutes each, all still to run at `now`.

    Raises OperatorError when the calendar does not know the day.
    """
    if quotes.partition(":")[0] in OWN_CLOCK:
        return Share(True, asked, "")
    hours = session_hours(exchange_day(now))
    if hours is None:
        return Share(False, Decimal(0), "the exchange has no session today")
    opens, closes = hours
    starts = opens + timedelta(minutes=float(profile.session.start_after_open_min))
    ends = closes - timedelta(minutes=float(profile.session.end_before_close_min))
    left = Decimal(max(0.0, (ends - max(now, starts)).total_seconds())) / 60 / max(1, parts)
    left = left.quantize(Decimal("0.1"), ROUND_DOWN)
    if left >= asked:
        return Share(True, asked, "")
    if left < min(SHORTEST_MIN, asked):
        return Share(False, Decimal(0), f"{left} min are left for it before the close; a session needs {SHORTEST_MIN}")
    return Share(True, left, f"cut from {asked} to {left} min: the close comes first")
