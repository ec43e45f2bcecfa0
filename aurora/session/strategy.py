"""The strategy port, and a small linear strategy: features of polled mids → score → weight."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Protocol


class Strategy(Protocol):
    """What decides how much of the capital a symbol should hold."""

    name: str

    def features(self, mids: Sequence[float]) -> Mapping[str, float]:
        """Return named features of the last eleven mids in USD, oldest first."""

    def weight(self, features: Mapping[str, float]) -> Decimal:
        """Return the share of capital to hold in the symbol, -1 to 1. Raises ValueError where there is no answer."""


class LinearStrategy:
    """A linear score of three features, squeezed by tanh and scaled to `max_weight`.

    return_1_bps, return_5_bps: change of the mid over one and five bars, in basis points of the earlier mid.
    volatility_10_bps:          standard deviation (n = 10) of the last ten one-bar returns, in basis points.
    """

    name = "linear"
    FEATURES = ("return_1_bps", "return_5_bps", "volatility_10_bps")

    def __init__(self, coefficients: Mapping[str, float], max_weight: Decimal) -> None:
        unknown = set(coefficients) - {*self.FEATURES, "bias"}
        if unknown:
            raise ValueError(f"The linear strategy has no feature {sorted(unknown)[0]!r}.")
        self._coefficients = dict(coefficients)
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
        """Return max_weight × tanh(bias + Σ coefficient × feature)."""
        score = self._coefficients.get("bias", 0.0)
        score += sum(self._coefficients.get(name, 0.0) * features[name] for name in self.FEATURES)
        if not math.isfinite(score):
            raise ValueError(f"the score was {score}")
        return Decimal(repr(round(math.tanh(score), 6))) * self._max_weight


def _deviation(values: Sequence[float]) -> float:
    """Return the population's standard deviation; statistics.pstdev does it in fractions, forty times slower."""
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))
