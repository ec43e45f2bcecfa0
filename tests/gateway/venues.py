"""Venues without sockets, for tests of what is behind the gateway."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from aurora.gateway.account import Account
from aurora.gateway.orders import Execution, VenueOrder
from aurora.gateway.venue import Venue
from aurora.market.quote import Quote

NOW = datetime(2026, 1, 5, 15, 0, tzinfo=UTC)


class Told:
    """What a venue told."""

    def __init__(self) -> None:
        self.fills: list[Execution] = []
        self.corrections: list[Execution] = []
        self.statuses: list[str] = []

    def order_changed(self, order: VenueOrder) -> None:
        self.statuses.append(order.status)

    def executed(self, fill: Execution) -> None:
        self.fills.append(fill)

    def corrected(self, fill: Execution) -> None:
        self.corrections.append(fill)


def make_venue(cash: int = 100_000) -> tuple[Venue, Told]:
    """Return a venue and what it tells."""
    told = Told()
    return Venue(Account("DU1", Decimal(cash)), told, lambda: NOW, seed=7), told


def quote(
    bid: str | None = "100.00",
    ask: str | None = "100.02",
    bid_size: int = 500,
    ask_size: int = 300,
    *,
    halted: bool = False,
) -> Quote:
    """Return a quote of SPY."""
    prices = [None if price is None else Decimal(price) for price in (bid, ask)]
    return Quote("SPY", NOW, prices[0], prices[1], bid_size, ask_size, halted)
