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

    def after(self, change: int, price: Decimal) -> Position:
        """Return the position after `change` signed shares traded at `price`; reducing keeps the average cost."""
        quantity = self.quantity + change
        if self.quantity * change >= 0:
            cost = (abs(self.quantity) * self.average_cost + abs(change) * price) / abs(quantity)
        elif self.quantity * quantity > 0:
            cost = self.average_cost
        else:
            cost = price if quantity else Decimal(0)
        return Position(self.symbol, quantity, cost)
