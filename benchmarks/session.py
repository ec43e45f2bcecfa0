"""A session's poll of 1, 10 and 100 symbols, beside a loop that only looks at 100 quotes and writes them."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, cast

from aurora.brokers.simulated import SimulatedBroker
from aurora.clock import ManualClock
from aurora.engine.profiles import load_profile
from aurora.market.mode import Mode
from aurora.market.quote import Quote
from aurora.quotes.recorded import quote_as_json
from aurora.risk.kill_switch import KillSwitch
from aurora.session.run import Attempt, run_session
from aurora.session.services import Services
from aurora.session.settings import SessionRequest
from aurora.session.strategy import LinearModel, ScoreStrategy
from benchmarks.measure import Case, Figure, Group, Size, in_turns
from benchmarks.project import ROOT

MOST = 100
OPEN = datetime(2026, 1, 5, 15, tzinfo=UTC)
FLOOR = f"a look at {MOST} quotes, written as a line"
COUNTS = (1, 10, MOST)


def measure(size: Size) -> Group:
    """Run a session of `size.steps` polls for each number of symbols; figures are milliseconds a poll."""
    cases: list[Case] = [lambda: {FLOOR: _in_folder(size, _look_ms, MOST)}]
    for count in COUNTS:
        cases.append(lambda count=count: {_name(count): _in_folder(size, _poll_ms, count)})  # type: ignore[misc]
    values = in_turns(cases, size)
    floor = values[FLOOR]
    figures = [Figure(FLOOR, "ms", floor)]
    figures += [Figure(_name(count), "ms", values[_name(count)], floor) for count in COUNTS]
    return Group("a session's poll", figures)


def _name(count: int) -> str:
    return f"poll of {count} symbol{'s' if count > 1 else ''}"


def _in_folder(size: Size, taken: Any, count: int) -> float:
    with TemporaryDirectory(dir=size.folder) as folder:
        return float(taken(Path(folder), count, size.steps))


def _symbols(count: int) -> tuple[str, ...]:
    return tuple(f"S{chr(65 + number // 26)}{chr(65 + number % 26)}" for number in range(count))


def _look_ms(folder: Path, count: int, polls: int) -> float:
    quotes = _Steady()
    quotes.subscribe(_symbols(count))
    with (folder / "floor.jsonl").open("wb", buffering=0) as file:
        began = time.perf_counter()
        for _ in range(polls):
            line = {symbol: quote_as_json(quote) for symbol, quote in quotes.poll().items()}
            file.write(json.dumps(line).encode() + b"\n")
            quotes.clock.sleep(5)
        return (time.perf_counter() - began) / polls * 1000


def _poll_ms(folder: Path, count: int, polls: int) -> float:
    began = time.perf_counter()
    request = SessionRequest(Mode.SHADOW, _symbols(count), "steady", steps=polls, poll_sec=Decimal(5))
    result = run_session(cast(Services, _Desk(folder)), request, Attempt("poll", folder / "record"))
    return (time.perf_counter() - began) / result.polls * 1000


class _Steady:
    """Quotes that never change and are always fresh: what making them costs is no part of a poll."""

    name, realtime, exhausted = "steady", False, False

    def __init__(self) -> None:
        self.clock = ManualClock(OPEN)
        self._symbols: Sequence[str] = ()

    def subscribe(self, symbols: Sequence[str]) -> None:
        """Know every symbol."""
        self._symbols = symbols

    def poll(self) -> Mapping[str, Quote | None]:
        """Return each symbol's quote as of now."""
        at = self.clock.now() - timedelta(milliseconds=1)
        bid, ask = Decimal("168.00"), Decimal("168.01")
        return {symbol: Quote(symbol, at, bid, ask, 1000, 1000) for symbol in self._symbols}

    def close(self) -> None:
        """Do nothing."""


class _Desk(SimpleNamespace):
    """What a session asks of the desk."""

    def __init__(self, folder: Path) -> None:
        super().__init__(project=folder, kill_switch=KillSwitch(folder), profile=load_profile(ROOT, "sim"))

    def open_quotes(self, *_: object) -> _Steady:
        """Return the steady quotes."""
        return _Steady()

    def open_broker(self, _: Mode, source: Any) -> SimulatedBroker:
        """Return a book of its own."""
        latest = source.poll
        return SimulatedBroker(quote_of=lambda symbol: latest().get(symbol), clock=source.clock, cash=Decimal(100_000))

    def strategy(self) -> ScoreStrategy:
        """Return the shipped kind of strategy."""
        return ScoreStrategy("bold", LinearModel({"bias": 1.0}), Decimal("0.01"))
