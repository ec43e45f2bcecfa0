from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.analytics.quantiles import nearest_rank


def test_nearest_rank_of_known_values() -> None:
    """The p95 of 1 to 100 is 95, the median of four is the second, and all of it is the largest."""
    assert nearest_rank(map(float, range(1, 101)), 0.95) == 95
    assert nearest_rank([4.0, 1.0, 3.0, 2.0], 0.5) == 2
    assert nearest_rank([Decimal(3), Decimal(1)], 1) == 3


def test_nothing_has_no_quantile() -> None:
    """Of no values there is no quantile, rather than a zero."""
    assert nearest_rank([], 0.95) is None


@pytest.mark.parametrize("share", [0, -0.1, 1.1, float("nan")])
def test_share_is_a_share(share: float) -> None:
    """A share is above zero and at most one."""
    with pytest.raises(ValueError, match="The share was"):
        nearest_rank([1.0], share)


@given(st.lists(st.floats(allow_nan=False), min_size=1), st.floats(0.001, 1))
def test_quantile_was_measured_and_covers_its_share(values: list[float], share: float) -> None:
    """A quantile is one of the values, and at least its share of them do not exceed it."""
    quantile = nearest_rank(values, share)
    assert quantile in values
    assert quantile is not None
    assert sum(value <= quantile for value in values) >= share * len(values) - 1e-9
