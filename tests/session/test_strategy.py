from __future__ import annotations

import math
import statistics
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.session.strategy import LinearModel, ScoreStrategy

MIDS = st.lists(st.floats(1, 10_000), min_size=11, max_size=11)
COEFFICIENTS = {"bias": 0.1, "return_1_bps": 0.2, "return_5_bps": -0.1, "volatility_10_bps": 0.05}


def strategy(max_weight: str = "0.01", **coefficients: float) -> ScoreStrategy:
    """Return a strategy with these coefficients."""
    return ScoreStrategy("linear", LinearModel(coefficients or COEFFICIENTS), Decimal(max_weight))


def test_features_of_a_known_series() -> None:
    """Returns are in basis points of the earlier mid; volatility is the deviation of ten one-bar returns."""
    mids = [100.0] * 5 + [100.0, 101.0, 101.0, 101.0, 101.0, 102.01]
    features = strategy().features(mids)
    assert features["return_1_bps"] == pytest.approx(100)
    assert features["return_5_bps"] == pytest.approx(201)
    assert features["volatility_10_bps"] == pytest.approx(40.0)  # two of ten returns are 100 bps, eight are 0


@given(MIDS)
def test_features_agree_with_the_library(mids: list[float]) -> None:
    """The deviation is statistics.pstdev's."""
    returns = [(later / earlier - 1) * 10_000 for earlier, later in pairwise(mids)]
    assert strategy().features(mids)["volatility_10_bps"] == pytest.approx(
        statistics.pstdev(returns), rel=1e-9, abs=1e-9
    )


@given(MIDS)
def test_weight_is_within_its_cap(mids: list[float]) -> None:
    """A weight is a Decimal of at most `max_weight` on either side."""
    model = strategy()
    weight = model.weight(model.features(mids))
    assert isinstance(weight, Decimal)
    assert abs(weight) <= Decimal("0.01")


def test_score_is_linear_and_squeezed() -> None:
    """The weight is max_weight × tanh(bias + Σ coefficient × feature)."""
    features = {"return_1_bps": 1.0, "return_5_bps": 2.0, "volatility_10_bps": 3.0}
    expected = math.tanh(0.1 + 0.2 * 1 - 0.1 * 2 + 0.05 * 3)
    assert float(strategy("1").weight(features)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_score_that_is_no_number_raises(value: float) -> None:
    """NaN raises: a model without an answer has none, rather than a weight of nobody knows what."""
    with pytest.raises(ValueError, match="the score was"):
        strategy().weight({"return_1_bps": value, "return_5_bps": 0.0, "volatility_10_bps": 0.0})


def test_missing_feature_raises() -> None:
    """A feature that is not there is a fault, not a zero."""
    with pytest.raises(KeyError):
        strategy().weight({"return_1_bps": 1.0})


def test_unknown_coefficient_is_refused() -> None:
    """A coefficient of a feature that there is not would be dead: it is refused by name."""
    with pytest.raises(ValueError, match="no feature 'momentum'"):
        strategy(momentum=1.0)
