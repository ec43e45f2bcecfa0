"""Generated quotes: a seeded random walk on a clock that moves when it sleeps. The same seed gives the same quotes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

from aurora.clock import ManualClock
from aurora.errors import UsageError, VenueRefusal
from aurora.market.calendar import session_hours
from aurora.market.hours import in_new_york
from aurora.market.quote import Quote
from aurora.quotes.options import read_day, read_int, read_pace, read_rate, read_time, refuse_unknown

DEFAULT_SEED = 7
DEFAULT_DAY = date(2026, 1, 5)
DEFAULT_GAPS_PER_HOUR = 6.0
OPTIONS = ("seed", "gaps_per_hour", "day", "start", "speed")

_SYMBOL = re.compile(r"[A-Z][A-Z0-9.]{0,9}")
_TICK_GAP_S = 0.25  # mean time between ticks; IB's stream has a median gap of 0.25 s
_GAP_S = (2.0, 7.0)  # how long a gap lasts; the longest on recorded SPY days is 5 to 10 s
_EXPONENT = -2  # prices are whole cents


@dataclass(frozen=True)
class _Character:
    """How a symbol behaves: first mid in USD, spread and one-second volatility in basis points."""

    mid: float
    spread_bps: float
    volatility_bps: float


_KNOWN = {
    "SPY": _Character(168.0, 0.6, 0.6),
    "TSLA": _Character(250.0, 2.0, 2.0),
}


def open_dummy(target: str, options: Mapping[str, str], root: Path, seed: int) -> DummyQuotes:  # noqa: ARG001 - the table's signature
    """Open generated quotes with `options` (see OPTIONS)."""
    refuse_unknown("dummy", options, OPTIONS)
    return DummyQuotes(
        seed=read_int(options, "seed", seed),
        gaps_per_hour=read_rate(options, "gaps_per_hour", DEFAULT_GAPS_PER_HOUR),
        day=read_day(options) or DEFAULT_DAY,
        start=read_time(options),
        make_clock=read_pace(options),
    )


class DummyQuotes:
    """Quotes of any symbol: a random walk with a realistic spread, sizes, and now and then a gap.

    seed:          the same seed gives the same quotes at the same instants, however they are polled.
    gaps_per_hour: how often a symbol falls silent for 2 to 7 seconds.
    day, start:    where its clock begins; five minutes after the open unless told.
    make_clock:    what its clock is: one that jumps when it sleeps, unless told.
    Raises UsageError for a day on which the exchange has no session.
    """

    realtime = False

    def __init__(
        self,
        seed: int = DEFAULT_SEED,
        *,
        gaps_per_hour: float = DEFAULT_GAPS_PER_HOUR,
        day: date = DEFAULT_DAY,
        start: time | None = None,
        make_clock: Callable[[datetime], ManualClock] = ManualClock,
    ) -> None:
        self.name = f"dummy:seed={seed}"
        if gaps_per_hour != DEFAULT_GAPS_PER_HOUR:
            self.name += f",gaps_per_hour={gaps_per_hour:g}"
        hours = session_hours(day)
        if hours is None:
            raise UsageError(f"day was {day:%Y-%m-%d}, a {day:%A}; the exchange has no session then.")
        opens, self._closes = hours
        self._origin = opens  # the walk begins at the open whatever `start` says, so that `start` changes nothing in it
        self.clock = make_clock(opens + timedelta(minutes=5) if start is None else in_new_york(day, start))
        self._seed = seed
        self._gap_chance = gaps_per_hour / 3600 * _TICK_GAP_S
        self._walks: dict[str, _Walk] = {}

    def subscribe(self, symbols: Sequence[str]) -> None:
        """Begin a walk for each of `symbols`. Raises VenueRefusal for what can't be a symbol."""
        wrong = [symbol for symbol in symbols if not _SYMBOL.fullmatch(symbol)]
        if wrong or not symbols:
            raise VenueRefusal(
                f"Dummy quotes can't name {', '.join(map(repr, wrong)) or 'no symbol at all'}.",
                todo="write symbols in capital letters, like SPY",
            )
        for symbol in symbols:
            self._walks[symbol] = _Walk(symbol, self._seed, self._gap_chance)

    def poll(self) -> Mapping[str, Quote | None]:
        """Return the latest quote of each symbol."""
        instant = min(self.clock.now(), self._closes)
        elapsed = (instant - self._origin).total_seconds()
        return {symbol: walk.quote_at(elapsed, self._origin) for symbol, walk in self._walks.items()}

    def prior_closes(self) -> Mapping[str, Decimal | None]:
        """Return what each walk began at."""
        return {symbol: walk.began_at for symbol, walk in self._walks.items()}

    @property
    def exhausted(self) -> bool:
        """True from the close on."""
        return self.clock.now() >= self._closes

    def close(self) -> None:
        """Do nothing: there is nothing to give back."""


class _Walk:
    """One symbol's ticks: quote_at(t) → tick until t → the last one as a Quote."""

    def __init__(self, symbol: str, seed: int, gap_chance: float) -> None:
        self._symbol = symbol
        self._random = Random(f"{seed}:{symbol}")
        self._gap_chance = gap_chance
        self._character = _KNOWN.get(symbol) or _Character(
            round(self._random.uniform(40, 240), 2), self._random.uniform(1, 3), self._random.uniform(1, 2.5)
        )
        self._mid = self._character.mid
        self.began_at = _usd(round(self._mid * 100))
        self._at = 0.0
        self._next = 0.0
        self._quote: Quote | None = None
        self._bid = self._spread = self._bid_size = self._ask_size = 0

    def quote_at(self, elapsed: float, origin: datetime) -> Quote | None:
        while self._next <= elapsed:
            self._tick()
            self._quote = None
        if self._quote is None and self._spread:
            at = origin + timedelta(seconds=self._at)
            self._quote = Quote(
                self._symbol, at.astimezone(UTC), _usd(self._bid), _usd(self._bid + self._spread),
                self._bid_size, self._ask_size,
            )  # fmt: skip
        return self._quote

    def _tick(self) -> None:
        random = self._random
        self._at, since = self._next, self._next - self._at
        self._mid *= 1 + random.gauss(0, 1) * self._character.volatility_bps * 1e-4 * since**0.5
        cents = self._mid * 100
        spread = cents * self._character.spread_bps * 1e-4 * random.uniform(0.8, 1.2)
        self._spread = max(1, round(spread))
        self._bid = max(1, round(cents - self._spread / 2))
        self._bid_size = 100 * max(1, round(random.lognormvariate(1.5, 1)))
        self._ask_size = 100 * max(1, round(random.lognormvariate(1.5, 1)))
        self._next += random.expovariate(1 / _TICK_GAP_S)
        if random.random() < self._gap_chance:
            self._next += random.uniform(*_GAP_S)


def _usd(cents: int) -> Decimal:
    return Decimal(cents).scaleb(_EXPONENT)
