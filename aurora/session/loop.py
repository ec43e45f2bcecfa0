"""The session loop: look, judge, decide, route, record; and end flat."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from decimal import Decimal

from aurora.brokers.base import Broker
from aurora.clock import Clock, SystemClock, iso
from aurora.errors import SafetyStop, VenueRefusal
from aurora.execution.order_journal import OrderJournal
from aurora.execution.router import Router
from aurora.market.quote import Quote
from aurora.risk.circuit_breaker import CircuitBreaker
from aurora.risk.kill_switch import KillSwitch
from aurora.risk.lockout import Lockout
from aurora.session.accounting import Accounts
from aurora.session.alarms import Alarms
from aurora.session.deciding import Decider
from aurora.session.judging import Judge
from aurora.session.leaving import Left, WayOut
from aurora.session.ordering import Orders
from aurora.session.phases import PhaseTimes
from aurora.session.poll import Poll
from aurora.session.recorder import Recorder, decision_as_json, fill_as_json, order_as_json, seen_as_json
from aurora.session.settings import SessionSettings
from aurora.session.strategy import Strategy
from aurora.session.tally import Tally
from aurora.session.timetable import Timetable
from aurora.session.watched import WatchedQuotes

REDUCING_POLLS = 3
LOOK_S = 0.25
LOOK_WITH_ORDERS_S = 0.05


class Session:
    """One session, from its first look at the quotes to a flat book.

    run   = (_reason_to_end? → _poll → _wait_for_next)* → _leave
    _poll = quotes → tripwires → features → predict → risk → route → record, each timed by `phases`; the rooms:
            `Judge` (quotes, tripwires), `Decider` (features, predict), `Orders` (risk, route), `Accounts` (what comes
            back), `WayOut`

    Whatever ends it (steps, time, a stop request, the kill flag, an anomaly, a fault of ours), it leaves flat: the book
    is flattened, except after a kill under `on_kill: hold`, where working orders are cancelled and positions stay.
    """

    def __init__(
        self,
        settings: SessionSettings,
        *,
        source: WatchedQuotes,
        broker: Broker,
        strategy: Strategy,
        kill_switch: KillSwitch,
        recorder: Recorder,
        ref_prefix: str,
        objection: str,
        orders: OrderJournal,
        breaker: CircuitBreaker,
        lockout: Lockout | None = None,
        on_progress: Callable[[float, float | None, str], None] = lambda *_: None,
        is_stopping: Callable[[], bool] = bool,
        on_kill_flag: Callable[[], object] = lambda: None,
        pause: Callable[[float], object] | None = None,
        stopwatch: Clock | None = None,
    ) -> None:
        # Kept whole: one line a part that the session is put together from.
        self.settings = settings
        self.breaker = breaker
        self.tally = Tally()
        self.clock = source.clock
        self.ended = ""
        self.halted = False
        self.flat = False
        self.left = ""
        self._source = source
        self._broker = broker
        self._kill_switch = kill_switch
        self._lockout = lockout
        self._recorder = recorder
        self._on_progress = on_progress
        self._is_stopping = is_stopping
        self._on_kill_flag = on_kill_flag
        self._pause = source.clock.sleep if pause is None else pause
        stopwatch = stopwatch or SystemClock()
        self.phases = PhaseTimes(stopwatch)
        self.router = Router(
            mode=settings.mode,
            broker=broker,
            clock=source.clock,
            kill_switch=kill_switch,
            lockout=self._why_locked_out,
            tripwires=settings.tripwires,
            limits=settings.limits,
            objection=objection,
            orders=orders,
        )
        self._times = Timetable(settings, source.clock)
        self._judge = Judge(settings, source, broker, self._times, breaker, self.tally)
        self._decider = Decider(settings, strategy, breaker, self.tally, stopwatch)
        self._orders = Orders(settings, broker, self.router, self.tally, ref_prefix)
        unlock = "" if lockout is None else lockout.last_unlock()
        self._accounts = Accounts(settings, self.router, breaker, self.tally, unlock)
        self._alarms = Alarms(settings, breaker, self.tally, self.phases)
        self._way_out = WayOut(self.router, broker, source, self._accounts, self.tally, self._orders.next_ref)
        self._began_usd = orders.day.pnl_usd({})

    def run(self) -> None:
        """Trade until there is a reason to end, then leave; `ended` says why. Raises what could not be contained."""
        if not self.breaker.locked:
            self._times.wait_for_hours(self._is_interrupted)
        try:
            while not (reason := self._reason_to_end()):
                self._poll()
                if not self._reason_to_end():
                    self._wait_for_next()
            self.ended = reason
        except (SafetyStop, VenueRefusal) as stop:
            # Data that can't be judged, or a source or venue that fails: an anomaly like any other.
            self.breaker.trip(stop.what)
            self.ended = f"lockout: {stop.what}"
        except BaseException:
            # A fault of ours, or a disk that refuses the record: it must not keep us in a position.
            self._leave()
            raise
        self._leave()

    @property
    def bids(self) -> dict[str, Decimal]:
        """Return the last valid bid of each symbol, in USD a share."""
        return self._judge.bids

    def pnl_usd(self) -> Decimal:
        """Return what the session's fills made, in USD, after fees; what is held at its last valid bid (rule 9)."""
        return self.router.orders.day.pnl_usd(self.bids) - self._began_usd

    def latest(self, symbol: str) -> Quote | None:
        """Return the newest quote of `symbol`."""
        return self._source.poll().get(symbol)

    # when

    def _is_interrupted(self) -> bool:
        return self._is_stopping() or self._kill_switch.is_set

    def _reason_to_end(self) -> str:
        if self._kill_switch.is_set:
            self.halted = True
            return "the kill flag was set"
        if self.breaker.locked:
            return f"lockout: {self.breaker.anomalies[0]}"
        if self._is_stopping():
            return "it was asked to stop"
        if self.settings.steps is not None and self.tally.steps >= self.settings.steps:
            return f"all {self.settings.steps} steps were made"
        if self._times.is_over:
            return "its time was up"
        return "the recording has ended" if self._source.exhausted else ""

    def _polls_left(self) -> int:
        """Return how many polls are still to come, this one included."""
        left = self._times.polls_left()
        return left if self.settings.steps is None else min(left, self.settings.steps - self.tally.steps + 1)

    def _wait_for_next(self) -> None:
        """Let time pass until the next poll is due, looking after orders, kill flag and stop requests meanwhile."""
        self._times.next_beat()
        while not self._is_interrupted() and (left := self._times.seconds_left()) > 0:
            self._pause(min(left, LOOK_WITH_ORDERS_S if self._broker.open_orders() else LOOK_S))
            self._accounts.settle()

    def _why_locked_out(self) -> str:
        if self._lockout is not None and self._lockout.stands and not self.breaker.locked:
            return f"{self._lockout.path.name} stands: another session locked the mode out"
        return "; ".join(self.breaker.anomalies)

    # one poll

    def _poll(self) -> None:
        self.phases.start()
        self._accounts.settle()
        poll = self._judge.look()
        self.phases.end_phase("quotes")
        try:
            self._decide(poll)
        finally:  # also of a poll that the venue broke off: what it decided till then is on record
            self._record(poll)
            self.phases.end_phase("record")
        self._alarms.look(poll)
        self._show_progress()

    def _decide(self, poll: Poll) -> None:
        self._judge.judge(poll)
        self.phases.end_phase("tripwires")
        self._decider.observe(poll)
        self.phases.end_phase("features")
        self._decider.predict(poll)
        self.phases.end_phase("predict")
        self._accounts.check_losses(self.bids)
        self._orders.size(poll, reduce_only=self._polls_left() <= REDUCING_POLLS)
        self.phases.end_phase("risk")
        self._orders.route(poll)
        self.phases.end_phase("route")

    def _record(self, poll: Poll) -> None:
        self._recorder.write(
            "poll",
            **poll.as_json(),
            **self._book_as_json(),
            anomalies=self.breaker.anomalies,
            fallbacks=self.tally.fallbacks,
            phase_times_ms=self.phases.recorded(),
        )

    def _book_as_json(self) -> dict[str, object]:
        """Return what came back since the last line, and what the account holds now: null where nobody knows."""
        fills, ends = self._accounts.drain()
        positions: dict[str, int] | None = None
        cash: Decimal | None = None
        with contextlib.suppress(VenueRefusal):
            positions = {held.symbol: held.quantity for held in self._broker.positions()}
            cash = self._broker.cash()
        return {
            "orders": [order_as_json(state) for state in ends],
            "fills": [fill_as_json(fill) for fill in fills],
            "positions": positions,
            "cash": cash,
        }

    def _show_progress(self) -> None:
        label = f"poll {self.tally.polls}, {self.tally.orders} orders, {self.tally.holds} holds"
        if self.settings.steps is not None:
            self._on_progress(self.tally.steps, self.settings.steps, label)
        else:
            whole = self._times.whole_s
            self._on_progress(min(self._times.elapsed_s, whole), whole, label)

    # leaving

    def _leave(self) -> None:
        """Flatten (or, after a kill under `on_kill: hold`, only cancel), and record how it went."""
        if self.halted:
            with contextlib.suppress(VenueRefusal):  # the way out asks again
                self._broker.cancel_all()
            self._on_kill_flag()  # a person is told when the cancel is out: not a millisecond before (rule 21)
        keeps = self.halted and not self.settings.flattens_on_kill
        left: Left = self._way_out.hold() if keeps else self._way_out.flatten(is_killed=self.halted)
        self.flat, self.left = left.flat, left.reason
        self._recorder.write(
            "flatten",
            at=iso(self.clock.now()),
            since=seen_as_json(self._source.drain()),
            decisions=[decision_as_json(decision) for decision in left.decisions],
            **self._book_as_json(),
            flat=self.flat,
            reason=self.left,
        )
