"""A session on the record of another one decides byte for byte as it did, whatever that one met."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest

from aurora.market.mode import Mode
from aurora.market.quote import Quote
from aurora.quotes.base import QuoteSource
from aurora.quotes.dummy import DummyQuotes
from aurora.quotes.sources import open_quotes
from aurora.session.run import Attempt, run_session
from aurora.session.settings import SessionRequest
from tests.trading import FakeServices, ScriptedQuotes, make_profile, make_quote

SYMBOLS = ("SPY", "TSLA")
LENIENT: dict[str, Any] = {"risk": {"breaker": {"hold_share_pct": 50, "same_hold_polls": 20}}}


class Moody:
    """A strategy whose answer depends on the bars alone; rarely it jumps, and once in a while it has none."""

    name = "moody"

    def __init__(self, seed: int) -> None:
        self._fails = seed % 5 == 4

    def features(self, mids: Sequence[float]) -> Mapping[str, float]:
        return {"cents": round(mids[-1] * 200)}

    def weight(self, features: Mapping[str, float]) -> Decimal:
        cents = int(features["cents"])
        if self._fails and cents % 97 == 0:
            raise ValueError("no answer")
        return Decimal(cents % 5 - 2) / 200 + (Decimal("0.04") if cents % 41 == 0 else 0)


def troubled(seed: int) -> ScriptedQuotes:
    """Return a market with all that quotes can do: gaps, silences, halts, one side, crossed, wide, from the future."""
    walk = DummyQuotes(seed)
    walk.subscribe(SYMBOLS)
    random = Random(seed)
    troubles = {
        (symbol, second): random.choice(("none", "stale", "halt", "one", "crossed", "wide", "future"))
        for symbol in SYMBOLS
        for second in range(0, 900, 5)
        if random.random() < 0.06
    }

    def script(symbol: str, elapsed: float, now: datetime) -> Quote | None:
        walk.clock.sleep(max(0.0, elapsed - walk.clock.monotonic()))
        quote = walk.poll()[symbol]
        assert quote is not None
        bid, ask = str(quote.bid), str(quote.ask)
        match troubles.get((symbol, int(elapsed // 5 * 5))):
            case "none":
                return None
            case "stale":
                return make_quote(bid, ask, symbol=symbol, at=now - timedelta(seconds=2))
            case "halt":
                return make_quote(bid, ask, symbol=symbol, at=now, halted=True)
            case "one":
                return make_quote(bid, None, symbol=symbol, at=now)
            case "crossed":
                return make_quote(ask, bid, symbol=symbol, at=now)
            case "wide":
                return make_quote(bid, str(quote.ask and quote.ask * 2), symbol=symbol, at=now)
            case "future":
                return make_quote(bid, ask, symbol=symbol, at=now + timedelta(seconds=3))
        return quote

    return ScriptedQuotes(script)


def session(project: Path, name: str, source: QuoteSource, seed: int) -> list[bytes]:
    """Run a session; return the lines of its record, without what no second run can repeat."""
    services = FakeServices(project, make_profile(**LENIENT), source, Moody(seed))
    kill_at = 25 + seed if seed % 3 == 2 else 0
    polls = [0]

    def on_progress(*_: object) -> None:
        polls[0] += 1
        if polls[0] == kill_at:
            services.kill_switch.flag.touch()

    request = SessionRequest(Mode.PAPER, SYMBOLS, "x", steps=60)
    run_session(services, request, Attempt("same", project / name, on_progress))
    services.kill_switch.flag.unlink(missing_ok=True)
    record = (project / name / "session.jsonl").read_bytes()
    assert record.count(b"\n") > 10
    for varying in (
        rb'"phase_times_ms":\{[^}]*\}',
        rb'"loop_p95_ms":"[^"]*"',
        rb'"quotes":"[^"]*"',
        rb'"orders":"[^"]*"',
        rb'"recording":"[^"]*"',
    ):
        record = re.sub(varying, b"", record)
    return record.splitlines()


@pytest.mark.parametrize("seed", range(24))
def test_replay_of_a_record_gives_the_same_record(tmp_path: Path, seed: int) -> None:
    """Whatever a session met (HOLDs, halts, fallbacks, lockouts, kills), its record replays byte for byte."""
    first = session(tmp_path, "a", troubled(seed), seed)
    second = session(tmp_path, "b", open_quotes("replay:a/session.jsonl", root=tmp_path), seed)
    assert second == first


def test_the_seeds_meet_everything(tmp_path: Path) -> None:
    """The replayed sessions hold, halt, spike, fall back, lock out, are killed, trade and end by themselves."""
    records = b"".join(
        line for seed in range(24) for line in session(tmp_path, f"{seed}", troubled(seed), seed)
    ).decode()
    for word in (
        '"kind":"missed"', '"kind":"stale"', "trading is halted", "since its halt", '"kind":"one-sided"',
        '"kind":"crossed"', '"kind":"wide"', '"kind":"future"', '"kind":"weight spike"', "model fallback",
        '"halted":true,"locked_out":false', '"locked_out":true', "all 60 steps were made", '"stage":"broker"',
        "held after the kill",
    ):  # fmt: skip
        assert word in records, word
