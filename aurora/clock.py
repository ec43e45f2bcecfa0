"""Time: aware UTC for the record, monotonic seconds for intervals, and a clock that tests and replays drive."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Where time comes from; nothing else in Aurora asks the operating system."""

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""

    def monotonic(self) -> float:
        """Return seconds on a clock that is never set back; only differences mean anything."""

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return the machine's monotonic seconds."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Block for `seconds`."""
        time.sleep(seconds)


class ManualClock:
    """A clock that moves only when told to: for tests, and for replays that run faster than time."""

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError(f"A clock starts at an aware time; {start!r} has no time zone.")
        self._now = start.astimezone(UTC)
        self._monotonic = 0.0

    def now(self) -> datetime:
        """Return the instant that the clock was moved to."""
        return self._now

    def monotonic(self) -> float:
        """Return the seconds that the clock was moved by."""
        return self._monotonic

    def sleep(self, seconds: float) -> None:
        """Move the clock by `seconds` at once."""
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Move the clock forward by `seconds` (>= 0)."""
        if not seconds >= 0:
            raise ValueError(f"A clock only moves forward; the step was {seconds!r} s.")
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds


class PacedClock(ManualClock):
    """A clock of another day that goes at `speed` times the machine's pace: for replays that a person watches."""

    def __init__(self, start: datetime, speed: float) -> None:
        super().__init__(start)
        if not 0 < speed < float("inf"):
            raise ValueError(f"A clock goes at a speed above 0; it was {speed!r}.")
        self._speed = speed

    def sleep(self, seconds: float) -> None:
        """Block for `seconds` divided by the speed, and move the clock by `seconds`."""
        time.sleep(seconds / self._speed)
        self.advance(seconds)


def iso(instant: datetime) -> str:
    """Return `instant` as ISO 8601 UTC with microseconds and a Z, the one form that Aurora writes."""
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
