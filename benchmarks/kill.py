"""The kill switch: from the flag's appearance until a waiting session wakes, and until its cancel goes out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from aurora.brokers.simulated import SimulatedBroker
from aurora.market.mode import Mode
from aurora.risk.kill_switch import KillSwitch
from aurora.risk.kill_watch import KillWatch
from aurora.session.run import Attempt, run_session
from aurora.session.services import Services
from aurora.session.settings import SessionRequest
from benchmarks.desk import Desk, MidMorning, SteadyQuotes
from benchmarks.measure import Case, Figure, Group, Size, in_turns

HANDOVER, WAKE, CANCEL = "one thread wakes another", "flag to a waiting session", "flag to the cancel of all orders"
BUDGET_MS = 20.0


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
    services, times = _WatchedDesk(folder), cast("list[float]", [])
    polls = [0]

    def count(*_: object) -> None:
        polls[0] += 1
        if polls[0] == 3:
            _set_soon(services.kill_switch, times, 0.137)

    request = SessionRequest(Mode.LIVE, ("SPY",), "steady", steps=1000, poll_sec=Decimal("0.5"))
    run_session(cast(Services, services), request, Attempt("kill", folder / "records", count))
    return (services.cancelled[0] - times[0]) * 1000


class _WatchedDesk(Desk):
    """A desk in real time, whose broker notes when everything was cancelled."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.cancelled: list[float] = []

    def open_quotes(self, *_: object) -> SteadyQuotes:
        """Return the steady quotes, as of now."""
        return SteadyQuotes(MidMorning())

    def open_broker(self, mode: Mode, source: Any) -> SimulatedBroker:
        """Return a book that is watched."""
        broker = super().open_broker(mode, source)
        broker.cancel_all = lambda: self.cancelled.append(time.perf_counter())  # type: ignore[method-assign]
        return broker
