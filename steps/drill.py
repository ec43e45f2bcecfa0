"""Steps of a drill: the emergency, for real, on a simulated gateway."""

from __future__ import annotations

from decimal import Decimal

from aurora.engine.context import Context
from aurora.engine.registry import step
from aurora.housekeeping.drill import Drilled, drill_emergency
from aurora.session.services import Services


@step(repeat="never", dry_run="skip", venue=True)
def emergency(context: Context[Services], gateway: str = "", minutes: Decimal = Decimal(2)) -> Drilled:
    """Run the emergency runbook in a desk of its own against a simulated gateway, started here unless one is named."""
    return drill_emergency(context.project, context.artifacts, gateway, float(minutes), context.log)
