"""The session loop: look, judge, decide, route, record; and end flat."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TypeVar

from aurora.brokers.base import Broker
from aurora.clock import Clock, SystemClock, iso
from aurora.errors import SafetyStop, VenueRefusal
from aurora.execution.flatten import flatten_book
from aurora.execution.order_journal import OrderJournal
from aurora.execution.router import Decision, Router, Settlement
from aurora.market.order import Fill, OrderState, OrderStatus
from aurora.market.quote import Quote
from aurora.risk.circuit_breaker import CircuitBreaker
from aurora.risk.kill_switch import KillSwitch
from aurora.risk.lockout import Lockout
from aurora.risk.tripwires import check_quote
from aurora.session.bars import WARM_UP_BARS, Bars
from aurora.session.phases import PhaseTimes
from aurora.session.poll import Poll
from aurora.session.recorder import Recorder, decision_as_json, fill_as_json, order_as_json, seen_as_json
from aurora.session.settings import SessionSettings
from aurora.session.sizing import Sizing, size_order
from aurora.session.strategy import Strategy
from aurora.session.tally import Tally, equity_usd
from aurora.session.timetable import Timetable
from aurora.session.watched import WatchedQuotes

REDUCING_POLLS = 3
LOOK_S = 0.25
LOOK_WITH_ORDERS_S = 0.05
CLOCK_JUMP_S = 2.0
IN_FLIGHT_S = 2.0

X = TypeVar("X")
Y = TypeVar("Y")


class Session:
    """One session, from its first look at the quotes to a flat book.

    run   = (_reason_to_end? → _poll → _wait_for_next)* → _leave
    _poll = quotes → tripwires → features → predict → risk → route → record, each timed by `phases`

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
        pause: Callable[[float], object] | None = None,
        stopwatch: Clock | None = None,
    ) -> None:
        # Kept whole: one line a part that the session is put together from.
        self.settings = settings
        self._lockout = lockout
        self.breaker = breaker
        self.tally = Tally()
        self._stopwatch = stopwatch or SystemClock()
        self.phases = PhaseTimes(self._stopwatch)
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
        self._unlock = "" if lockout is None else lockout.last_unlock()
        self.ended = ""
        self.halted = False
        self.flat = False
        self.left = ""
        self.bids: dict[str, Decimal] = {}
        self.clock = source.clock
        self._source = source
        self._broker = broker
        self._strategy = strategy
        self._kill_switch = kill_switch
        self._recorder = recorder
        self._ref_prefix = ref_prefix
        self._refs = 0
        self._on_progress = on_progress
        self._is_stopping = is_stopping
        self._pause = source.clock.sleep if pause is None else pause
        self._times = Timetable(settings, source.clock)
        self._bars = Bars(settings.symbols)
        self._warmed_up = False
        self._new_fills: list[Fill] = []
        self._new_ends: list[OrderState] = []
        self.start_equity = self._equity()
        self._sizing = Sizing(
            settings.capital_usd,
            settings.limits.per_trade_notional_usd,
            settings.min_trade_usd,
            settings.limits.collar_bps,
        )

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

    def pnl_usd(self) -> Decimal:
        """Return equity now less equity at the start, in USD, after fees."""
        return self._equity() - self.start_equity

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
            self._settle()

    def _why_locked_out(self) -> str:
        if self._lockout is not None and self._lockout.stands and not self.breaker.locked:
            return f"{self._lockout.path.name} stands: another session locked the mode out"
        return "; ".join(self.breaker.anomalies)

    # one poll

    def _poll(self) -> None:
        self.phases.start()
        self._settle()
        poll = self._look()
        self.phases.end_phase("quotes")
        self._judge(poll)
        self.phases.end_phase("tripwires")
        self._observe(poll)
        self.phases.end_phase("features")
        self._predict(poll)
        self.phases.end_phase("predict")
        self._size(poll)
        self.phases.end_phase("risk")
        self._route(poll)
        self.phases.end_phase("route")
        self._record(poll)
        self.phases.end_phase("record")
        self._show_progress()

    def _look(self) -> Poll:
        self.tally.polls += 1
        jump = self._times.clock_jump_s
        if abs(jump) > CLOCK_JUMP_S:
            self.breaker.trip(f"the clock jumped by {jump:.1f} s, limit {CLOCK_JUMP_S} s")
        poll = Poll(self.tally.polls, self._times.due, self.clock.now(), since=self._source.drain())
        poll.quotes = self._source.poll()
        self._source.drain()  # what this very look saw stands in `quotes`
        return poll

    def _judge(self, poll: Poll) -> None:
        for symbol, quote in poll.quotes.items():
            holds = check_quote(symbol, quote, poll.at, self.settings.tripwires)
            self.breaker.count_poll(symbol, holds)
            if holds:
                poll.holds[symbol] = holds
                self.tally.holds += 1
            elif quote is not None and quote.bid is not None:
                self.bids[symbol] = quote.bid
        ticks = [quote.at for quote in poll.quotes.values() if quote is not None]
        self.breaker.count_ticks((poll.at - max(ticks, default=self._times.started)).total_seconds())

    def _observe(self, poll: Poll) -> None:
        """Take this poll's bars in; compute features of the symbols that had eleven bars before it."""
        if not self._warmed_up:
            self._warmed_up = all(self._bars.is_warm(symbol) for symbol in self.settings.symbols)
        if self._warmed_up:
            self.tally.steps += 1
            poll.step = self.tally.steps
        for symbol, quote in poll.quotes.items():
            is_warm, have = self._bars.is_warm(symbol), self._bars.have(symbol)
            held = symbol in poll.holds
            self._bars.add(symbol, None if held or quote is None else quote.mid)
            if held:
                continue
            if not is_warm:
                poll.note(symbol, f"warming up: {have} of {WARM_UP_BARS} bars")
            elif not self.settings.models_enabled:
                poll.note(symbol, "models are off")
            else:
                features = self._ask_model(poll, symbol, self._strategy.features, self._bars.mids(symbol))
                if features is not None:
                    poll.features[symbol] = features

    def _predict(self, poll: Poll) -> None:
        for symbol, features in poll.features.items():
            weight = self._ask_model(poll, symbol, self._weight, features)
            if weight is not None:
                poll.weights[symbol] = weight
        self.tally.count_bars(poll.weights)

    def _weight(self, features: Mapping[str, float]) -> Decimal:
        weight = self._strategy.weight(features)
        if not abs(weight) <= 1:
            raise ValueError(f"the weight was {weight}, it is -1 to 1")
        return weight

    def _ask_model(self, poll: Poll, symbol: str, question: Callable[[X], Y], about: X) -> Y | None:
        """Return the model's answer; None after a fallback: it is counted, the symbol held, the session locked out."""
        try:
            began = self._stopwatch.monotonic()
            answer = question(about)
            took_ms, limit = (self._stopwatch.monotonic() - began) * 1000, self.settings.model_answer_ms
            if took_ms > limit:
                raise TimeoutError(f"its answer took {took_ms:.1f} ms, limit {limit} ms")
            return answer
        except Exception as error:  # noqa: BLE001 - a model may fail in any way; each is a fallback
            self.tally.fallbacks += 1
            text = f"model fallback: {symbol}: {type(error).__name__}: {error}"
            poll.note(symbol, text)
            self.breaker.trip(text)
            return None

    def _size(self, poll: Poll) -> None:
        self._check_losses()
        in_flight = {state.order.symbol for state in self._broker.open_orders()}
        positions = {held.symbol: held.quantity for held in self._broker.positions()}
        reduce_only = self._polls_left() <= REDUCING_POLLS
        for symbol, weight in poll.weights.items():
            quote = poll.quotes[symbol]
            if symbol in in_flight:
                poll.note(symbol, "an order is in flight")
            elif quote is not None:
                wish = size_order(
                    weight, positions.get(symbol, 0), quote, poll.at, self._next_ref(), self._sizing,
                    reduce_only=reduce_only,
                )  # fmt: skip
                for note in wish.notes:
                    poll.note(symbol, note)
                if wish.order is not None:
                    poll.orders.append(wish.order)

    def _check_losses(self) -> None:
        """Hold the day's loss, and the fall from the high-water mark of all days, against their limits (rule 9)."""
        settings, orders = self.settings, self.router.orders
        total = orders.day.total_pnl_usd(self.bids)
        orders.mark(total, self._unlock)
        for name, lost, limit in (
            ("loss of the day", -orders.day.pnl_usd(self.bids), settings.daily_loss_limit_usd),
            ("drawdown", orders.day.high_water_usd - total, settings.max_drawdown_usd),
        ):
            if lost > limit:
                self.breaker.trip(f"{name} {lost:.2f} USD, limit {limit:.2f} USD")

    def _route(self, poll: Poll) -> None:
        for order in poll.orders:
            decision = self.router.route(order, poll.quotes[order.symbol])
            self.tally.count_decision(decision)
            poll.decisions.append(decision)

    def _record(self, poll: Poll) -> None:
        fills, self._new_fills = self._new_fills, []
        ends, self._new_ends = self._new_ends, []
        self._recorder.write(
            "poll",
            **poll.as_json(),
            orders=[order_as_json(state) for state in ends],
            fills=[fill_as_json(fill) for fill in fills],
            positions={held.symbol: held.quantity for held in self._broker.positions()},
            cash=self._broker.cash(),
            anomalies=self.breaker.anomalies,
            fallbacks=self.tally.fallbacks,
            phase_times_ms=self.phases.recorded(),
        )

    def _show_progress(self) -> None:
        label = f"poll {self.tally.polls}, {self.tally.orders} orders, {self.tally.holds} holds"
        if self.settings.steps is not None:
            self._on_progress(self.tally.steps, self.settings.steps, label)
        else:
            whole = self._times.whole_s
            self._on_progress(min(self._times.elapsed_s, whole), whole, label)

    # orders and money

    def _next_ref(self) -> str:
        self._refs += 1
        return f"{self._ref_prefix}-{self._refs:05d}"

    def _settle(self) -> None:
        self._take(self.router.settle())

    def _take(self, settlement: Settlement) -> None:
        self._new_fills += settlement.fills
        self._new_ends += settlement.ended
        self.tally.count_settlement(settlement)
        for anomaly in settlement.anomalies:
            self.breaker.trip(anomaly)
        for state in settlement.ended:
            if state.status is OrderStatus.REJECTED:
                self.breaker.trip(f"reject of {state.order.ref}: {state.reason}")

    def _equity(self) -> Decimal:
        return equity_usd(self._broker.cash(), self._broker.positions(), self.bids)

    # leaving

    def _let_orders_end(self) -> None:
        """Give what is in flight two seconds: an immediate-or-cancel order ends by itself."""
        until = self.clock.monotonic() + IN_FLIGHT_S
        while self._broker.open_orders() and self.clock.monotonic() < until:
            self.clock.sleep(LOOK_WITH_ORDERS_S)
        self._settle()

    def _leave(self) -> None:
        """Flatten (or, after a kill under `on_kill: hold`, only cancel), and record how it went."""
        if self.halted:
            self._broker.cancel_all()  # first of all: what works must not fill any more (rule 21)
            self._settle()
        if self.halted and not self.settings.flattens_on_kill:
            decisions: list[Decision] = []
            left = ", ".join(f"{held.quantity} {held.symbol}" for held in self._broker.positions())
            self.flat, self.left = not left, left and f"held after the kill: {left}"
        else:
            self._let_orders_end()
            done = flatten_book(self.router, self._broker, self._source, self._next_ref)
            decisions, self.flat, self.left = done.decisions, done.flat, done.reason
            for decision in decisions:
                self.tally.count_decision(decision)
            for settlement in done.settlements:
                self._take(settlement)
        self._recorder.write(
            "flatten",
            at=iso(self.clock.now()),
            since=seen_as_json(self._source.drain()),
            decisions=[decision_as_json(decision) for decision in decisions],
            orders=[order_as_json(state) for state in self._new_ends],
            fills=[fill_as_json(fill) for fill in self._new_fills],
            positions={held.symbol: held.quantity for held in self._broker.positions()},
            cash=self._broker.cash(),
            flat=self.flat,
            reason=self.left,
        )
