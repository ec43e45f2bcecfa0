"""What sealed runs say of the days before: how last week's sessions ended, and which code was warmed up.

Only what the ledger sealed and what verifies counts, archived runs too. What can't be read is never clean.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from aurora.housekeeping.machine import Code
from aurora.housekeeping.sealed import (
    SESSIONS,
    ended_steps,
    live_steps,
    read_events,
    read_sealed,
    root_cause_of,
    unclean_session,
)
from aurora.journal import Event

CODE = "machine.code"
PAPER, REAL = "paper", "live"
_LOOKED_AT = 20
"""Runs that are read for the code that was warmed up, newest first."""


@dataclass(frozen=True)
class Week:
    """How the sessions of the last days ended. known: all that is sealed could be read and verifies.

    sessions: how many ended; days: on how many dates (UTC). unclean: a line for each that was not clean, and each that
    can't be known. explained: those of paper and shadow sessions whose root cause a person has put her name under.
    """

    known: bool
    sessions: int
    days: int
    unclean: list[str]
    note: str
    explained: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class WarmedUp:
    """Whether the code is the one that was warmed up. known: there is such a run. differences: what is another now."""

    known: bool
    same: bool
    differences: list[str]
    run: str
    note: str


def read_week(runs: Path, venue: str, now: datetime, days: int) -> Week:
    """Look at the sessions of runs on `venue` that were sealed in the last `days` days; dry runs are none.

    Before real money what went wrong on a paper account counts as well (trading rule 23).
    """
    ledger, wrong = read_sealed(runs)
    if ledger is None:
        return Week(False, 0, 0, [], wrong)
    since = now - timedelta(days=days)
    unclean, explained, dates, sessions, unread = list[str](), list[str](), set[str](), 0, 0
    for run, event in ledger.sealed.items():
        if not since <= datetime.fromisoformat(event.ts) <= now + timedelta(minutes=5):
            continue
        events = read_events(runs, run)
        if isinstance(events, str):
            unread += 1
            unclean.append(f"{run}: {events}")
            continue
        there = events[0].data["venue"]
        if there not in (venue, PAPER if venue == REAL else venue) or events[0].data.get("dry_run"):
            continue
        ended, cause = list(ended_steps(events, SESSIONS)), root_cause_of(ledger, run)
        orders = live_steps(events) if there == venue else set[str]()
        if there == venue:
            sessions += len(ended)
            dates |= {end.ts[:10] for _, end in ended}
        for step, end in ended:
            if why := unclean_session(end.data):
                is_explained = bool(cause) and step not in orders
                line = f"{run}: {step}: {why}" + (f"; {cause}" if is_explained else "")
                (explained if is_explained else unclean).append(line)
    note = f"{sessions} sessions since {since:%Y-%m-%d %H:%MZ}"
    return Week(unread == 0, sessions, len(dates), unclean, note, explained)


def compare_with_warmed_up(runs: Path, runbook: str, profile_digest: str, code: Code) -> WarmedUp:
    """Compare `code` with that of the newest sealed run of `runbook` that was green or amber with the same profile."""
    ledger, wrong = read_sealed(runs)
    if ledger is None:
        return WarmedUp(False, False, [], "", wrong)
    sealed = [run for run, event in ledger.sealed.items() if runbook in event.data.get("runbooks", ())]
    for run in sealed[: -_LOOKED_AT - 1 : -1]:
        events = read_events(runs, run)
        if isinstance(events, str) or not _counts(events, runbook, profile_digest):
            continue
        then = next((end.data["outputs"] for _, end in ended_steps(events, (CODE,)) if end.data.get("outputs")), None)
        if then is None:
            return WarmedUp(False, False, [], run, f"{run} has no code on record: warm up again")
        found = list(_differences(then, code))
        return WarmedUp(True, not found, found, run, f"compared with {run}")
    return WarmedUp(False, False, [], "", f"no {runbook} with this profile is sealed, green and verifies: warm up")


def _counts(events: Sequence[Event], runbook: str, digest: str) -> bool:
    opened, ended = events[0].data, events[-1].data
    is_it = opened["runbook"] == runbook and opened["profile"]["digest"] == digest and not opened.get("dry_run")
    return bool(is_it and ended.get("outcome") in ("green", "amber"))


def _differences(then: Mapping[str, Any], code: Code) -> Iterator[str]:
    for each in fields(Code):
        if each.name in ("changed", "branch", "dirty"):
            continue  # the digests say whether it is another
        now = getattr(code, each.name)
        if each.name not in then or then[each.name] != now:
            was = str(then.get(each.name, "not on record"))[:12] or "none"
            yield f"{each.name} was {was}, it is {str(now)[:12] or 'none'}"
    if not code.commit:
        yield "there is no commit: what would run is not known"
