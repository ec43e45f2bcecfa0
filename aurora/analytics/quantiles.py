"""Quantiles by nearest rank: always a value that was measured."""

from __future__ import annotations

import math
from collections.abc import Iterable
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
