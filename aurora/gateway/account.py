"""The account at the gateway: cash, positions, realized profits, and the values that clients read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal

from aurora.market.order import Side
from aurora.market.position import Position

_CENT = Decimal("0.01")
_MARGIN = Decimal("0.25")
"""Maintenance margin of stocks as a part of their value (Regulation T accounts)."""

BASE = "USD"


class Account:
    """One account: book → cash, positions and realized profit; `values` → what a client reads.

    cash: USD at the start; positions: what it holds at the start. day_trades: how many are left, -1 without limit.
    """

    def __init__(
        self, name: str, cash: Decimal, positions: Mapping[str, Position] | None = None, day_trades: int = -1
    ) -> None:
        self.name = name
        self.cash = cash
        self.day_trades = day_trades
        self._positions = dict(positions or {})
        self._realized: dict[str, Decimal] = {}

    def held(self, symbol: str) -> Position:
        """Return the position in `symbol`, which may be none."""
        return self._positions.get(symbol, Position(symbol, 0, Decimal(0)))

    def positions(self) -> Iterator[Position]:
        """Yield every position that there was today, also those that are flat again."""
        yield from self._positions.values()

    def realized(self, symbol: str) -> Decimal:
        """Return today's realized profit of `symbol` in USD, after commissions."""
        return self._realized.get(symbol, Decimal(0))

    def book(self, symbol: str, side: Side, quantity: int, price: Decimal, commission: Decimal) -> Decimal | None:
        """Book a trade and return the profit in USD that it realized, after its commission (None when it opens)."""
        held, change = self.held(symbol), side.sign * quantity
        closing = min(quantity, abs(held.quantity)) if held.quantity * change < 0 else 0
        self.cash -= change * price + commission
        self._positions[symbol] = held.after(change, price)
        if not closing:
            return None
        realized = side.sign * closing * (held.average_cost - price) - commission
        self._realized[symbol] = self.realized(symbol) + realized
        return realized

    def correct(self, symbol: str, side: Side, change: Decimal) -> None:
        """Book that a past trade was worth `change` USD more: in the position's cost when it opened, else as profit."""
        self.cash -= side.sign * change
        held = self.held(symbol)
        if held.quantity * side.sign > 0:
            self._positions[symbol] = replace(held, average_cost=held.average_cost + change / abs(held.quantity))
        else:
            self._realized[symbol] = self.realized(symbol) - side.sign * change

    def values(self, prices: Mapping[str, Decimal]) -> dict[str, str]:
        """Return IB's account values by tag, in USD, with positions at `prices` (at cost where there is none)."""
        worth = {held.symbol: held.quantity * prices.get(held.symbol, held.average_cost) for held in self.positions()}
        stocks, gross = sum(worth.values(), Decimal(0)), sum(map(abs, worth.values()), Decimal(0))
        equity, margin = self.cash + stocks, gross * _MARGIN
        cost = sum((held.quantity * held.average_cost for held in self.positions()), Decimal(0))
        money = {
            "NetLiquidation": equity,
            "TotalCashValue": self.cash,
            "SettledCash": self.cash,
            "AvailableFunds": equity - margin,
            "BuyingPower": (equity - margin) / _MARGIN,
            "EquityWithLoanValue": equity,
            "ExcessLiquidity": equity - margin,
            "GrossPositionValue": gross,
            "StockMarketValue": stocks,
            "InitMarginReq": margin,
            "MaintMarginReq": margin,
            "RealizedPnL": sum(self._realized.values(), Decimal(0)),
            "UnrealizedPnL": stocks - cost,
        }
        return {tag: str(value.quantize(_CENT)) for tag, value in money.items()}

    def margin(self, prices: Mapping[str, Decimal]) -> tuple[Decimal, Decimal]:
        """Return equity and the part of it that positions tie up, in USD."""
        values = self.values(prices)
        return Decimal(values["NetLiquidation"]), Decimal(values["MaintMarginReq"])


def margin_of(worth: Decimal) -> Decimal:
    """Return the margin of stocks worth `worth` USD."""
    return (worth * _MARGIN).quantize(_CENT)


WORDS = {"AccountType": "INDIVIDUAL", "AccountReady": "true", "Currency": BASE}
"""Values that are no money: a margin account, open."""
