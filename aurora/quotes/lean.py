"""Reads QuantConnect Lean's quote files, row by row: second bars and ticks of US stocks.

A data folder holds `equity/usa/{second,tick}/SYMBOL/YYYYMMDD_quote.zip`, each with one CSV file inside. Its first
column is milliseconds since midnight in New York; prices are USD x 10,000; zero means that the side is not there.

second: time, bid open, high, low, close, bid size, ask open, high, low, close, ask size. The time is the bar's start,
        and a second without a change has no line. The close of a bar is known one second later: shown here only then.
tick:   time, bid price, bid size, ask price, ask size, exchange, sale condition, suspicious. A line tells one side.
        The lines name an exchange but are no exchange's own book: measured on IBM's 2013-10-07, they come as pairs of
        the *national* best bid and offer with the exchange that holds it (54,532 pairs, one line over). An exchange
        that leaves the best has no line that says so, thus a book kept by exchange goes wrong (crossed 99 % of the
        time), while the last line of each side gives a spread of 1.6 bps at the median and is crossed 0.001 % of the
        time. So the last line of a side is that side.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from io import TextIOWrapper
from pathlib import Path
from typing import IO, NamedTuple

from aurora.errors import VenueRefusal
from aurora.market.hours import new_york

BAR_MS = 1000
_DAY_MS = 24 * 3600 * 1000
_LONGEST_LINE = 300
_NAME = re.compile(r"(\d{8})_quote\.zip")


class Row(NamedTuple):
    """Both sides after one line: milliseconds since midnight, prices in USD x 10,000 (0: not there), shares."""

    ms: int
    bid: int
    bid_size: int
    ask: int
    ask_size: int


@dataclass(frozen=True)
class LeanFile:
    """One symbol's quotes of one day."""

    path: Path
    symbol: str
    day: date
    resolution: str

    @property
    def midnight(self) -> datetime:
        """Return the instant in UTC that the file's milliseconds count from.

        They are wall-clock time: the offset is noon's, which is that of the trading day also when clocks change.
        """
        offset = datetime.combine(self.day, time(12), new_york()).utcoffset()
        assert offset is not None
        return datetime.combine(self.day, time(), UTC) - offset

    def rows(self) -> Generator[Row, None, None]:
        """Yield the file's rows lazily, oldest first. Raises VenueRefusal with file and line for damaged data."""
        return _read_rows(self.path, _PARSERS[self.resolution]())


def describe_file(path: Path) -> LeanFile:
    """Return what the path of a Lean file says about it. Raises VenueRefusal when it says nothing."""
    named = _NAME.fullmatch(path.name)
    resolution = path.parent.parent.name
    if named is None or resolution not in _PARSERS:
        raise VenueRefusal(
            f"{path} does not name a Lean quote file.",
            todo=f"keep Lean's own layout: {'|'.join(_PARSERS)}/SYMBOL/YYYYMMDD_quote.zip",
        )
    try:
        day = datetime.strptime(named[1], "%Y%m%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise VenueRefusal(f"{path} is named for {named[1]}, which is no date.") from None
    return LeanFile(path, path.parent.name.upper(), day, resolution)


def find_files(root: Path) -> list[LeanFile]:
    """Return the quote files below a Lean data folder, by day, symbol and resolution (tick before second)."""
    found = [
        describe_file(path)
        for resolution in _PARSERS
        for path in (root / "equity" / "usa" / resolution).glob("*/*_quote.zip")
        if _NAME.fullmatch(path.name)
    ]
    return sorted(found, key=lambda file: (file.day, file.symbol, file.resolution != "tick"))


class _Wrong(Exception):
    """What is wrong with a line."""


class _BarParser:
    """Second bars: each line has both sides at the bar's close."""

    columns = 11

    def parse(self, fields: list[str]) -> Row | None:
        numbers = [int(field) for field in fields]
        return Row(numbers[0] + BAR_MS, numbers[4], numbers[5], numbers[9], numbers[10])


class _TickParser:
    """Ticks: each line tells one side, the other stays as it was; suspicious ones are dropped."""

    columns = 8

    def __init__(self) -> None:
        self._bid = self._ask = (0, 0)

    def parse(self, fields: list[str]) -> Row | None:
        ms, bid, bid_size, ask, ask_size = map(int, fields[:5])
        if fields[7] not in ("0", "1"):
            raise _Wrong(f"the suspicious flag was {fields[7][:20]!r}, it is 0 or 1")
        if fields[7] == "1":
            return None
        if bid or not ask:
            self._bid = (bid, bid_size)
        if ask or not bid:
            self._ask = (ask, ask_size)
        return Row(ms, *self._bid, *self._ask)


_PARSERS: dict[str, Callable[[], _BarParser | _TickParser]] = {"tick": _TickParser, "second": _BarParser}


def _read_rows(path: Path, parser: _BarParser | _TickParser) -> Generator[Row, None, None]:
    number = 0
    before = 0
    try:
        with zipfile.ZipFile(path) as archive, _open_only_member(archive, path) as raw:
            text = TextIOWrapper(raw, encoding="ascii", newline="")
            while line := text.readline(_LONGEST_LINE):
                number += 1
                row = _parse_line(line, parser)
                if row is None:
                    continue
                if row.ms < before:
                    raise _Wrong(f"time went back from {before} to {row.ms} ms")
                before = row.ms
                yield row
    except _Wrong as wrong:
        raise _refusal(f"{path}:{number}: {wrong}") from None
    except FileNotFoundError:
        raise _refusal(f"{path} is not there") from None
    except UnicodeDecodeError:
        raise _refusal(f"{path}:{number + 1}: not plain text") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise _refusal(f"{path}:{number + 1}: the zip file is damaged ({error})") from error
    except OSError as error:
        raise _refusal(f"{path}:{number + 1}: {error.strerror or error}") from error


def _open_only_member(archive: zipfile.ZipFile, path: Path) -> IO[bytes]:
    members = archive.namelist()
    if len(members) != 1:
        raise _refusal(f"{path} holds {len(members)} files; a Lean quote file holds one")
    return archive.open(members[0])


def _parse_line(line: str, parser: _BarParser | _TickParser) -> Row | None:
    fields = line.rstrip("\r\n").split(",")
    if len(fields) != parser.columns:
        raise _Wrong(f"{len(fields)} columns, there should be {parser.columns}: {line[:60]!r}")
    try:
        row = parser.parse(fields)
    except ValueError:
        raise _Wrong(f"not whole numbers: {line[:80]!r}") from None
    if row is not None and (min(row) < 0 or row.ms > _DAY_MS + BAR_MS):
        raise _Wrong(f"a number out of range: {line[:80]!r}")
    return row


def _refusal(what: str) -> VenueRefusal:
    return VenueRefusal(
        f"Recorded quotes can't be read: {what}.",
        means="a session on damaged quotes would decide on something that never was",
        todo="get the file again, or replay another one",
    )
