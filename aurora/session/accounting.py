"""What comes back to a session: fills, ended orders, rejects; and what the day has lost by now."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from aurora.execution.router import Router, Settlement
from aurora.market.order import Fill, OrderState, OrderStatus
from aurora.risk.circuit_breaker import CircuitBreaker
from aurora.session.settings import SessionSettings
from aurora.session.tally import Tally


class Accounts:
    """settle* → drain, a poll at a time; check_losses before each decision.

    unlock: when the mode was last unlocked: what begins the high-water mark anew.
    """

    def __init__(
        self, settings: SessionSettings, router: Router, breaker: CircuitBreaker, tally: Tally, unlock: str
    ) -> None:
        self._settings = settings
        self._router = router
        self._breaker = breaker
        self._tally = tally
        self._unlock = unlock
        self._fills: list[Fill] = []
        self._ends: list[OrderState] = []

    def settle(self) -> None:
        """Ask the router what is new, and take it in."""
        self.take(self._router.settle())

    def take(self, settlement: Settlement) -> None:
        """Count fills and ends; a reject, and what can't be, is an anomaly."""
        self._fills += settlement.fills
        self._ends += settlement.ended
        self._tally.count_settlement(settlement)
        for anomaly in settlement.anomalies:
            self._breaker.trip(anomaly)
        for state in settlement.ended:
            if state.status is OrderStatus.REJECTED:
                self._breaker.trip(f"reject of {state.order.ref}: {state.reason}")

    def drain(self) -> tuple[list[Fill], list[OrderState]]:
        """Return the fills and ended orders since the last call."""
        fills, self._fills = self._fills, []
        ends, self._ends = self._ends, []
        return fills, ends

    def check_losses(self, bids: Mapping[str, Decimal]) -> None:
        """Hold the day's loss, and the fall from the high-water mark of all days, against their limits (rule 9)."""
        settings, orders = self._settings, self._router.orders
        total = orders.day.total_pnl_usd(bids)
        orders.mark(total, self._unlock)
        for name, lost, limit in (
            ("loss of the day", -orders.day.pnl_usd(bids), settings.daily_loss_limit_usd),
            ("drawdown", orders.day.high_water_usd - total, settings.max_drawdown_usd),
        ):
            if lost > limit:
                self._breaker.trip(f"{name} {lost:.2f} USD, limit {limit:.2f} USD")
