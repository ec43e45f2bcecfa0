"""Steps that look at the venue: what the account holds, and the venue's clock."""

from __future__ import annotations

from aurora.engine.context import Context
from aurora.engine.registry import step
from aurora.session.account import Account, VenueClock, read_account, read_venue_clock
from aurora.session.services import Services


@step(repeat="safe", venue=True)
def positions_and_cash(context: Context[Services], recording: str = "") -> Account:
    """Ask the venue for positions, working orders and cash."""
    return read_account(context.services, recording)


@step(repeat="safe", venue=True)
def clock(context: Context[Services]) -> VenueClock:
    """Hold the machine's clock against the venue's."""
    return read_venue_clock(context.services)
