from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.analytics.drift import (
    Decile,
    DriftLimits,
    FeatureReference,
    FeatureSample,
    Verdict,
    bin_edges,
    judge_feature,
    judge_features,
    psi,
)

LIMITS = DriftLimits(Decimal("0.10"), Decimal("0.25"), 500, Decimal(1))
REFERENCE = FeatureReference((0.0,), (500, 500), -1.0, 1.0)
COUNTS = st.lists(st.integers(0, 10_000), min_size=2, max_size=12)


@pytest.mark.parametrize(
    ("expected", "actual", "wanted"),
    [
        # Worked by hand with the published formula Σ (a − e) · ln(a / e).
        ((50, 50), (60, 40), 0.1 * math.log(1.2) - 0.1 * math.log(0.8)),
        ((10, 20, 30, 40), (40, 30, 20, 10), 0.6 * math.log(4) + 0.2 * math.log(1.5)),
        ((1, 1), (7, 7), 0.0),
    ],
)  # fmt: skip
def test_psi_is_that_of_the_formula(expected: tuple[int, ...], actual: tuple[int, ...], wanted: float) -> None:
    """The index is Σ (a − e) · ln(a / e) over shares of bins, whatever the counts' sums."""
    assert psi(expected, actual) == pytest.approx(wanted, abs=1e-12)


def test_two_bins_that_moved_by_a_tenth() -> None:
    """The published example: (.5, .5) beside (.6, .4) is 0.0405."""
    assert round(psi((50, 50), (60, 40)) or 0, 5) == 0.04055


def test_empty_bin_is_finite_and_fails() -> None:
    """A tenth of the values that are gone altogether is a drift that fails, and no infinity."""
    found = psi((10,) * 10, (0, 20, *(10,) * 8))
    assert found is not None
    assert math.isfinite(found)
    assert found > 0.25


def test_nothing_counted_has_no_index() -> None:
    """No reference or no sample is no number; other bins are a mistake."""
    assert psi((0, 0), (1, 2)) is None
    assert psi((1, 2), (0, 0)) is None
    with pytest.raises(ValueError, match="same bins"):
        psi((1, 2), (1, 2, 3))


@given(COUNTS, st.integers(1, 9))
def test_psi_is_never_negative_and_zero_for_itself(counts: list[int], times: int) -> None:
    """Any counts beside themselves are 0, whatever their number; beside others it is never below zero, either way."""
    if not sum(counts):
        return
    assert psi(counts, [count * times for count in counts]) == pytest.approx(0, abs=1e-12)
    turned = counts[::-1]
    assert psi(counts, turned) == pytest.approx(psi(turned, counts) or 0)
    assert (psi(counts, turned) or 0) >= 0


def alone(value: float, below: float | None, above: float | None, up_to: int = 1, beyond: int = 0) -> Decile:
    """Return a decile whose values are all one number."""
    return Decile(value, value, value, below, above, up_to, beyond)


def test_constant_feature_has_a_bin_of_its_own() -> None:
    """A constant that moves either way leaves its bin: a repeated value is cut on both sides."""
    assert bin_edges([alone(3.0, None, None, 90)] * 9, 90) == (math.nextafter(3.0, -math.inf), 3.0)
    continuum = [Decile(value, 1.0, 5.0, None, None, 50, 50) for value in (1.0, 2.0, 2.0, 5.0)]
    assert bin_edges(continuum, 100) == (1.0, math.nextafter(2.0, -math.inf), 2.0, 5.0)


def test_no_edge_is_inside_what_stands_together() -> None:
    """An edge beside values of one tick is in the middle of the nearer gap; many of them have both."""
    light = Decile(2.01, 1.98, 2.02, 1.0, 4.02, up_to=3, beyond=2)
    assert list(bin_edges([light], 100)) == pytest.approx([3.02])
    assert list(bin_edges([replace(light, beyond=4)], 100)) == pytest.approx([1.49])
    assert list(bin_edges([replace(light, up_to=30)], 100)) == pytest.approx([1.49, 3.02])
    # at an end of the range the missing gap is taken to be as wide as the other
    assert list(bin_edges([replace(light, above=None, up_to=30)], 100)) == pytest.approx([1.49, 2.51])
    assert list(bin_edges([replace(light, below=None, up_to=30)], 100)) == pytest.approx([0.98, 3.02])


def test_two_neighbours_share_the_edge_between_them() -> None:
    """The middle of a gap is one edge, from whichever side: nothing could ever be counted between two."""
    zeros = Decile(0.0, 0.0, 0.0, None, 0.178747, 90, 0)
    cents = Decile(0.18, 0.178747, 0.181, 0.0, 0.2, 50, 40)
    assert len(bin_edges([zeros, cents], 200)) == 3


@pytest.mark.parametrize(
    ("sample", "verdict", "why"),
    [
        (FeatureSample(1000, (500, 500), 0), Verdict.STEADY, ""),
        (FeatureSample(1000, (600, 400), 0), Verdict.STEADY, ""),
        (FeatureSample(1000, (660, 340), 0), Verdict.WARN, "PSI 0.1061, a warning from 0.10"),
        (FeatureSample(1000, (800, 200), 0), Verdict.FAIL, "PSI 0.4159, it fails from 0.25"),
        (FeatureSample(499, (250, 249), 0), Verdict.UNKNOWN, "499 values; it takes 500"),
        (FeatureSample(0, (0, 0), 0), Verdict.UNKNOWN, "0 values; it takes 500"),
        # 1 % missing is within its limit, more is not; and few values do not excuse missing ones.
        (FeatureSample(1000, (495, 495), 0), Verdict.STEADY, ""),
        (FeatureSample(1000, (495, 494), 0), Verdict.FAIL, "1.100 % of its values are missing, limit 1 %"),
        (FeatureSample(10, (0, 0), 0), Verdict.FAIL, "100.000 % of its values are missing, limit 1 %"),
    ],
)
def test_verdict_of_a_feature(sample: FeatureSample, verdict: Verdict, why: str) -> None:
    """Trading rule 19: warn from 0.10, fail from 0.25; fewer than 500 values are unknown; missing ones fail."""
    found = judge_feature("f", REFERENCE, sample, LIMITS)
    assert (found.verdict, found.why) == (verdict, why)


def test_limit_itself_counts() -> None:
    """A PSI that is its limit is over it."""
    limits = DriftLimits(Decimal("0.0405"), Decimal("0.1061"), 500, Decimal(1))
    assert judge_feature("f", REFERENCE, FeatureSample(1000, (600, 400), 0), limits).verdict is Verdict.WARN
    assert judge_feature("f", REFERENCE, FeatureSample(1000, (660, 340), 0), limits).verdict is Verdict.FAIL


def test_shares_are_told() -> None:
    """Values outside the reference's range are counted in percent of the values; nothing asked is no share."""
    assert judge_feature("f", REFERENCE, FeatureSample(1000, (500, 500), 25), LIMITS).outside_pct == Decimal("2.5")
    nothing = judge_features({"f": REFERENCE}, {}, LIMITS)[0]
    assert (nothing.verdict, nothing.missing_pct, nothing.outside_pct, nothing.psi) == (
        Verdict.UNKNOWN,
        None,
        None,
        None,
    )
