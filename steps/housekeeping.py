"""Steps that keep house: old logs and runs, and what they may take of the disk."""

from __future__ import annotations

from aurora.clock import SystemClock
from aurora.engine.context import Context
from aurora.engine.registry import step
from aurora.housekeeping.tidy import Rules, Tidied
from aurora.housekeeping.tidy import look as look_at
from aurora.housekeeping.tidy import tidy as put_away
from aurora.session.services import Services


@step(repeat="safe")
def look(context: Context[Services], keep_days: int, budget_mb: int = 0) -> Tidied:
    """List what `tidy` would archive, rotate and remove; nothing is touched."""
    found = look_at(context.project, Rules(keep_days, budget_mb), SystemClock())
    for line in found.gone:
        context.log(line)
    return found


@step(repeat="safe", dry_run="skip")
def tidy(context: Context[Services], keep_days: int, budget_mb: int = 0) -> Tidied:
    """Archive sealed runs past `keep_days` whole, rotate logs, and remove rotated ones past `keep_days`."""
    return put_away(context.project, Rules(keep_days, budget_mb), SystemClock(), context.log)
