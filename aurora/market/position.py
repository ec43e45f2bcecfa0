"""Positions: how many shares of an instrument an account holds."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class Position:
    """Signed shares of one symbol and their average cost in USD a share."""

    symbol: str
    quantity: int
    average_cost: Decimal
