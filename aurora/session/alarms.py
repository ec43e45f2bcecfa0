"""What a person is told of a session that goes on: its loops are slow, or it has not traded for long."""

from __future__ import annotations

from aurora.risk.circuit_breaker import CircuitBreaker
from aurora.session.phases import PhaseTimes, p95
from aurora.session.poll import Poll
from aurora.session.settings import SessionSettings
from aurora.session.tally import Tally

LOOPS = 100
FEWEST_LOOPS = 20


class Alarms:
    """look, a poll. The p95 is of the last hundred loops, from twenty on; each alarm is told once until it is over."""

    def __init__(self, settings: SessionSettings, breaker: CircuitBreaker, tally: Tally, phases: PhaseTimes) -> None:
        self._settings = settings
        self._breaker = breaker
        self._tally = tally
        self._phases = phases
        self._idle_bars = 0
        self._orders = 0
        self._is_slow = False

    def look(self, poll: Poll) -> None:
        """Tell what has come up with this poll."""
        self._look_at_trades(poll)
        self._look_at_times()

    def _look_at_trades(self, poll: Poll) -> None:
        if self._tally.orders != self._orders:
            self._orders, self._idle_bars = self._tally.orders, 0
        elif poll.weights:
            self._idle_bars += 1
            if self._idle_bars == self._settings.no_trade_bars:
                self._breaker.warn(f"no order for {self._idle_bars} decided bars, limit {self._settings.no_trade_bars}")

    def _look_at_times(self) -> None:
        recent = self._phases.totals_ms[-LOOPS:]
        if len(recent) < FEWEST_LOOPS:
            return
        value, limit = p95(recent), self._settings.loop_p95_ms
        was_slow, self._is_slow = self._is_slow, value is not None and value > limit
        if self._is_slow and not was_slow:
            self._breaker.warn(f"p95 of the last {len(recent)} loops {value} ms, limit {limit} ms")
