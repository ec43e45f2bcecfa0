"""Replays what a session recorded: the quotes that it saw, at the instants at which it looked."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from aurora.clock import ManualClock, iso
from aurora.errors import VenueRefusal
from aurora.market.link import WELL, LinkState
from aurora.market.quote import Quote

SCHEMA = 1

Event = tuple[datetime, dict[str, Quote | None], bool, LinkState | None]
"""When something was seen, what, whether it came after the last poll, and (of a poll) how the line was."""


def quote_as_json(quote: Quote | None) -> dict[str, Any] | None:
    """Return `quote` as strict JSON data: prices as text, its time as ISO 8601."""
    if quote is None:
        return None
    return {
        "at": iso(quote.at),
        "bid": None if quote.bid is None else str(quote.bid),
        "ask": None if quote.ask is None else str(quote.ask),
        "bid_size": quote.bid_size,
        "ask_size": quote.ask_size,
        "halted": quote.halted,
    }


def quote_from_json(symbol: str, data: Mapping[str, Any] | None) -> Quote | None:
    """Rebuild what `quote_as_json` wrote. Raises KeyError, TypeError, ValueError, InvalidOperation."""
    if data is None:
        return None
    bid, ask = (None if data[side] is None else Decimal(data[side]) for side in ("bid", "ask"))
    return Quote(
        symbol, _instant(data["at"]), bid, ask, int(data["bid_size"]), int(data["ask_size"]), bool(data["halted"])
    )


class RecordedQuotes:
    """A session's record as a quote source: its clock begins at the first poll; no poll comes after the last one.

    Polls come due at the recorded instants, thus a session with the same interval decides on the same quotes again.
    """

    realtime = False

    def __init__(self, path: Path, name: str, *, make_clock: Callable[[datetime], ManualClock] = ManualClock) -> None:
        self.name = name
        self._events = _read_events(path)
        header = next(self._events, None)
        if not isinstance(header, list):
            raise _refusal(f"{path}:1: there is no whole first line")
        self._has: list[str] = header
        self._next = self._step()
        if self._next is None:
            raise _refusal(f"{path} holds no poll")
        self.clock = make_clock(self._next[0])
        self._latest: dict[str, Quote | None] = {}
        self._wanted: tuple[str, ...] = ()
        self._line = WELL

    def subscribe(self, symbols: Sequence[str]) -> None:
        """Choose among the recorded symbols. Raises VenueRefusal naming those that the record does not have."""
        missing = [symbol for symbol in symbols if symbol not in self._has]
        if missing or not symbols:
            raise VenueRefusal(
                f"{self.name} has no {', '.join(missing) or 'symbols to offer when none is asked for'}.",
                means="nothing was replayed",
                todo=f"it has {', '.join(self._has)}",
            )
        self._wanted = tuple(symbols)

    def poll(self) -> Mapping[str, Quote | None]:
        """Return what the session had seen of each symbol by now."""
        now = self.clock.now()
        while self._next is not None and self._next[0] <= now:
            self._latest.update(self._next[1])
            self._line = self._line if self._next[3] is None else self._next[3]
            self._next = self._step()
        return {symbol: self._latest.get(symbol) for symbol in self._wanted}

    def link_state(self) -> LinkState:
        """Return what was wrong with the session's line to the venue by now."""
        self.poll()
        return self._line

    @property
    def exhausted(self) -> bool:
        """True when the last recorded poll was given out (what was seen while flattening may still come)."""
        return self._next is None or self._next[2]

    def close(self) -> None:
        """Close the file."""
        self._events.close()

    def _step(self) -> Event | None:
        event = next(self._events, None)
        assert not isinstance(event, list)
        return event


def _read_events(path: Path) -> Generator[list[str] | Event, None, None]:
    """Yield the symbols of the header, then what was seen when."""
    number = 0
    # How much later than due the poll before was: looks between two polls move back by as much.
    late = timedelta(0)
    try:
        with path.open(encoding="utf-8", newline="\n") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.endswith("\n"):
                    break  # the session was killed while it wrote this line: the record ends before it
                data = json.loads(line)
                if number == 1:
                    yield _header(data)
                else:
                    yield from _events(data, late)
                    if data["type"] == "poll":
                        late = _instant(data["at"]) - _instant(data["due"])
    except (ValueError, KeyError, TypeError, AttributeError, InvalidOperation) as error:
        raise _refusal(f"{path}:{number}: {type(error).__name__}: {error}") from None
    except OSError as error:
        raise _refusal(f"{path}:{number + 1}: {error.strerror or error}") from error


def _events(data: Mapping[str, Any], late: timedelta) -> Generator[Event, None, None]:
    """Yield what one line says was seen: between the poll before and this one, then in this one."""
    is_poll = data["type"] == "poll"
    for seen in data.get("since", ()):
        symbol = str(seen["symbol"])
        yield _instant(seen["at"]) - late, {symbol: quote_from_json(symbol, seen["quote"])}, not is_poll, None
    if is_poll:
        line = data.get("line", {})
        quotes = {key: quote_from_json(key, quote) for key, quote in data["quotes"].items()}
        yield _instant(data["due"]), quotes, False, LinkState(line.get("down", ""), line.get("delayed", ""))


def _header(data: Mapping[str, Any]) -> list[str]:
    if data["type"] != "session.opened" or data["schema"] != SCHEMA:
        raise ValueError(f"the first line is no session.opened of schema {SCHEMA}")
    return [str(symbol) for symbol in data["symbols"]]


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return instant.astimezone(UTC)


def _refusal(what: str) -> VenueRefusal:
    return VenueRefusal(
        f"A session's record can't be replayed: {what}.", todo="name a session.jsonl as a session wrote it"
    )
