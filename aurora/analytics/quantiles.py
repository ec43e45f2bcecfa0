"""Quantiles by nearest rank: always a value that was measured."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

N = TypeVar("N", float, Decimal)


def nearest_rank(values: Iterable[N], share: float) -> N | None:
    """Return the smallest value that at least `share` (0 to 1) of `values` do not exceed; None when there are none.

    Raises ValueError for a share outside 0 to 1.
    """
    if not 0 < share <= 1:
        raise ValueError(f"The share was {share}; it is above 0 and at most 1.")
    ranked = sorted(values)
    if not ranked:
        return None
    return ranked[math.ceil(share * len(ranked)) - 1]


@dataclass(frozen=True)
class Spread:
    """How a figure is spread, by nearest rank to three places; None where nothing was measured."""

    name: str
    samples: int
    p50: Decimal | None
    p95: Decimal | None
    p99: Decimal | None


def spread_of(name: str, values: list[Decimal]) -> Spread:
    """Return how single values are spread."""
    ranks = [nearest_rank(values, share) for share in (0.5, 0.95, 0.99)]
    return Spread(name, len(values), *(None if rank is None else round(rank, 3) for rank in ranks))


def spread_of_counts(name: str, counts: Iterable[Counter[int]]) -> Spread:
    """Return how values are spread that were counted by whole thousandths."""
    total: Counter[int] = Counter()
    for counted in counts:
        total.update(counted)
    samples = total.total()
    ranked = sorted(total.items())
    return Spread(name, samples, *(_rank_of_counts(ranked, samples, share) for share in (0.5, 0.95, 0.99)))


def _rank_of_counts(ranked: list[tuple[int, int]], samples: int, share: float) -> Decimal | None:
    rank, passed = math.ceil(share * samples), 0
    for value, count in ranked:
        passed += count
        if passed >= rank:
            return Decimal(value) / 1000
    return None
