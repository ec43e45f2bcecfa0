"""A session whose engine dies, and an engine whose session dies: real processes, killed with SIGKILL."""

from __future__ import annotations

import json
import os
import signal
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aurora.execution.order_journal import read_last_days
from aurora.market.mode import Mode
from aurora.market.order import OrderStatus
from aurora.market.quote import Quote
from aurora.session.result import SessionResult
from aurora.session.run import Attempt, run_session
from aurora.session.settings import SessionRequest
from tests.engine.kit import Lab, kill, processes_in, wait_until
from tests.session.test_loop import RealTime, Wants
from tests.trading import FakeServices, make_profile, make_quote

TRADE = '''
"""A session in real time that goes on until somebody ends it."""

import os
from aurora.engine.context import Context
from aurora.engine.registry import step
from aurora.session.result import SessionResult, sample_result
from tests.crash.test_dead_man import trade

@step(repeat="never", sample=sample_result("live"), stop_grace=60.0)
def session(context: Context) -> SessionResult:
    (context.project / "worker.pid").write_text(str(os.getpid()))
    return trade(context)
'''
BOOK = """
    lock: desk
    steps:
      - {id: canary, uses: trade.session, on_failure: {runbook: save}}
      - {id: next, uses: lab.work}
    finally:
      - {id: bye, uses: lab.work}
"""
SAVE = """
    steps:
      - {id: flatten, uses: lab.work}
"""
SILENT_FROM_S = 1.05
"""After the warm-up, before the first order: what is sent then finds no quote, and works for ten seconds."""


class Market(RealTime):
    """A market in real time, called the venue's own; a silent one ticks no more after the warm-up."""

    realtime = True

    def __init__(self, silent: bool) -> None:
        super().__init__()
        self.script = lambda symbol, elapsed, now: self._quote(symbol, now, silent)
        self._began = self.clock.now()

    def _quote(self, symbol: str, now: datetime, silent: bool) -> Quote:
        last = self._began + timedelta(seconds=SILENT_FROM_S)
        return make_quote(symbol=symbol, at=min(now, last) if silent else now)


def trade(context: Any) -> SessionResult:
    """Run the step's session; a file `silent` in the project says which market."""
    profile = make_profile(risk={"max_quote_age_s": 5}, slo={"loop_p95_ms": 5000})
    services = FakeServices(context.project, profile, Market((context.project / "silent").exists()), Wants())
    request = SessionRequest(Mode.LIVE, ("SPY",), "market", steps=100_000, poll_sec=Decimal("0.1"))
    attempt = Attempt(context.token, context.artifacts, is_stopping=lambda: context.stopping)
    return run_session(services, request, attempt)


def started(lab: Lab, *, silent: bool) -> Any:
    """Start a run whose session has an order at work (silent) or a position; return the engine's process."""
    lab.steps("trade", TRADE)
    lab.book(BOOK)
    lab.book(SAVE, "save")
    if silent:
        (lab.root / "silent").touch()
    engine = lab.spawn("runbook", "book")
    wanted = OrderStatus.WORKING if silent else OrderStatus.FILLED
    wait_until(lambda: wanted in statuses(lab.root), what=f"an order that is {wanted}")
    return engine


def statuses(project: Path) -> list[OrderStatus]:
    """Return the state of each order of the day as it is on disk."""
    try:
        days = read_last_days(project)
    except Exception:  # noqa: BLE001 - a line is just being written
        return []
    return [state.status for _, _, day in days for state in day.orders.values()]


def record(project: Path) -> list[dict[str, Any]]:
    """Return the whole lines of the session's record."""
    (path,) = project.glob("runs/*/**/session.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]


@pytest.mark.parametrize("silent", [True, False], ids=["order works", "position held"])
def test_session_outlives_its_engine_only_to_leave(lab: Lab, silent: bool) -> None:
    """A session whose engine is killed cancels its orders, flattens, records both, and ends."""
    kill(started(lab, silent=silent))
    wait_until(lambda: not processes_in(lab.root), 30, "the end of the session")
    *_, closed = record(lab.root)
    assert (closed["type"], closed["result"]["ended"]) == ("session.closed", "it was asked to stop")
    assert (closed["result"]["flat"], closed["result"]["left"]) == (True, "")
    wanted = [OrderStatus.CANCELLED] if silent else [OrderStatus.FILLED] * 2
    assert statuses(lab.root) == wanted
    ((_, _, day),) = read_last_days(lab.root)
    assert (day.open_refs(), sum(day.holdings.values())) == ([], 0)


def test_engine_runs_the_failure_path_of_a_dead_session(lab: Lab) -> None:
    """A run whose session is killed is not green: what comes on failure runs, then `finally`, and nothing after it."""
    engine = started(lab, silent=False)
    os.kill(int((lab.root / "worker.pid").read_text()), signal.SIGKILL)
    output, _ = engine.communicate(timeout=30)
    state = lab.last().state
    assert engine.returncode != 0, output
    assert state.steps["canary"].status == "unknown"
    assert state.steps["bye"].status == "passed"
    assert "next" not in [line.split()[0] for line in lab.effects]
    assert record(lab.root)[-1]["type"] == "poll"
    assert "canary/on_failure/flatten work" in lab.effects
