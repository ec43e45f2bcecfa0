"""Instruments: what can be quoted and traded."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class Instrument:
    """A US stock or ETF: symbol, minimum price increment in USD, and currency."""

    symbol: str
    tick: Decimal = Decimal("0.01")
    currency: str = "USD"
