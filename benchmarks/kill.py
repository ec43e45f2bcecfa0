"""The kill switch: from the flag's appearance until a waiting session wakes, and until its cancel goes out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, cast

from aurora.alerts.base import Alert, Delivery
from aurora.brokers.simulated import SimulatedBroker
from aurora.clock import SystemClock
from aurora.engine.profiles import load_profile
from aurora.market.mode import Mode
from aurora.market.quote import Quote
from aurora.risk.kill_switch import KillSwitch
from aurora.risk.kill_watch import KillWatch
from aurora.session.run import Attempt, run_session
from aurora.session.services import Services
from aurora.session.settings import SessionRequest
from aurora.session.strategy import LinearModel, ScoreStrategy
from benchmarks.measure import Case, Figure, Group, Size, in_turns
from benchmarks.project import ROOT

HANDOVER, WAKE, CANCEL = "one thread wakes another", "flag to a waiting session", "flag to the cancel of all orders"
BUDGET_MS = 20.0
OPEN = datetime(2026, 1, 5, 15, tzinfo=UTC)


def measure(size: Size) -> Group:
    """Set the flag while something waits for it, beside what waking a thread costs at all."""
    cases: list[Case] = [
        lambda: {HANDOVER: _handover_ms()},
        lambda: {WAKE: _in_folder(size.folder, _wake_ms)},
        lambda: {CANCEL: _in_folder(size.folder, _cancel_ms)},
    ]
    values = in_turns(cases, size)
    floor = values.pop(HANDOVER)
    figures = [Figure(HANDOVER, "ms", floor)]
    figures += [Figure(name, "ms", taken, floor, BUDGET_MS) for name, taken in values.items()]
    return Group("kill switch", figures)


def _in_folder(parent: Path, taken: Callable[[Path], float]) -> float:
    with TemporaryDirectory(dir=parent) as folder:
        return taken(Path(folder))


def _handover_ms() -> float:
    woken = threading.Event()
    times: list[float] = []

    def wake() -> None:
        times.append(time.perf_counter())
        woken.set()

    threading.Timer(0.05, wake).start()
    woken.wait(10)
    return (time.perf_counter() - times[0]) * 1000


def _set_soon(switch: KillSwitch, times: list[float], after_s: float) -> None:
    def set_flag() -> None:
        times.append(time.perf_counter())
        switch.flag.touch()

    threading.Timer(after_s, set_flag).start()


def _wake_ms(folder: Path) -> float:
    switch, times = KillSwitch(folder), cast("list[float]", [])
    with KillWatch(switch) as watch:
        _set_soon(switch, times, 0.2)
        watch.wait(10)
        return (time.perf_counter() - times[0]) * 1000


def _cancel_ms(folder: Path) -> float:
    """Run a live session in real time and set the flag while it waits for its fourth poll."""
    services, times = _Desk(folder), cast("list[float]", [])
    polls = [0]

    def count(*_: object) -> None:
        polls[0] += 1
        if polls[0] == 3:
            _set_soon(services.kill_switch, times, 0.137)

    request = SessionRequest(Mode.LIVE, ("SPY",), "steady", steps=1000, poll_sec=Decimal("0.5"))
    run_session(cast(Services, services), request, Attempt("kill", folder / "records", count))
    return (services.cancelled[0] - times[0]) * 1000


class _MidMorning(SystemClock):
    """The machine's clock, set to a trading morning."""

    def __init__(self) -> None:
        self._ahead = OPEN - super().now()

    def now(self) -> datetime:
        """Return the present instant of that morning."""
        return super().now() + self._ahead


class _Steady:
    """A quote that never changes and is always fresh."""

    name, realtime, exhausted = "steady", False, False

    def __init__(self) -> None:
        self.clock = _MidMorning()

    def subscribe(self, symbols: Sequence[str]) -> None:
        """Know every symbol."""

    def poll(self) -> Mapping[str, Quote | None]:
        """Return the quote as of now."""
        at = self.clock.now() - timedelta(milliseconds=1)
        return {"SPY": Quote("SPY", at, Decimal("168.00"), Decimal("168.01"), 1000, 1000)}

    def close(self) -> None:
        """Do nothing."""


class _Desk(SimpleNamespace):
    """What a session asks of the desk, with a broker that notes when everything was cancelled."""

    def __init__(self, folder: Path) -> None:
        super().__init__(project=folder, kill_switch=KillSwitch(folder), profile=load_profile(ROOT, "sim"))
        self.cancelled: list[float] = []
        self.clock = SystemClock()

    def open_quotes(self, *_: object) -> _Steady:
        """Return the steady quote."""
        return _Steady()

    def open_broker(self, _: Mode, source: Any) -> SimulatedBroker:
        """Return a simulated broker that is watched."""
        broker = SimulatedBroker(quote_of=lambda _: None, clock=source.clock, cash=Decimal(100_000))
        broker.cancel_all = lambda: self.cancelled.append(time.perf_counter())  # type: ignore[method-assign]
        return broker

    def notify(self, alert: Alert) -> Delivery:
        """Tell nobody, at once."""
        return Delivery(False, f"nobody was told of {alert.title}")

    def strategy(self) -> ScoreStrategy:
        """Return a strategy that is not asked before the flag is there."""
        return ScoreStrategy("bold", LinearModel({"bias": 1.0}), Decimal("0.01"))
