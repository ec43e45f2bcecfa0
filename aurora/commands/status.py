"""`status`: one screen: may anything open, what is unfinished, and what the last day's orders used."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from aurora.commands.announce import unsent
from aurora.commands.parser import Invocation
from aurora.engine.faults import visible
from aurora.engine.project import Project
from aurora.engine.records import records
from aurora.errors import AuroraError
from aurora.execution.order_journal import read_last_days
from aurora.risk.kill_switch import KillSwitch
from aurora.risk.lockout import Lockout


def execute(project: Project, _invocation: Invocation) -> int:
    """Print it; 0 when nothing stops trading, else 3."""
    switch, lockout = KillSwitch(project.root), Lockout(project.root, "live")
    for line in (*_stops(switch, lockout), *_unfinished(project), *_unsent(project), *_orders(project)):
        sys.stdout.write(line + "\n")
    return 3 if switch.is_set or lockout.stands else 0


def _stops(switch: KillSwitch, lockout: Lockout) -> Iterator[str]:
    if switch.is_set:
        yield f"✘ kill flag   set: {visible(switch.read().strip()) or '(nothing is written in it)'}"
    else:
        yield "✔ kill flag   not set"
    if not lockout.stands:
        yield "✔ lockout     live is not locked out"
    for anomaly in lockout.anomalies():
        yield f"✘ lockout     live, since {anomaly.at or '(unknown)'}: {visible(anomaly.reason)}"


def _unfinished(project: Project) -> Iterator[str]:
    found = [
        f"! run         {run}  {'unreadable' if isinstance(record, AuroraError) else record.status}"
        for run, record in records(project)
        if isinstance(record, AuroraError) or record.state.outcome is None
    ]
    yield from found or ["✔ runs        none is unfinished"]


def _unsent(project: Project) -> Iterator[str]:
    for line in unsent(project):
        yield f"{'✘' if line.startswith('ALARM') else '!'} witness     {visible(line)}: invoke announce"


def _orders(project: Project) -> Iterator[str]:
    for account, day, state in read_last_days(project.root):
        held = ", ".join(f"{shares} {symbol}" for symbol, shares in state.holdings.items() if shares) or "nothing"
        yield (
            f"  {account}  {day}: {len(state.orders)} orders, {len(state.open_refs())} without an end; "
            f"{state.use.notional_usd:.2f} USD counted, fees {state.use.fees_usd:.2f} USD, "
            f"P&L {state.pnl_usd({}):.2f} USD at last trades; holds {held}"
        )
