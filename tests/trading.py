"""What the trading tests share: quotes by hand, a scripted source, a small Lean recording, services of their own."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aurora.alerts.base import Alert, Delivery
from aurora.brokers.base import Broker, ProbedBroker
from aurora.brokers.simulated import SimulatedBroker
from aurora.clock import Clock, ManualClock
from aurora.engine.profiles import load_profile
from aurora.errors import ProfileError, VenueRefusal
from aurora.execution.order_journal import Book, OrderJournal
from aurora.market.mode import Mode
from aurora.market.order import Order, Side
from aurora.market.quote import Quote
from aurora.profile import Profile, Section
from aurora.quotes.base import QuoteSource
from aurora.quotes.sources import open_quotes
from aurora.risk.kill_switch import KillSwitch
from aurora.session.strategy import LinearModel, ScoreStrategy, Strategy

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("AURORA_DATA", ROOT.parent / "shared" / "data"))
LEAN = DATA / "lean"
needs_data = pytest.mark.skipif(not LEAN.is_dir(), reason="the recorded quotes are not here (AURORA_DATA names them)")

START = datetime(2026, 1, 5, 14, 35, tzinfo=UTC)
"""A Monday, five minutes after the open in New York."""


def make_quote(
    bid: str | None = "168.00",
    ask: str | None = "168.01",
    *,
    symbol: str = "SPY",
    at: datetime = START,
    sizes: tuple[int, int] = (1000, 1000),
    halted: bool = False,
) -> Quote:
    """Return a quote with its prices as text."""
    prices = [None if price is None else Decimal(price) for price in (bid, ask)]
    return Quote(symbol, at, prices[0], prices[1], sizes[0], sizes[1], halted)


def make_order(ref: str = "a-1", side: Side = Side.BUY, quantity: int = 5, limit: str = "168.10", **more: Any) -> Order:
    """Return an order for SPY, decided at START."""
    values: dict[str, Any] = {"symbol": "SPY", "decided": START, "decision_mid": Decimal("168.005"), **more}
    return Order(ref, side=side, quantity=quantity, limit=Decimal(limit), **values)


def make_orders(path: Path, clock: Clock) -> OrderJournal:
    """Begin the order journal of a simulated account at `path`, which must not exist."""
    return OrderJournal.create(path, Book("live", "simulated", "SIM", START.date()), clock)


Script = Callable[[str, float, datetime], Quote | None]


def steady(bid: str = "168.00", ask: str = "168.01", sizes: tuple[int, int] = (1000, 1000)) -> Script:
    """Return a script whose quote never changes and is always fresh."""
    return lambda symbol, _, now: make_quote(bid, ask, symbol=symbol, at=now, sizes=sizes)


class ScriptedQuotes:
    """A source that asks a script: script(symbol, seconds since the start, now) → quote."""

    realtime = False
    name = "scripted"

    def __init__(self, script: Script | None = None, *, start: datetime = START, ends_s: float = 1e9) -> None:
        self.clock = ManualClock(start)
        self.script = script or steady()
        self.ends_s = ends_s
        self.symbols: tuple[str, ...] = ()
        self.closed = False

    def subscribe(self, symbols: Sequence[str]) -> None:
        if "NOPE" in symbols:
            raise VenueRefusal("scripted has no NOPE")
        self.symbols = tuple(symbols)

    def poll(self) -> Mapping[str, Quote | None]:
        now, elapsed = self.clock.now(), round(self.clock.monotonic(), 6)
        return {symbol: self.script(symbol, elapsed, now) for symbol in self.symbols}

    @property
    def exhausted(self) -> bool:
        return round(self.clock.monotonic(), 6) >= self.ends_s

    def close(self) -> None:
        self.closed = True


def give_models(project: Path) -> Path:
    """Put the shipped registry of models into a project; return the project."""
    shutil.copytree(ROOT / "profiles/models", project / "profiles/models", dirs_exist_ok=True)
    shutil.copy(ROOT / "profiles/models.yaml", project / "profiles")
    return project


def make_profile(name: str = "sim", **changes: Any) -> Profile:
    """Return a shipped profile with `changes` (nested dicts) laid over it."""
    values = load_profile(ROOT, name).values.plain()

    def lay(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
        return {
            **base,
            **{
                key: lay(base[key], value) if isinstance(value, Mapping) and isinstance(base.get(key), dict) else value
                for key, value in over.items()
            },
        }

    return Profile(name, Section(lay(values, changes)))


@dataclass
class FakeServices:
    """Services on a scripted source; every mode has a simulated book, and notices are kept."""

    project: Path
    profile: Profile = field(default_factory=make_profile)
    source: QuoteSource | None = None
    model: Strategy | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    brokers: list[Broker] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = ManualClock(START)
        self.kill_switch = KillSwitch(self.project)

    def open_quotes(self, spec: str, mode: Mode = Mode.SHADOW) -> QuoteSource:
        return self.source if self.source is not None else open_quotes(spec, root=self.project)

    def open_broker(self, mode: Mode, source: QuoteSource) -> Broker:
        self.brokers.append(self._simulated(source))
        return self.brokers[-1]

    def open_venue(self, stack: ExitStack) -> Broker:
        del stack
        return self._simulated(None)

    def open_probe(self, stack: ExitStack) -> tuple[ProbedBroker, QuoteSource]:
        raise ProfileError("nobody probes a simulated venue")

    def _simulated(self, source: QuoteSource | None) -> Broker:
        return SimulatedBroker(
            quote_of=lambda symbol: None if source is None else source.poll().get(symbol),
            clock=self.clock if source is None else source.clock,
            cash=Decimal(self.profile.capital_usd),
        )

    def open_account(self, stack: ExitStack, *, cancels: bool = False) -> tuple[Broker, QuoteSource]:
        source = self.open_quotes("dummy")
        stack.callback(source.close)
        return self._simulated(source), source

    def open_observer(self, stack: ExitStack) -> Broker:
        del stack
        return self._simulated(None)

    def strategy(self) -> Strategy:
        return self.model or ScoreStrategy("bold", LinearModel({"bias": 1.0}), Decimal("0.01"))

    def notify(self, alert: Alert) -> Delivery:
        self.notices.append(alert.text)
        return Delivery(True, "")

    def telling(self, title: str, text: str) -> Sequence[str]:
        return ()


DAY = date(2013, 10, 7)


def write_zip(path: Path, lines: Sequence[str], member: str = "quotes.csv") -> Path:
    """Write a Lean zip of `lines`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, "".join(f"{line}\n" for line in lines))
    return path


def lean_path(root: Path, resolution: str, symbol: str, day: date = DAY) -> Path:
    """Return where Lean keeps a symbol's quotes of a day."""
    return root / "equity" / "usa" / resolution / symbol / f"{day:%Y%m%d}_quote.zip"


def bar(second: int, bid: int, ask: int, sizes: tuple[int, int] = (500, 700)) -> str:
    """Return a second bar whose close is bid and ask (USD x 10,000), `second` seconds after midnight."""
    return f"{second * 1000},{bid},{bid},{bid},{bid},{sizes[0]},{ask},{ask},{ask},{ask},{sizes[1]}"


def write_lean(root: Path, *, seconds: int = 900, day: date = DAY) -> Path:
    """Write a small Lean data folder: SPY by second and IBM by tick, from 09:30 on; return its root."""
    opens = 9 * 3600 + 30 * 60
    spy = [bar(opens + n, 1_680_000 + 100 * (n % 7), 1_680_100 + 100 * (n % 7)) for n in range(seconds)]
    ibm = []
    for n in range(seconds * 2):
        ms = opens * 1000 + n * 500 + 3
        ibm += [f"{ms},{1_820_000 + 100 * (n % 5)},200,0,0,N,1,0", f"{ms},0,0,{1_820_300 + 100 * (n % 5)},300,P,1,0"]
    write_zip(lean_path(root, "second", "spy", day), spy)
    write_zip(lean_path(root, "tick", "ibm", day), ibm)
    return root
