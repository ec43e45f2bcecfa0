"""Quotes: the best bid and offer of one instrument at one instant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from aurora.market.order import Side


@dataclass(frozen=True, slots=True)
class Quote:
    """Best bid and offer; a side that is not there is None, never zero.

    at:    aware UTC instant of the last tick (any field).
    bid, ask: USD a share; bid_size, ask_size: shares.
    halted: the venue said that trading is halted.
    """

    symbol: str
    at: datetime
    bid: Decimal | None
    ask: Decimal | None
    bid_size: int = 0
    ask_size: int = 0
    halted: bool = False

    @property
    def mid(self) -> Decimal | None:
        """Return the midpoint in USD, or None when a side is missing."""
        if self.bid is None or self.ask is None:
            return None
        return (self.bid + self.ask) / 2

    @property
    def spread_bps(self) -> Decimal | None:
        """Return (ask - bid) / mid in basis points, or None when there is no mid."""
        mid = self.mid
        if mid is None or mid <= 0 or self.bid is None or self.ask is None:
            return None
        return (self.ask - self.bid) / mid * 10_000

    def far_touch(self, side: Side) -> tuple[Decimal | None, int]:
        """Return price and displayed size that an order of `side` would trade against: the ask for a buy."""
        return (self.ask, self.ask_size) if side is Side.BUY else (self.bid, self.bid_size)
