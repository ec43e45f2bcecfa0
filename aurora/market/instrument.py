"""Instruments: what can be quoted and traded."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from aurora.market.order import Side


@dataclass(frozen=True)
class Instrument:
    """A US stock or ETF: symbol, minimum price increment in USD, and currency."""

    symbol: str
    tick: Decimal = Decimal("0.01")
    currency: str = "USD"

    def round_passively(self, price: Decimal, side: Side) -> Decimal:
        """Return `price` on the tick grid, never more aggressive: a buy rounds down, a sell up (trading rule 6)."""
        steps = (price / self.tick).to_integral_value(ROUND_FLOOR if side is Side.BUY else ROUND_CEILING)
        return steps * self.tick
