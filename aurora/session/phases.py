"""How long each phase of a loop takes, on the machine's own clock also when the session replays."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from aurora.analytics.quantiles import nearest_rank
from aurora.clock import Clock

PHASES = ("quotes", "tripwires", "features", "predict", "risk", "route", "record")


class PhaseTimes:
    """start → end_phase(name) … → times of this loop; `totals_ms` collects one figure a loop.

    A record can't hold how long writing it took: the `record` phase in a poll's record is that of the poll before.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._mark = clock.monotonic()
        self.times_ms = dict.fromkeys(PHASES, 0.0)
        self.totals_ms: list[float] = []

    def start(self) -> None:
        """Begin a loop."""
        self._mark = self._clock.monotonic()

    def end_phase(self, name: str) -> None:
        """End the phase `name`; the next one begins here."""
        now = self._clock.monotonic()
        self.times_ms[name] = (now - self._mark) * 1000
        self._mark = now
        if name == PHASES[-1]:
            self.totals_ms.append(sum(self.times_ms.values()))

    def recorded(self) -> dict[str, float]:
        """Return this loop's times so far in milliseconds, to the microsecond."""
        return {name: round(value, 3) for name, value in self.times_ms.items()}


def p95(values: Iterable[float]) -> Decimal | None:
    """Return the 95th percentile by nearest rank, to three places; None when there are no values."""
    value = nearest_rank(values, 0.95)
    return None if value is None else Decimal(str(round(value, 3)))
