"""What a session asks of the desk, for benchmarks: generated quotes that never change, nobody told, nothing sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from aurora.alerts.base import Alert, Delivery
from aurora.brokers.simulated import SimulatedBroker
from aurora.clock import Clock, ManualClock, SystemClock
from aurora.engine.profiles import load_profile
from aurora.market.mode import Mode
from aurora.market.quote import Quote
from aurora.risk.kill_switch import KillSwitch
from aurora.session.strategy import LinearModel, ScoreStrategy
from benchmarks.project import ROOT

OPEN = datetime(2026, 1, 5, 15, tzinfo=UTC)


class SteadyQuotes:
    """Quotes that never change and are always fresh: what making them costs is no part of a poll."""

    name, realtime, exhausted = "steady", False, False

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or ManualClock(OPEN)
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


class MidMorning(SystemClock):
    """The machine's clock, set to a trading morning."""

    def __init__(self) -> None:
        self._ahead = OPEN - super().now()

    def now(self) -> datetime:
        """Return the present instant of that morning."""
        return super().now() + self._ahead


class Desk(SimpleNamespace):
    """A desk over a folder, with a book of its own for each session."""

    def __init__(self, folder: Path) -> None:
        profile, clock = load_profile(ROOT, "sim"), SystemClock()
        super().__init__(project=folder, environment={}, kill_switch=KillSwitch(folder), profile=profile, clock=clock)

    def open_quotes(self, *_: object) -> SteadyQuotes:
        """Return the steady quotes."""
        return SteadyQuotes()

    def open_broker(self, _: Mode, source: Any) -> SimulatedBroker:
        """Return a book of its own."""
        latest = source.poll
        return SimulatedBroker(quote_of=lambda symbol: latest().get(symbol), clock=source.clock, cash=Decimal(100_000))

    def notify(self, alert: Alert) -> Delivery:
        """Tell nobody, at once."""
        return Delivery(False, f"nobody was told of {alert.title}")

    def telling(self, *_: str) -> Sequence[str]:
        """Nobody is to be told that it died."""
        return ()

    def strategy(self) -> ScoreStrategy:
        """Return the shipped kind of strategy."""
        return ScoreStrategy("bold", LinearModel({"bias": 1.0}), Decimal("0.01"))
