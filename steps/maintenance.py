"""Steps of the daily maintenance: what was missed, how long a part may be, and the summary for a person."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from aurora.alerts.base import Alert, Priority
from aurora.engine.context import Context
from aurora.engine.pulse import trouble_since_last_run
from aurora.engine.registry import step
from aurora.session.services import Services
from aurora.session.share import Share, share_of

WELL = ("passed", "skipped")


@dataclass(frozen=True)
class Missed:
    """What became of earlier runs by schedule that did not run as they should; empty is good."""

    runs: list[str]


@dataclass(frozen=True)
class Told:
    """What became of the summary. notified: a person's device took it. notice: by whom it was taken, or why not."""

    notified: bool
    notice: str


@step(repeat="safe")
def missed(context: Context[Services], runbook: str) -> Missed:
    """Look which runs of `runbook` by schedule were missed, lost or left out since the last one."""
    return Missed(trouble_since_last_run(context.project / "runs", runbook))


@step(repeat="safe")
def share(context: Context[Services], minutes: Decimal, parts: int, quotes: str) -> Share:
    """Tell how long the next of `parts` sessions may be, so that the last ends before the close."""
    return share_of(minutes, parts, quotes, context.profile, context.services.clock.now())


@step(repeat="safe", dry_run="skip")
def summary(
    context: Context[Services],
    parts: dict[str, str],
    notes: list[str] | None = None,
    issue: str = "",
    push: bool = False,
) -> Told:
    """Tell a person what became of each of `parts` (a status by name), the notes, and what became of the issue.

    push: to a phone also where the profile asks for no push.
    """
    bad = [name for name, status in parts.items() if status not in (*WELL, "omitted")]  # what omitted it is named
    lines = [f"{name}: {status}" for name, status in parts.items()] + (notes or [])
    lines += [issue] * bool(issue and bad) + [f"run {context.run}"]
    title = f"Maintenance: {', '.join(bad)} not well" if bad else "Maintenance: all well"
    loud, tag = (Priority.HIGH, "warning") if bad else (Priority.DEFAULT, "white_check_mark")
    services = context.services
    told = services.notify(Alert(title, "\n".join(lines), loud, (tag,), services.clock.now(), push=push))
    context.log(f"alert: {told.detail}")
    return Told(told.delivered, told.detail)
