"""Drift: how far the features of recent sessions are from those of a reference, by the population stability index.

PSI = Σ (a − e) · ln(a / e) over bins, e the reference's share of a bin and a the share of it today. Ten bins by the
reference's deciles; the outer ones are open, so that nothing falls outside.

No bin ends inside values that stand together: a return of one cent is 0.166 bps on one day and 0.168 on the next, and
an edge between the two would call that a drift (measured on random walks of whole cents, price moved by 3 %: a median
PSI of 1.7 with edges at the deciles, of 0.02 with these).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

EMPTY_SHARE = 1e-4
"""What an empty bin counts as: its logarithm would be infinite."""
DECILES = tuple(number / 10 for number in range(1, 10))
APART = 0.05
"""Two neighbouring values stand apart when they differ by more than this share of the larger: prices move by less
between a reference and today, returns of whole cents do not."""


class Verdict(StrEnum):
    """What a feature's PSI says."""

    STEADY = "steady"
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class FeatureReference:
    """A feature as it was: counts of `len(edges) + 1` bins; the bin of an edge is the one that ends with it."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    low: float
    high: float


@dataclass(frozen=True)
class Decile:
    """A decile, and the values around it that stand together, from `low` to `high`.

    below, above: the nearest values that stand apart; None where there is none. up_to, beyond: how many of those that
    stand together are not above `value`, and are.
    """

    value: float
    low: float
    high: float
    below: float | None
    above: float | None
    up_to: int
    beyond: int

    @property
    def gaps(self) -> tuple[float, float]:
        """Return how far the nearest values are, on each side; where there is none, as far as on the other."""
        left = None if self.below is None else self.low - self.below
        right = None if self.above is None else self.above - self.high
        if left is None:
            left = right or 0.0
        return left, left if right is None else right


@dataclass(frozen=True)
class FeatureSample:
    """A feature as it is now: asked for so often, `counts` of its finite values by the reference's bins.

    outside: of these, below the reference's lowest value or above its highest.
    """

    asked: int
    counts: tuple[int, ...]
    outside: int


@dataclass(frozen=True)
class DriftLimits:
    """From when a PSI is worth a warning, and fails; how many values it takes; how many may be missing, in percent."""

    warn_psi: Decimal
    fail_psi: Decimal
    min_values: int
    max_missing_pct: Decimal


@dataclass(frozen=True)
class FeatureDrift:
    """What became of one feature. psi is None where it is unknown; shares in percent, None where nothing was asked."""

    feature: str
    verdict: Verdict
    samples: int
    psi: Decimal | None
    missing_pct: Decimal | None
    outside_pct: Decimal | None
    why: str


def bin_edges(deciles: Sequence[Decile], total: int) -> tuple[float, ...]:
    """Return rising edges near deciles of `total` values.

    Where a decile's values stand apart from all others, the edge is in the nearer gap beside them; where they are more
    than a tenth of all, they have a bin of their own. A constant feature's bin holds that one number.
    """
    repeated = Counter(each.value for each in deciles)
    edges: set[float] = set()
    for each in deciles:
        left, right = each.gaps
        if each.high - each.low > min(left, right):  # a continuum: one edge is as good as another
            edges.add(each.value)
            if repeated[each.value] > 1:
                edges.add(math.nextafter(each.value, -math.inf))
            continue
        # the middle of a gap is one number, from whichever side it is come to: no empty bin lies between two edges
        begin = math.nextafter(each.low - left / 2, -math.inf) if each.below is None else (each.below + each.low) / 2
        end = each.high + right / 2 if each.above is None else (each.high + each.above) / 2
        if each.up_to + each.beyond > total * DECILES[0]:
            edges |= {begin, end}
        else:
            edges.add(begin if each.up_to < each.beyond else end)
    return tuple(sorted(edges))


def psi(expected: Sequence[int], actual: Sequence[int]) -> float | None:
    """Return the population stability index of two counts by the same bins; None when either is empty.

    Raises ValueError when they are not of the same bins.
    """
    if len(expected) != len(actual):
        raise ValueError(f"{len(expected)} bins beside {len(actual)}: they are of the same bins")
    if not sum(expected) or not sum(actual):
        return None
    pairs = zip(_shares(expected), _shares(actual), strict=True)
    return math.fsum((now - was) * math.log(now / was) for was, now in pairs)


def judge_feature(name: str, reference: FeatureReference, sample: FeatureSample, limits: DriftLimits) -> FeatureDrift:
    """Hold a sample against its reference. Fewer values than `min_values` are no proof: unknown."""
    count = sum(sample.counts)
    missing = _percent(sample.asked - count, sample.asked)
    outside = _percent(sample.outside, count)
    found = psi(reference.counts, sample.counts)
    rounded = None if found is None else Decimal(str(round(found, 4)))
    verdict, why = _verdict(rounded, count, missing, limits)
    return FeatureDrift(name, verdict, count, rounded, missing, outside, why)


def judge_features(
    references: Mapping[str, FeatureReference], samples: Mapping[str, FeatureSample], limits: DriftLimits
) -> list[FeatureDrift]:
    """Judge each feature of the reference; one without a sample is unknown."""
    return [judge_feature(name, was, samples.get(name) or _nothing(was), limits) for name, was in references.items()]


def _verdict(psi: Decimal | None, count: int, missing: Decimal | None, limits: DriftLimits) -> tuple[Verdict, str]:
    if missing is not None and missing > limits.max_missing_pct:
        return Verdict.FAIL, f"{missing} % of its values are missing, limit {limits.max_missing_pct} %"
    if count < limits.min_values or psi is None:
        return Verdict.UNKNOWN, f"{count} values; it takes {limits.min_values}"
    if psi >= limits.fail_psi:
        return Verdict.FAIL, f"PSI {psi}, it fails from {limits.fail_psi}"
    if psi >= limits.warn_psi:
        return Verdict.WARN, f"PSI {psi}, a warning from {limits.warn_psi}"
    return Verdict.STEADY, ""


def _nothing(reference: FeatureReference) -> FeatureSample:
    return FeatureSample(0, (0,) * len(reference.counts), 0)


def _shares(counts: Sequence[int]) -> list[float]:
    total = sum(counts)
    return [max(count / total, EMPTY_SHARE) for count in counts]


def _percent(part: int, whole: int) -> Decimal | None:
    return round(Decimal(part) * 100 / whole, 3) if whole else None
