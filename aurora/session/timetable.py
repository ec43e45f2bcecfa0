"""When a session polls and when it ends: within the exchange's hours, at a steady beat (trading rule 14)."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date, datetime, timedelta

from aurora.clock import Clock, iso
from aurora.errors import UsageError
from aurora.market.calendar import session_hours
from aurora.market.hours import exchange_day, in_new_york
from aurora.market.mode import Mode
from aurora.session.settings import SessionSettings


class Timetable:
    """A session's beat: wait_for_hours → (due → polled → seconds_left until the next one)* → is_over.

    started, ends: instants in UTC; they hold after `wait_for_hours`. Beats count from `started`, so that no delay adds
    up; a beat that has passed while a loop was slow is left out.
    """

    def __init__(self, settings: SessionSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._poll_s = float(settings.poll_sec)
        self._next_s = 0.0
        self._zero = clock.monotonic()
        self.started = self.ends = clock.now()

    def wait_for_hours(self, is_interrupted: Callable[[], bool]) -> None:
        """Wait until some minutes after the open. Raises UsageError when there is no trading left for a session."""
        settings, now = self._settings, self._clock.now()
        day = exchange_day(now)
        starts, ends = self._bounds(day)
        if now >= ends:
            raise _no_trading(now, f"on this day sessions run from {iso(starts)} to {iso(ends)}")
        if settings.mode is Mode.LIVE:
            ends = self._before_restart(now, ends)
        while self._clock.now() < starts and not is_interrupted():
            self._clock.sleep(min(1.0, round((starts - self._clock.now()).total_seconds(), 6)))
        self.started, self._zero = self._clock.now(), self._clock.monotonic()
        if settings.minutes is not None:
            ends = min(ends, self.started + timedelta(minutes=float(settings.minutes)))
        if settings.until is not None:
            ends = min(ends, in_new_york(day, settings.until))
        if ends <= self.started:
            raise UsageError(f"The session would end at {iso(ends)}, it would start at {iso(self.started)}.")
        self.ends = ends

    def _before_restart(self, now: datetime, ends: datetime) -> datetime:
        """Return when a live session ends: none runs across the venue's nightly restart. Raises UsageError in it."""
        window = self._settings.venue_restart
        if window.covers(now):
            raise _no_trading(now, f"the venue restarts between {window.starts:%H:%M} and {window.ends:%H:%M} New York")
        return min(ends, window.next_start(now))

    def _bounds(self, day: date) -> tuple[datetime, datetime]:
        """Return from when to when sessions of `day` run."""
        hours = session_hours(day)
        if hours is None:
            raise _no_trading(self._clock.now(), f"{day}, a {day:%A}, is a holiday or a weekend: no session")
        opens, closes = hours
        return (
            opens + timedelta(minutes=float(self._settings.start_after_open_min)),
            closes - timedelta(minutes=float(self._settings.end_before_close_min)),
        )

    @property
    def due(self) -> datetime:
        """Return the instant at which the present poll was due."""
        return self.started + timedelta(seconds=self._next_s)

    @property
    def is_over(self) -> bool:
        """Return whether the session's time is up."""
        return self._clock.now() >= self.ends

    @property
    def elapsed_s(self) -> float:
        """Return the seconds since the start."""
        return self._clock.monotonic() - self._zero

    @property
    def whole_s(self) -> float:
        """Return the seconds from start to end."""
        return (self.ends - self.started).total_seconds()

    @property
    def clock_jump_s(self) -> float:
        """Return by how many seconds the wall clock and the steady one disagree about the time since the start."""
        return (self._clock.now() - self.started).total_seconds() - self.elapsed_s

    def polls_left(self) -> int:
        """Return how many polls still fit, the present one included."""
        return math.ceil((self.ends - self._clock.now()).total_seconds() / self._poll_s)

    def next_beat(self) -> None:
        """Go on to the next beat that is not past."""
        self._next_s = max(self._next_s + self._poll_s, math.floor(self.elapsed_s / self._poll_s) * self._poll_s)

    def seconds_left(self) -> float:
        """Return the seconds until the next beat, zero or less when it is due."""
        return round(self._next_s - self.elapsed_s, 6)


def _no_trading(now: datetime, means: str) -> UsageError:
    return UsageError(
        f"There is no trading to be had at {iso(now)}.", means=means, todo="start it within the exchange's hours"
    )
