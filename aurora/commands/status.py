"""`status [--profile NAME]`: one screen: may anything open, what runs, what is unfinished, what the day's orders used.

Everything comes from this machine's records; with a profile its venue is asked, too, by the client id of `reconcile`.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from itertools import chain

from aurora.alerts.unsent import UnsentAlerts
from aurora.commands.announce import unsent
from aurora.commands.parser import Invocation
from aurora.engine.faults import visible
from aurora.engine.profiles import load_profile
from aurora.engine.project import Project
from aurora.engine.records import records
from aurora.engine.secrets import read_environment
from aurora.errors import AuroraError, JournalDamaged, VenueRefusal
from aurora.execution.order_journal import holders, read_last_days
from aurora.risk.kill_switch import KillSwitch
from aurora.risk.lockout import Lockout
from aurora.session.account import account_id


def execute(project: Project, invocation: Invocation) -> int:
    """Print it; 0 when nothing stops trading, else 3: also when the venue was to be asked and did not say."""
    switch, lockout = KillSwitch(project.root), Lockout(project.root, "live")
    rooms = (_stops(switch, lockout), _sessions(project), _runs(project), _alerts(project), _unsent(project),
             _orders(project))  # fmt: skip
    for line in chain.from_iterable(rooms):
        _say(line)
    is_known = invocation.options.profile is None or _venue(project, invocation.options.profile)
    return 3 if switch.is_set or lockout.stands or not is_known else 0


def _say(line: str) -> None:
    sys.stdout.write(visible(line) + "\n")


def _stops(switch: KillSwitch, lockout: Lockout) -> Iterator[str]:
    if switch.is_set:
        yield f"✘ kill flag   set: {switch.read().strip() or '(nothing is written in it)'}"
    else:
        yield "✔ kill flag   not set"
    if not lockout.stands:
        yield "✔ lockout     live is not locked out"
    elif not lockout.anomalies():
        yield "✘ lockout     live (nothing is written in it)"
    for anomaly in lockout.anomalies():
        yield f"✘ lockout     live, since {anomaly.at or '(unknown)'}: {anomaly.reason}"


def _sessions(project: Project) -> Iterator[str]:
    found = [f"! session     {account}: process {pid} has its order journal" for account, pid in holders(project.root)]
    yield from found or ["✔ sessions    none trades"]


def _runs(project: Project) -> Iterator[str]:
    unfinished, last = [], ""
    for run, record in records(project):  # newest first
        if isinstance(record, AuroraError) or record.state.outcome is None:
            unfinished.append(
                f"! run         {run}  {'unreadable' if isinstance(record, AuroraError) else record.status}"
            )
        elif not last:
            mark = {"green": "✔", "amber": "!"}.get(record.status, "✘")
            last = f"{mark} last run    {run}  {record.status}"
    yield last or "! last run    there is none"
    yield from unfinished or ["✔ runs        none is unfinished"]


def _alerts(project: Project) -> Iterator[str]:
    waiting = UnsentAlerts(project.root).waiting()
    for each in waiting:
        yield f"! alert       not taken yet: {each.alert.title} ({each.why}): invoke announce"
    if not waiting:
        yield "✔ alerts      none waits to be sent"


def _unsent(project: Project) -> Iterator[str]:
    for line in unsent(project):
        yield f"{'✘' if line.startswith('ALARM') else '!'} witness     {line}: invoke announce"


def _orders(project: Project) -> Iterator[str]:
    try:
        days = read_last_days(project.root)
    except JournalDamaged as damage:
        yield f"✘ orders      {damage.what}"
        return
    for account, day, state in days:
        held = ", ".join(f"{shares} {symbol}" for symbol, shares in state.holdings.items() if shares) or "nothing"
        yield (
            f"  {account}  {day}: {len(state.orders)} orders, {len(state.open_refs())} without an end; "
            f"{state.use.notional_usd:.2f} USD counted, fees {state.use.fees_usd:.2f} USD, "
            f"P&L {state.pnl_usd({}):.2f} USD at last trades; holds {held}"
        )


def _venue(project: Project, name: str) -> bool:
    """Say what the venue holds and works on; return whether it said so."""
    from aurora.desk import Desk  # noqa: PLC0415 - only what asks the venue builds a desk

    desk = Desk(project.root, load_profile(project.root, name), read_environment(project.root))
    try:
        with contextlib.ExitStack() as stack:
            broker = desk.open_observer(stack)
            positions, working, cash = broker.positions(), broker.open_orders(), broker.cash()
    except VenueRefusal as refusal:
        _say(f"✘ venue       {refusal.what}")
        return False
    _say(f"{'!' if positions or working else '✔'} venue       account {account_id(desk)} on {desk.profile.venue}: "
         f"{len(positions)} positions, {len(working)} working orders, {cash:.2f} USD cash")  # fmt: skip
    for held in positions:
        _say(f"! position    {held.quantity} {held.symbol} at {held.average_cost:.2f} USD")
    for state in working:
        order = state.order
        _say(f"! order       {order.side} {state.unfilled} {order.symbol} limit {order.limit} ({order.ref})")
    return True
