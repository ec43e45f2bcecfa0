"""Steps that hold Aurora's own record against the venue's."""

from __future__ import annotations

from aurora.engine.context import Context
from aurora.engine.registry import step
from aurora.session.account import read_account
from aurora.session.closing import CashCheck, check_cash
from aurora.session.emergency import Agreement, compare_account
from aurora.session.services import Services


@step(repeat="safe", venue=True)
def compare(context: Context[Services]) -> Agreement:
    """Compare orders, fills and positions of the day with the venue; nothing is written, nothing is sent."""
    return compare_account(context.services, records=False)


@step(repeat="safe", venue=True, dry_run="skip")
def account(context: Context[Services]) -> Agreement:
    """Compare, put on record what the venue said of Aurora's own orders, and lock live out on drift."""
    return compare_account(context.services, records=True)


@step(repeat="safe", venue=True, dry_run="skip")
def cash(context: Context[Services], recording: str) -> CashCheck:
    """Hold the account's cash against what the session began with, its fills and its fees."""
    held = read_account(context.services, recording).cash_usd
    return check_cash(context.project / recording, held)
