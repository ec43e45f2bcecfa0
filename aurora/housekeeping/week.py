"""What sealed runs say of the days before: how last week's sessions ended, and which code was warmed up.

Only what the ledger sealed and what verifies counts, archived runs too. What can't be read is never clean.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from aurora.housekeeping.machine import Code
from aurora.housekeeping.sealed import SESSIONS, ended_steps, read_events, read_sealed, unclean_session
from aurora.journal import Event

CODE = "machine.code"
_LOOKED_AT = 20
"""Runs that are read for the code that was warmed up, newest first."""


@dataclass(frozen=True)
class Week:
    """How the sessions of the last days ended. known: all that is sealed could be read and verifies.

    sessions: how many ended; days: on how many dates (UTC). unclean: a line for each that was not clean, and each that
    can't be known.
    """

    known: bool
    sessions: int
    days: int
    unclean: list[str]
    note: str


@dataclass(frozen=True)
class WarmedUp:
    """Whether the code is the one that was warmed up. known: there is such a run. differences: what is another now."""

    known: bool
    same: bool
    differences: list[str]
    run: str
    note: str


def read_week(runs: Path, venue: str, now: datetime, days: int) -> Week:
    """Look at the sessions of runs on `venue` that were sealed in the last `days` days; dry runs are none."""
    ledger, wrong = read_sealed(runs)
    if ledger is None:
        return Week(False, 0, 0, [], wrong)
    since = now - timedelta(days=days)
    unclean, dates, sessions, unread = [], set(), 0, 0
    for run, event in ledger.sealed.items():
        if not since <= datetime.fromisoformat(event.ts) <= now + timedelta(minutes=5):
            continue
        events = read_events(runs, run)
        if isinstance(events, str):
            unread += 1
            unclean.append(f"{run}: {events}")
            continue
        if events[0].data["venue"] != venue or events[0].data.get("dry_run"):
            continue
        for step, end in ended_steps(events, SESSIONS):
            sessions += 1
            dates.add(end.ts[:10])
            unclean += [f"{run}: {step}: {why}"] if (why := unclean_session(end.data)) else []
    return Week(unread == 0, sessions, len(dates), unclean, f"{sessions} sessions since {since:%Y-%m-%d %H:%MZ}")


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
    for field in fields(Code):
        if field.name in ("changed", "branch", "dirty"):
            continue  # the digests say whether it is another
        now = getattr(code, field.name)
        if field.name not in then or then[field.name] != now:
            was = str(then.get(field.name, "not on record"))[:12] or "none"
            yield f"{field.name} was {was}, it is {str(now)[:12] or 'none'}"
    if not code.commit:
        yield "there is no commit: what would run is not known"
