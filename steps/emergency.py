"""Steps of an emergency: stop the sessions, flatten the account, lock live out, tell a person, file an issue."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from aurora.alerts.base import Alert, Priority
from aurora.alerts.github import Filed, Occurrence
from aurora.alerts.github import file_issue as file
from aurora.alerts.occurrence import occurrence_of
from aurora.engine.context import Context
from aurora.engine.registry import step
from aurora.engine.secrets import Masker, secrets_of
from aurora.journal import read_journal
from aurora.session.emergency import Flattened, LockedOut, Stopped, flatten_account, lock_out, stop_sessions
from aurora.session.services import Services


@dataclass(frozen=True)
class Told:
    """What became of the alarm. notified: a person's device took it. notice: by whom it was taken, or why not."""

    notified: bool
    notice: str


# What only reduces runs in a failure path even when the journal can't be written: a full disk keeps nobody in.
@step(effects=("orders.reduce",), repeat="safe", sample=Stopped(set=True, new=True), dry_run="simulate")
def stop(context: Context[Services], reason: str = "") -> Stopped:
    """Set the kill flag: nothing opens any more, running sessions cancel their orders and end."""
    return stop_sessions(context.services, reason)


@step(
    effects=("orders.reduce",),
    repeat="safe",
    venue=True,
    stop_grace=90.0,
    sample=Flattened(flat=True, orders=0, reason=""),
    dry_run="simulate",
)
def flatten(context: Context[Services], minutes: Decimal = Decimal(10)) -> Flattened:
    """Cancel every order, then close every position by the price ladder, until the venue says that nothing is left."""
    return flatten_account(context.services, minutes, context.log, lambda: context.stopping)


@step(repeat="safe", dry_run="skip")
def lockout(context: Context[Services], reason: str = "") -> LockedOut:
    """Lock live out: no session begins before a person has said the root cause."""
    return lock_out(context.services, reason, context.run)


@step(repeat="safe", dry_run="skip")
def tell(context: Context[Services], parts: dict[str, str], reason: str = "") -> Told:
    """Tell a person, urgently, what the emergency did: each of `parts` with its status, and why it was begun."""
    services = context.services
    bad = [name for name, status in parts.items() if status not in ("passed", "skipped")]
    said = f"{', '.join(bad)} not done" if bad else "all done"
    title = f"EMERGENCY on {services.profile.venue}: {said}"
    lines = [f"reason: {reason or 'none given'}", *(f"{name}: {status}" for name, status in parts.items())]
    text = "\n".join([*lines, f"run {context.run}"])
    told = services.notify(Alert(title, text, Priority.URGENT, ("rotating_light",), services.clock.now()))
    context.log(f"alert: {told.detail}")
    return Told(told.delivered, told.detail)


@step(repeat="safe", dry_run="skip")
def issue(context: Context[Services], reason: str = "") -> Filed:
    """File an issue on GitHub: what is not green in the run so far, or that an emergency was begun by hand."""
    events = read_journal(context.project / "runs" / context.run / "journal.jsonl").events
    opened = events[0].data
    facts = {name: opened[name] for name in ("runbook", "run", "mode", "venue")}
    facts |= {"profile": opened["profile"]["name"], "opened": events[0].ts, "steps": []}
    by_hand = Occurrence(f"emergency-{context.run}", context.run, f"Emergency: {reason or 'begun by hand'}", facts)
    environment = context.services.environment
    mask = Masker(secrets_of([*context.profile.secrets, "GITHUB_TOKEN"], environment)).text
    filed = file(environment, occurrence_of(events) or by_hand, mask)
    context.log(filed.note)
    return filed
