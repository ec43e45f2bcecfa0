"""Positions: what a trade does to shares and average cost."""

from __future__ import annotations

from decimal import Decimal

import pytest

from aurora.market.position import Position


@pytest.mark.parametrize(
    ("held", "change", "price", "after"),
    [
        ((0, 0), 10, 100, (10, 100)),
        ((10, 100), 10, 110, (20, 105)),
        ((-10, 100), -30, 120, (-40, 115)),
        ((10, 100), -4, 150, (6, 100)),
        ((10, 100), -10, 150, (0, 0)),
        ((10, 100), -15, 150, (-5, 150)),
        ((-5, 150), 8, 140, (3, 140)),
    ],
)
def test_adding_averages_reducing_keeps_crossing_starts_anew(
    held: tuple[int, int], change: int, price: int, after: tuple[int, int]
) -> None:
    """Adding averages the cost, reducing keeps it, flat has none, and what crosses flat has the trade's price."""
    before = Position("SPY", held[0], Decimal(held[1]))
    assert before.after(change, Decimal(price)) == Position("SPY", after[0], Decimal(after[1]))
