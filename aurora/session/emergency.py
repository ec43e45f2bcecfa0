"""What an emergency does to the desk: sessions are stopped, the account is brought to zero, live is locked out."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

from aurora.alerts.base import Alert, Priority
from aurora.clock import iso
from aurora.execution.account_exit import AccountExit
from aurora.risk.lockout import Lockout
from aurora.session.account import live_book
from aurora.session.reconciling import reconcile_account
from aurora.session.services import Services

LAST_ALERT_S = 10.0
"""How long the last alert may take before the flatten's result is returned without it."""


@dataclass(frozen=True)
class Stopped:
    """Whether the kill flag stands now, and whether it is new; what it says is in the file."""

    set: bool
    new: bool


@dataclass(frozen=True)
class Flattened:
    """What became of a flatten. flat: the venue says that nothing is held and nothing works; reason: why not."""

    flat: bool
    orders: int
    reason: str


@dataclass(frozen=True)
class Agreement:
    """Whether the day's order journal and the venue agree; findings, advice and notes included, in words.

    fees_usd: what the day's fills cost, all its sessions together, as far as the venue told it.
    """

    clean: bool
    locked_out: bool
    orders: int
    fills: int
    findings: list[str]
    fees_usd: Decimal


@dataclass(frozen=True)
class LockedOut:
    """Whether the lockout of live stands, and everything that it says."""

    stands: bool
    reasons: list[str]


def stop_sessions(services: Services, reason: str) -> Stopped:
    """Set the kill flag: nothing opens, running sessions cancel and end. Raises OSError when the disk refuses."""
    new = services.kill_switch.set(f"{iso(services.clock.now())} emergency: {reason or 'no reason given'}\n")
    return Stopped(services.kill_switch.is_set, new)


def flatten_account(
    services: Services, minutes: Decimal, say: Callable[[str], object], is_stopping: Callable[[], bool]
) -> Flattened:
    """Bring the profile's account to zero, or say after `minutes` what is left. An account of others is not touched."""
    if not services.profile.account.dedicated:
        return Flattened(False, 0, "the account is not Aurora's alone; name what is: invoke flatten --symbols A,B")
    threads: list[threading.Thread] = []

    def alarm(text: str) -> None:
        say(text)
        alert = Alert("Emergency flatten", text, Priority.URGENT, ("rotating_light",), services.clock.now())
        # Beside the flatten: nobody's network stands between an account and its exit.
        threads.append(threading.Thread(target=services.notify, args=(alert,), daemon=True))
        threads[-1].start()

    done = AccountExit(
        services.project,
        live_book(services),
        services.clock,
        partial(services.open_account, cancels=True),
        say,
        alarm,
        patience_s=float(minutes) * 60,
        is_stopping=is_stopping,
    ).run()
    for thread in threads:
        thread.join(LAST_ALERT_S)
    for decision in done.decisions:
        order = decision.order
        say(f"{order.side} {order.quantity} {order.symbol} limit {order.limit} ({order.ref}): {decision.reason}")
    return Flattened(done.flat, len(done.decisions), done.reason)


def compare_account(services: Services, *, records: bool) -> Agreement:
    """Hold the day's order journal against the venue; `records`: put on record what it said, lock out on drift.

    Raises VenueRefusal when the venue does not say all of it, RecordError when the journal is damaged.
    """
    with contextlib.ExitStack() as stack:
        done = reconcile_account(services, stack, records=records)
    found = [f"{each.weight}: {each.text}; it means: {each.means}" for each in done.findings] + done.notes
    return Agreement(done.is_clean, done.is_locked_out, done.orders, done.fills, found, done.fees_usd)


def lock_out(services: Services, reason: str, run: str) -> LockedOut:
    """Lock live out until a person says the root cause. Raises OSError when the disk refuses."""
    lockout = Lockout(services.project, "live")
    text = f"emergency: {reason or 'no reason given'}"
    if not any(each.session == run and each.reason == text for each in lockout.anomalies()):
        lockout.set(text, run, services.clock.now(), str(services.profile.venue))
    return LockedOut(lockout.stands, [each.reason for each in lockout.anomalies()])
