"""What a session looks like while it runs, folded from its record and its order journal by whoever watches it.

A watcher reads what the session has written anyway, from another process or thread: the session never waits for one.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from aurora.analytics.quantiles import nearest_rank
from aurora.execution.trading_day import TradingDay
from aurora.journal import Event

LOOPS = 1_000
"""The p95 that is shown is that of the last so many loops: a session of days must not ask for ever more memory."""
RECENT = 6
READ_BYTES = 4_000_000


class Tail:
    """A file of JSON lines that somebody else writes: read → its whole new lines, as far as they are there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def read(self, most: int = READ_BYTES) -> Iterator[Mapping[str, Any]]:
        """Yield the objects of about `most` bytes that were written since the last call.

        Raises ValueError for a line that is no JSON object, OSError when the file can't be read.
        """
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                whole, _, _ = (file.read(most) + file.readline()).rpartition(b"\n")
        except FileNotFoundError:
            return
        self._offset += len(whole) + bool(whole)
        for line in whole.splitlines():
            data = json.loads(line)
            if not isinstance(data, dict):
                raise ValueError(f"a line of {self._path.name} is no object")
            yield data


def is_passed(decision: Mapping[str, Any]) -> bool:
    """Return whether a recorded decision let its order through."""
    return decision["stage"] in ("shadow", "broker")


@dataclass
class Sight:
    """The state of one session: look → read.

    header, poll, result: the record's first line, the newest poll, and the result once it has one.
    day: the trading day of the session's orders, those of other sessions included: what its limits count.
    recent: the last orders, as the router decided them. looks: how many polls were seen.
    held: of each symbol, how many polls held it.
    """

    header: Mapping[str, Any] = field(default_factory=dict)
    poll: Mapping[str, Any] = field(default_factory=dict)
    result: Mapping[str, Any] | None = None
    day: TradingDay = field(default_factory=TradingDay)
    recent: deque[Mapping[str, Any]] = field(default_factory=lambda: deque(maxlen=RECENT))
    looks: int = 0
    orders: int = 0
    blocked: int = 0
    fills: int = 0
    is_flattening: bool = False
    anomalies: list[str] = field(default_factory=list)
    held: dict[str, int] = field(default_factory=dict)
    bids: dict[str, Decimal] = field(default_factory=dict)
    _loops_ms: deque[float] = field(default_factory=lambda: deque(maxlen=LOOPS))

    def take(self, line: Mapping[str, Any]) -> None:
        """Take one line of the record in. Raises KeyError, TypeError or ValueError for one that is damaged."""
        kind = line["type"]
        if kind == "session.opened":
            self.header = line
        elif kind == "poll":
            self._take_poll(line)
        elif kind == "flatten":
            self.is_flattening = True
            self.poll = {**self.poll, "positions": line["positions"], "cash": line["cash"]}
        elif kind == "session.closed":
            self.result = line["result"]
            self.anomalies = line["result"]["anomalies"]
        if kind in ("poll", "flatten"):
            self.fills += len(line["fills"])
            for decision in line["decisions"]:
                passed = is_passed(decision)
                self.orders += passed
                self.blocked += not passed
                self.recent.append(decision)

    def take_order_event(self, line: Mapping[str, Any]) -> None:
        """Take one line of the order journal in."""
        self.day.apply(Event(line["seq"], line["ts"], line["type"], line["data"]))

    def loop_p95_ms(self) -> float | None:
        """Return the 95th percentile of the last loops' own time, in milliseconds; None before the first."""
        return nearest_rank(self._loops_ms, 0.95)

    def hold_share_pct(self) -> float:
        """Return the share of polls that held the symbol that was held most, in percent."""
        return 100 * max(self.held.values(), default=0) / self.looks if self.looks else 0.0

    def _take_poll(self, line: Mapping[str, Any]) -> None:
        self.poll = line
        self.looks += 1
        self.anomalies = line["anomalies"]
        self._loops_ms.append(sum(line["phase_times_ms"].values()))
        for symbol in line["holds"]:
            self.held[symbol] = self.held.get(symbol, 0) + 1
        for symbol, quote in line["quotes"].items():
            if symbol not in line["holds"] and quote is not None and quote["bid"] is not None:
                self.bids[symbol] = Decimal(quote["bid"])


class Watcher:
    """Reads a session's files as they grow: look → sight. It writes nothing, and the session does not know of it."""

    def __init__(self, recording: Path, project: Path) -> None:
        self.sight = Sight()
        self._record = Tail(recording)
        self._project = project
        self._orders: Tail | None = None

    def look(self, most: int = READ_BYTES) -> bool:
        """Take in what is new, about `most` bytes of each file; return whether anything was.

        Raises ValueError, KeyError or TypeError for damaged lines, OSError when a file can't be read.
        """
        moved = False
        for line in self._record.read(most):
            self.sight.take(line)
            moved = True
        if self._orders is None and self.sight.header:
            self._orders = Tail(self._project / self.sight.header["orders"])
        for line in () if self._orders is None else self._orders.read(most):
            self.sight.take_order_event(line)
            moved = True
        return moved
