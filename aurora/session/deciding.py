"""What a session wants: bars → features → a weight for each symbol; a model that has no answer is a fallback."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TypeVar

from aurora.clock import Clock
from aurora.risk.circuit_breaker import CircuitBreaker
from aurora.risk.tripwires import check_weight
from aurora.session.bars import WARM_UP_BARS, Bars
from aurora.session.poll import Poll
from aurora.session.settings import SessionSettings
from aurora.session.strategy import Strategy
from aurora.session.tally import Tally

X = TypeVar("X")
Y = TypeVar("Y")


class Decider:
    """Per poll: observe (bars, features) → predict (weights). stopwatch: the machine's clock, for the model's time."""

    def __init__(
        self,
        settings: SessionSettings,
        strategy: Strategy,
        breaker: CircuitBreaker,
        tally: Tally,
        stopwatch: Clock,
    ) -> None:
        self._settings = settings
        self._strategy = strategy
        self._breaker = breaker
        self._tally = tally
        self._stopwatch = stopwatch
        self._bars = Bars(settings.symbols)
        self._warmed_up = False
        self._weights: dict[str, Decimal] = {}

    def observe(self, poll: Poll) -> None:
        """Take this poll's bars in; compute features of the symbols that had eleven bars before it."""
        if not self._warmed_up:
            self._warmed_up = all(self._bars.is_warm(symbol) for symbol in self._settings.symbols)
        if self._warmed_up:
            self._tally.steps += 1
            poll.step = self._tally.steps
        for symbol, quote in poll.quotes.items():
            is_warm, have = self._bars.is_warm(symbol), self._bars.have(symbol)
            held = symbol in poll.holds
            self._bars.add(symbol, None if held or quote is None else quote.mid)
            if held:
                continue
            if not is_warm:
                poll.note(symbol, f"warming up: {have} of {WARM_UP_BARS} bars")
            elif not self._settings.models_enabled:
                poll.note(symbol, "models are off")
            else:
                poll.asked.append(symbol)
                features = self._ask(poll, symbol, self._strategy.features, self._bars.mids(symbol))
                if features is not None:
                    poll.features[symbol] = features

    def predict(self, poll: Poll) -> None:
        """Turn features into weights; one that jumped since the bar before is a HOLD."""
        before, self._weights = self._weights, {}
        for symbol, features in poll.features.items():
            weight = self._ask(poll, symbol, self._weight, features)
            if weight is None:
                continue
            self._weights[symbol] = weight
            holds = check_weight(symbol, weight, before.get(symbol), self._settings.max_weight_change_pct)
            if holds:
                poll.holds[symbol] = holds
                self._tally.holds += 1
                self._breaker.add_hold(symbol, holds[0])
            else:
                poll.weights[symbol] = weight
        self._tally.count_bars(poll.weights)

    def _weight(self, features: Mapping[str, float]) -> Decimal:
        weight = self._strategy.weight(features)
        if not weight.is_finite() or abs(weight) > 1:
            raise ValueError(f"the weight was {weight}, it is -1 to 1")
        return weight

    def _ask(self, poll: Poll, symbol: str, question: Callable[[X], Y], about: X) -> Y | None:
        """Return the model's answer; None after a fallback: it is counted, the symbol held, the session locked out."""
        try:
            began = self._stopwatch.monotonic()
            answer = question(about)
            took_ms, limit = (self._stopwatch.monotonic() - began) * 1000, self._settings.model_answer_ms
            if took_ms > limit:
                raise TimeoutError(f"its answer took {took_ms:.1f} ms, limit {limit} ms")
            return answer
        except Exception as error:  # noqa: BLE001 - a model may fail in any way; each is a fallback
            self._tally.fallbacks += 1
            text = f"model fallback: {symbol}: {type(error).__name__}: {error}"
            poll.note(symbol, text)
            self._breaker.trip(text)
            return None
