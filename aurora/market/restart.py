"""The venue's nightly restart: when its gateway is expected to be gone for a while."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta

from aurora.market.hours import exchange_day, in_new_york, new_york


@dataclass(frozen=True)
class RestartWindow:
    """From when to when, each night, in New York's time; it may cross midnight. Equal times are no window."""

    starts: time
    ends: time

    def covers(self, instant: datetime) -> bool:
        """Return whether a lost link at `instant` is expected."""
        local = instant.astimezone(new_york()).time()
        if self.starts <= self.ends:
            return self.starts <= local < self.ends
        return local >= self.starts or local < self.ends

    def next_start(self, instant: datetime) -> datetime:
        """Return when it begins next after `instant`, in UTC."""
        day = exchange_day(instant)
        today = in_new_york(day, self.starts)
        return today if today > instant else in_new_york(day + timedelta(days=1), self.starts)
