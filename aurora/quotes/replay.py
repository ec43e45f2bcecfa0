"""Replays recorded quotes on a clock that moves when it sleeps: Lean's files, or what a session recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import groupby
from pathlib import Path

from aurora.clock import ManualClock
from aurora.errors import UsageError, VenueRefusal
from aurora.market.hours import OPEN, in_new_york
from aurora.market.quote import Quote
from aurora.quotes.base import QuoteSource
from aurora.quotes.lean import LeanFile, Row, describe_file, find_files
from aurora.quotes.options import read_day, read_pace, read_time, refuse_unknown
from aurora.quotes.recorded import RecordedQuotes

OPTIONS = ("day", "start", "speed")
AFTER_OPEN = timedelta(minutes=5)


def open_replay(target: str, options: Mapping[str, str], root: Path, seed: int) -> QuoteSource:  # noqa: ARG001 - the table's signature
    """Open the recording at `target`: a Lean data folder, a Lean zip file, or a session's record (`.jsonl`)."""
    if not target:
        raise UsageError("replay needs a recording.", todo="name it like replay:PATH")
    path = root / target
    if not path.exists():
        raise UsageError(f"There is no recording at {target}.", todo=f"paths are relative to {root}; check the name")
    if path.suffix == ".jsonl":
        refuse_unknown("replay of a session's record", options, ("speed",))
        return RecordedQuotes(path, f"replay:{target}", make_clock=read_pace(options))
    refuse_unknown("replay", options, OPTIONS)
    files = find_files(path) if path.is_dir() else [describe_file(path)]
    if not files:
        raise VenueRefusal(
            f"{target} holds no Lean quotes.",
            todo="name the folder that has equity/usa/second or equity/usa/tick in it",
        )
    return ReplayQuotes(
        files, f"replay:{target}", day=read_day(options), start=read_time(options), make_clock=read_pace(options)
    )


class ReplayQuotes:
    """Lean's quotes of one day: subscribe → choose the day and open its files → poll as the clock moves on.

    day:   the first day that has all symbols, unless told.
    start: New York's time at which its clock begins; five minutes after the regular open unless told.
    make_clock: what its clock is: one that jumps when it sleeps, unless told.
    """

    realtime = False

    def __init__(
        self,
        files: Sequence[LeanFile],
        name: str,
        *,
        day: date | None = None,
        start: time | None = None,
        make_clock: Callable[[datetime], ManualClock] = ManualClock,
    ) -> None:
        days = sorted({file.day for file in files})
        if day is not None and day not in days:
            raise VenueRefusal(f"{name} has no {day}.", todo=f"it has: {', '.join(map(str, days))}")
        self.name = name
        self._day = day
        self._files = [file for file in files if day is None or file.day == day]
        self._start = start
        self.clock = make_clock(self._begin(day or days[0]))
        self._cursors: dict[str, _Cursor] = {}

    def _begin(self, day: date) -> datetime:
        return in_new_york(day, OPEN) + AFTER_OPEN if self._start is None else in_new_york(day, self._start)

    def subscribe(self, symbols: Sequence[str]) -> None:
        """Open the recording of `symbols`. Raises VenueRefusal naming those that it does not have."""
        chosen = self._choose(symbols)
        late = (self._begin(chosen[0].day) - self.clock.now()).total_seconds()
        if late > 0:
            self.clock.advance(late)
        self._cursors = {file.symbol: _Cursor(file) for file in chosen}

    def _choose(self, symbols: Sequence[str]) -> list[LeanFile]:
        by_day = {
            day: {file.symbol: file for file in reversed(list(files))}  # tick sorts before second: it wins
            for day, files in groupby(self._files, lambda file: file.day)
        }
        for there in by_day.values():
            if symbols and all(symbol in there for symbol in symbols):
                return [there[symbol] for symbol in symbols]
        has = "; ".join(f"{day}: {', '.join(sorted(there))}" for day, there in by_day.items())
        known = {file.symbol for file in self._files}
        missing = [symbol for symbol in symbols if symbol not in known]
        what = (
            f"has no {', '.join(missing)}"
            if missing
            else f"has no day with all of {', '.join(symbols) or 'no symbols'}"
        )
        raise VenueRefusal(f"{self.name} {what}.", means="nothing was replayed", todo=f"it has {has}")

    def poll(self) -> Mapping[str, Quote | None]:
        """Return the latest recorded quote of each symbol."""
        now = self.clock.now()
        return {symbol: cursor.quote_at(now) for symbol, cursor in self._cursors.items()}

    @property
    def exhausted(self) -> bool:
        """True when every symbol's recording has ended."""
        return all(cursor.ended for cursor in self._cursors.values())

    def close(self) -> None:
        """Close the files."""
        for cursor in self._cursors.values():
            cursor.close()


class _Cursor:
    """One symbol's place in its file: quote_at(instant) → step over rows until instant → the last one as a Quote."""

    def __init__(self, file: LeanFile) -> None:
        self._symbol = file.symbol
        self._midnight = file.midnight
        self._rows = file.rows()
        self._row: Row | None = None
        self._next = self._step()
        self._quote: Quote | None = None

    @property
    def ended(self) -> bool:
        return self._next is None

    def _step(self) -> Row | None:
        return next(self._rows, None)

    def quote_at(self, instant: datetime) -> Quote | None:
        until = (instant - self._midnight) // timedelta(milliseconds=1)
        moved = False
        while self._next is not None and self._next.ms <= until:
            self._row, self._next = self._next, self._step()
            moved = True
        if moved and self._row is not None:
            row = self._row
            self._quote = Quote(
                self._symbol, self._midnight + timedelta(milliseconds=row.ms),
                _usd(row.bid), _usd(row.ask), row.bid_size, row.ask_size,
            )  # fmt: skip
        return self._quote

    def close(self) -> None:
        self._rows.close()


def _usd(ten_thousandths: int) -> Decimal | None:
    if not ten_thousandths:
        return None
    cents, rest = divmod(ten_thousandths, 100)
    return Decimal(ten_thousandths).scaleb(-4) if rest else Decimal(cents).scaleb(-2)
