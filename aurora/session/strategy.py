"""The strategy port: features of polled mids → a model's score → weight."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Protocol

BARS = {"return_1_bps": 1, "return_5_bps": 5, "volatility_10_bps": 10}
"""Over how many bars each feature looks: so many of its values in a row have bars in common."""
FEATURES = tuple(BARS)


class Strategy(Protocol):
    """What decides how much of the capital a symbol should hold."""

    name: str

    def features(self, mids: Sequence[float]) -> Mapping[str, float]:
        """Return named features of the last eleven mids in USD, oldest first."""

    def weight(self, features: Mapping[str, float]) -> Decimal:
        """Return the share of capital to hold in the symbol, -1 to 1. Raises ValueError where there is no answer."""


class Model(Protocol):
    """What turns features into a score: the higher, the more of the symbol should be held."""

    def predict(self, features: Mapping[str, float]) -> float:
        """Return the score of named features; any number. Raises whatever it likes where it has no answer."""


class LinearModel:
    """bias + Σ coefficient × feature. Raises ValueError when made with a coefficient of no feature."""

    def __init__(self, coefficients: Mapping[str, float]) -> None:
        unknown = set(coefficients) - {*FEATURES, "bias"}
        if unknown:
            raise ValueError(f"there is no feature {sorted(unknown)[0]!r}")
        self._coefficients = dict(coefficients)

    def predict(self, features: Mapping[str, float]) -> float:
        """Return the score."""
        score = self._coefficients.get("bias", 0.0)
        return score + sum(self._coefficients.get(name, 0.0) * features[name] for name in FEATURES)


class ScoreStrategy:
    """A model's score of three features of polled mids, squeezed by tanh and scaled to `max_weight`.

    return_1_bps, return_5_bps: change of the mid over one and five bars, in basis points of the earlier mid.
    volatility_10_bps:          standard deviation (n = 10) of the last ten one-bar returns, in basis points.
    """

    def __init__(self, name: str, model: Model, max_weight: Decimal) -> None:
        self.name = name
        self._model = model
        self._max_weight = max_weight

    def features(self, mids: Sequence[float]) -> Mapping[str, float]:
        """Return the three features."""
        returns = [(later / earlier - 1) * 10_000 for earlier, later in zip(mids[-11:-1], mids[-10:], strict=True)]
        return {
            "return_1_bps": returns[-1],
            "return_5_bps": (mids[-1] / mids[-6] - 1) * 10_000,
            "volatility_10_bps": _deviation(returns),
        }

    def weight(self, features: Mapping[str, float]) -> Decimal:
        """Return max_weight × tanh(score). Raises ValueError for a score that is no finite number."""
        score: object = self._model.predict(features)
        if isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score):
            raise ValueError(f"the score was {score!r}, it is a finite number")
        return Decimal(repr(round(math.tanh(score), 6))) * self._max_weight


def _deviation(values: Sequence[float]) -> float:
    """Return the population's standard deviation; statistics.pstdev does it in fractions, forty times slower."""
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))
