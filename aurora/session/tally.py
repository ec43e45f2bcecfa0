"""Counts what happens in a session, for its result."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from aurora.execution.router import Decision, Settlement
from aurora.market.order import OrderStatus
from aurora.market.position import Position
from aurora.risk.limits import notional


@dataclass
class Tally:
    """Plain counts; amounts in USD."""

    polls: int = 0
    steps: int = 0
    orders: int = 0
    orders_sent: int = 0
    blocked: int = 0
    rejected: int = 0
    fills: int = 0
    holds: int = 0
    fallbacks: int = 0
    turnover_usd: Decimal = Decimal(0)
    largest_trade_usd: Decimal = Decimal(0)
    bars: dict[str, int] = field(default_factory=dict)

    def count_decision(self, decision: Decision) -> None:
        """Count what the router made of an order."""
        if not decision.passed:
            self.blocked += 1
            return
        self.orders += 1
        self.orders_sent += decision.sent
        self.largest_trade_usd = max(self.largest_trade_usd, notional(decision.order))

    def count_settlement(self, settlement: Settlement) -> None:
        """Count fills and rejects."""
        self.fills += len(settlement.fills)
        self.turnover_usd += sum((fill.quantity * fill.price for fill in settlement.fills), Decimal(0))
        self.rejected += sum(state.status is OrderStatus.REJECTED for state in settlement.ended)

    def count_bars(self, symbols: Iterable[str]) -> None:
        """Count one bar that the strategy answered for, of each of `symbols`."""
        for symbol in symbols:
            self.bars[symbol] = self.bars.get(symbol, 0) + 1

    def bars_decided(self, symbols: Sequence[str]) -> int:
        """Return the decided bars of the symbol that has the fewest."""
        return min(self.bars.get(symbol, 0) for symbol in symbols)


def equity_usd(cash: Decimal, positions: Iterable[Position], bids: dict[str, Decimal]) -> Decimal:
    """Return cash plus what is held, in USD, at the last valid bid (at cost where there was none)."""
    return cash + sum((held.quantity * bids.get(held.symbol, held.average_cost) for held in positions), Decimal(0))
