"""A session's poll of 1, 10 and 100 symbols, beside a loop that only looks at 100 quotes and writes them."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from aurora.market.mode import Mode
from aurora.quotes.recorded import quote_as_json
from aurora.session.run import Attempt, run_session
from aurora.session.services import Services
from aurora.session.settings import SessionRequest
from benchmarks.desk import Desk, SteadyQuotes
from benchmarks.measure import Case, Figure, Group, Size, in_turns

MOST = 100
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
    quotes = SteadyQuotes()
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
    result = run_session(cast(Services, Desk(folder)), request, Attempt("poll", folder / "record"))
    return (time.perf_counter() - began) / result.polls * 1000
