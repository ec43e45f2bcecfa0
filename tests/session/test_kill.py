"""A session under the kill flag: how soon it hears of it, and what it does first."""

from __future__ import annotations

import threading
import time
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from aurora.clock import SystemClock
from aurora.market.mode import Mode
from aurora.session import loop
from aurora.session.run import Attempt, run_session
from aurora.session.settings import SessionRequest
from tests.session.test_loop import Wants, run
from tests.trading import START, FakeServices, ScriptedQuotes, make_profile, steady


class Morning(SystemClock):
    """The machine's clock, set to a trading morning."""

    def __init__(self) -> None:
        self._ahead = START - super().now()

    def now(self) -> datetime:
        return super().now() + self._ahead


def test_waiting_session_hears_of_the_flag_from_the_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Engine rule 30: a session in real time does not find the flag at its next look: the kernel wakes it."""
    monkeypatch.setattr(loop, "LOOK_S", 60.0)
    source = ScriptedQuotes(steady())
    source.clock = Morning()  # type: ignore[assignment]
    services = FakeServices(tmp_path, make_profile(), source, Wants())
    timer = threading.Timer(0.5, services.kill_switch.flag.touch)
    request = SessionRequest(Mode.LIVE, ("SPY",), "x", steps=5, poll_sec=Decimal(60))
    began = time.monotonic()
    result = run_session(services, request, Attempt("a", tmp_path / "records", on_progress=lambda *_: timer.start()))
    assert (result.halted, result.polls) == (True, 1)
    assert time.monotonic() - began < 40  # a minute without the kernel; a second with it


@pytest.mark.parametrize("on_kill", ["hold", "flatten"])
def test_kill_cancels_before_anything_else(tmp_path: Path, on_kill: str) -> None:
    """Trading rule 21: after a kill what works is cancelled at once, and not given the time to fill."""

    def on_poll(number: int, services: FakeServices) -> None:
        if number == 12:
            assert services.brokers[0].open_orders()
            services.kill_switch.flag.touch()

    ran = run(tmp_path, model=Wants("0.01"), profile={"on_kill": on_kill}, on_poll=on_poll)
    assert (ran.result.halted, ran.result.orders, ran.result.fills, ran.result.flat) == (True, 1, 0, True)
    (end,) = ran.lines[-2]["orders"]
    assert (end["status"], end["reason"]) == ("CANCELLED", "cancelled on request")
