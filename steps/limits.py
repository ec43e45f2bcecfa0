"""Steps that look at the profile's limits."""

from __future__ import annotations

from aurora.engine.context import Context
from aurora.engine.registry import step
from aurora.risk.caps import CapsCheck
from aurora.session.quote_check import check_caps_at_prices
from aurora.session.services import Services


@step(repeat="safe")
def caps(context: Context[Services], symbols: list[str], quotes: str = "dummy") -> CapsCheck:
    """Hold the profile's caps against each other, and against one share of each symbol at its ask."""
    return check_caps_at_prices(context.services, symbols, quotes)
