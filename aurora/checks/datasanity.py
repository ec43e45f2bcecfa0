"""Datasanity: recorded quotes and bars, looked at row by row for what a decision on them would not survive.

Lean's second bars and ticks (`aurora.quotes.lean` has their form) and sessions' own records. Everything is counted and
the first of each kind is named; nothing is dropped in silence, and one bad row does not hide the next.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from aurora.errors import OperatorError, VenueRefusal
from aurora.market.calendar import session_hours
from aurora.quotes.lean import BAR_MS, LeanFile, describe_file, find_files

KINDS = ("unreadable", "backwards", "duplicates", "zone", "negative", "bars", "crossed", "gaps", "outliers")
NAMED = 3
"""Of each kind and file; the count says the rest."""

MOST = 200
"""In all: a year of bad files is not listed file by file."""

_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError)
_HOUR = timedelta(hours=1)
_COLUMNS = {"second": 11, "tick": 8}


@dataclass(frozen=True)
class SanityLimits:
    """max_gap_s: between two rows of regular hours. max_jump_pct: of the mid, from one two-sided row to the next."""

    max_gap_s: Decimal
    max_jump_pct: Decimal


@dataclass(frozen=True)
class Sanity:
    """What is wrong with the recordings below a path; counts of rows, or of files for `zone`.

    unreadable: rows (or whole files) that are not what their format says. backwards: earlier than the row before.
    duplicates: the same row, bar or poll again. zone: times that are not the exchange's day. negative: a price or size
    below zero. bars: low above high, or a close outside. crossed: bid above ask; crossed_pct: of two-sided rows.
    gaps, outliers: beyond the limits. findings: the first of each, as FILE:LINE.
    """

    files: int
    rows: int
    unreadable: int
    backwards: int
    duplicates: int
    zone: int
    negative: int
    bars: int
    crossed: int
    crossed_pct: Decimal
    gaps: int
    outliers: int
    findings: list[str]


@dataclass
class _Tally:
    """What was counted so far, and of the present file's kinds how many were named."""

    limits: SanityLimits
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    findings: list[str] = field(default_factory=list)
    rows: int = 0
    two_sided: int = 0
    named: dict[str, int] = field(default_factory=dict)
    file: str = ""

    def open(self, file: str) -> None:
        self.file, self.named = file, {}

    def add(self, kind: str, line: int, text: str) -> None:
        self.counts[kind] += 1
        self.named[kind] = self.named.get(kind, 0) + 1
        if self.named[kind] <= NAMED and len(self.findings) < MOST:
            self.findings.append(f"{self.file}:{line}: {kind}: {text}"[:300])


@dataclass
class _Quotes:
    """One symbol's quotes in one file, looked at one after the other; prices in any unit, the same for all."""

    tally: _Tally
    mid: Decimal | None = None

    def look(self, line: int, bid: Decimal | None, ask: Decimal | None, sizes: Sequence[int]) -> None:
        tally = self.tally
        prices = [price for price in (bid, ask) if price is not None]
        if any(price < 0 for price in prices) or any(size < 0 for size in sizes):
            tally.add("negative", line, f"bid {bid}, ask {ask}, sizes {list(sizes)}")
            return
        if not bid or not ask:
            return
        tally.two_sided += 1
        if bid > ask:
            tally.add("crossed", line, f"bid {bid} above ask {ask}")
            return
        mid, before = (bid + ask) / 2, self.mid
        self.mid = mid
        if before is not None and abs(mid / before - 1) * 100 > tally.limits.max_jump_pct:
            tally.add("outliers", line, f"the mid went from {before} to {mid}, {tally.limits.max_jump_pct} % at most")


def look_at_data(root: Path, paths: Sequence[str], limits: SanityLimits) -> Sanity:
    """Look at each recording at or below `paths`, relative to `root`. Raises OperatorError when one is missing."""
    tally = _Tally(limits)
    files = 0
    for text in paths:
        path = root / text
        if not path.exists():
            raise OperatorError(
                f"There is no recording at {text}.", means="nothing was looked at", todo="check the name"
            )
        for recording in _recordings(path):
            files += 1
            tally.open(str(Path(text) / recording.relative_to(path)))
            (_look_at_record if recording.suffix == ".jsonl" else _look_at_lean)(recording, tally)
    crossed_pct = Decimal(tally.counts["crossed"]) * 100 / max(1, tally.two_sided)
    return Sanity(files, tally.rows, **tally.counts, crossed_pct=round(crossed_pct, 4), findings=tally.findings)


def _recordings(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    yield from (file.path for file in find_files(path))
    yield from sorted(path.rglob("*session*.jsonl"))


def _look_at_lean(path: Path, tally: _Tally) -> None:
    try:
        file = describe_file(path)
        with zipfile.ZipFile(path) as archive:
            (member,) = archive.namelist()
            with archive.open(member) as raw:
                _look_at_rows(file, io.TextIOWrapper(raw, "ascii", errors="replace"), tally)
    except VenueRefusal as refusal:
        tally.add("unreadable", 0, refusal.what)
    except ValueError as error:
        tally.add("unreadable", 0, f"it holds no single file ({error})")
    except _DAMAGE as error:
        tally.add("unreadable", 0, f"the zip file is damaged ({error})")


def _look_at_rows(file: LeanFile, lines: Iterator[str], tally: _Tally) -> None:
    quotes, hours = _Quotes(tally), _Hours(file, tally)
    before, last = -1, ""
    sides = [0, 0]
    for number, line in enumerate(lines, 1):
        tally.rows += 1
        row = _fields(file.resolution, line)
        if isinstance(row, str):
            tally.add("unreadable", number, row)
            continue
        ms = row[0]
        if ms < before:
            tally.add("backwards", number, f"{ms} ms after {before} ms")
        elif ms == before and (file.resolution == "second" or line == last):
            tally.add("duplicates", number, f"a second {'bar' if file.resolution == 'second' else 'line'} of {ms} ms")
        if file.resolution == "second":
            hours.see(number, ms + BAR_MS)
            _look_at_bar(row, number, tally)
            quotes.look(number, Decimal(row[4]), Decimal(row[9]), (row[5], row[10]))
        else:
            hours.see(number, ms)
            sides = [row[1] or (sides[0] if row[3] else 0), row[3] or (sides[1] if row[1] else 0)]
            quotes.look(number, Decimal(sides[0]), Decimal(sides[1]), (row[2], row[4]))
        before, last = max(ms, before), line
    hours.close()


def _fields(resolution: str, line: str) -> list[int] | str:
    """Return a line's whole numbers, or why it has none; a tick's exchange, condition and flag are left out."""
    fields = line.rstrip("\r\n").split(",")
    if len(fields) != _COLUMNS[resolution]:
        return f"{len(fields)} columns, there should be {_COLUMNS[resolution]}"
    try:
        return [int(text) for text in (fields if resolution == "second" else fields[:5])]
    except ValueError:
        return f"not whole numbers: {line[:60]!r}"


def _look_at_bar(row: list[int], number: int, tally: _Tally) -> None:
    for side, (opens, high, low, close) in (("bid", row[1:5]), ("ask", row[6:10])):
        if (opens or close) and not (low <= opens <= high and low <= close <= high):
            tally.add("bars", number, f"{side}: open {opens}, high {high}, low {low}, close {close}")


class _Hours:
    """Whether a file's rows lie in the exchange's day, and how long it was silent in regular hours."""

    def __init__(self, file: LeanFile, tally: _Tally) -> None:
        self._tally = tally
        self._file = file
        try:
            self._open = session_hours(file.day)
        except OperatorError:
            self._open = None
        self._midnight = file.midnight
        self._inside = self._outside = self._first_hour = self._last_hour = self._early = self._late = 0
        self._before: datetime | None = None

    def see(self, number: int, ms: int) -> None:
        if self._open is None:
            return
        at, (opens, closes) = self._midnight + timedelta(milliseconds=ms), self._open
        if not opens <= at <= closes:
            self._outside += 1
            self._early += at < opens
            self._late += at > closes
            return
        self._inside += 1
        self._first_hour += at < opens + _HOUR
        self._last_hour += at > closes - _HOUR
        if self._before is not None and (at - self._before).total_seconds() > self._tally.limits.max_gap_s:
            self._tally.add("gaps", number, f"nothing for {(at - self._before).total_seconds():.0f} s before it")
        self._before = at

    def close(self) -> None:
        if self._open is None:
            self._tally.add("zone", 0, f"{self._file.day} is no day of the exchange")
        elif self._outside > self._inside:
            self._tally.add("zone", 0, f"{self._outside} of {self._outside + self._inside} rows outside regular hours")
        elif (self._late and not self._first_hour) or (self._early and not self._last_hour):
            self._tally.add("zone", 0, "the day is shifted: an hour at one end is empty, and rows lie past the other")


def _look_at_record(path: Path, tally: _Tally) -> None:
    """Look at a session's record: its polls, at the instants at which they were made."""
    quotes: dict[str, _Quotes] = {}
    seen: set[int] = set()
    before: datetime | None = None
    poll_s = Decimal(0)
    with path.open("rb") as lines:
        for number, raw in enumerate(lines, 1):
            tally.rows += 1
            try:
                entry = json.loads(raw)
                if not raw.endswith(b"\n"):
                    raise ValueError("the line was not written whole")
                if entry["type"] == "session.opened":
                    poll_s = Decimal(str(entry["settings"]["poll_sec"]))
                if entry["type"] != "poll":
                    continue
                at = datetime.fromisoformat(entry["at"])
                if entry["n"] in seen:
                    tally.add("duplicates", number, f"poll {entry['n']} a second time")
                seen.add(entry["n"])
                if at.utcoffset() != timedelta(0):
                    tally.add("zone", number, f"{entry['at']} is not UTC")
                    at = at.replace(tzinfo=UTC)
                _look_at_time(tally, number, at, before, max(poll_s * 3, tally.limits.max_gap_s))
                before = at
                for symbol, quote in entry["quotes"].items():
                    _look_at_quote(quotes.setdefault(symbol, _Quotes(tally)), number, quote)
            except (ValueError, KeyError, TypeError, AttributeError, InvalidOperation) as error:
                tally.add("unreadable", number, f"{type(error).__name__}: {error}")


def _look_at_time(tally: _Tally, number: int, at: datetime, before: datetime | None, gap_s: Decimal) -> None:
    if before is None:
        return
    if at < before:
        tally.add("backwards", number, f"{at.isoformat()} after {before.isoformat()}")
    elif (at - before).total_seconds() > gap_s:
        tally.add("gaps", number, f"nothing for {(at - before).total_seconds():.0f} s before it")


def _look_at_quote(quotes: _Quotes, number: int, quote: dict[str, Any] | None) -> None:
    if quote is None:
        return
    bid, ask = (None if quote[side] is None else Decimal(quote[side]) for side in ("bid", "ask"))
    if any(price is not None and not price.is_finite() for price in (bid, ask)):
        raise ValueError(f"bid {bid}, ask {ask}")
    quotes.look(number, bid, ask, (int(quote["bid_size"]), int(quote["ask_size"])))
