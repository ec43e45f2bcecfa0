"""Promotion to tiny-live: a week of sealed sessions that count, one on each of five exchange days in a row (rule 18).

A session counts when its run is sealed, verifies and was not red; when it was clean (no anomaly, no fallback, flat); on
real-time quotes of a venue, models enabled, with forty bars decided and few HOLDs. Costs and tighter limits keep the
week; looser ones, other symbols, another model and other code begin it anew.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from aurora.engine.locks import holder_of
from aurora.engine.records import JOURNAL
from aurora.errors import AuroraError
from aurora.evidence.archive import sealed_folder
from aurora.housekeeping.machine import read_code
from aurora.housekeeping.sealed import (
    SESSIONS,
    ended_steps,
    read_events,
    read_sealed,
    session_starts,
    unclean_session,
)
from aurora.journal import Event, read_journal
from aurora.market.calendar import session_hours
from aurora.market.hours import exchange_day
from aurora.profile import Profile
from aurora.risk.lockout import SIMULATED
from aurora.risk.loosening import limits_of, loosened

RUNBOOK, USES = "promote", "governance.promotion"
DAYS = 5
"""Exchange days in a row."""
LEAST_BARS = 40
MOST_HOLD_PCT = Decimal(5)
LOOKS_BACK = timedelta(days=30)
CODE = ("aurora", "steps", "runbooks", "tasks.py", "pyproject.toml", "requirements")
"""What a session runs; profiles have their own rule, and documents and tests decide nothing."""
_GIT_S = 20


@dataclass(frozen=True)
class Terms:
    """What a session ran by: what must stay as it is, or be tightened, for the week to go on."""

    symbols: tuple[str, ...]
    model: str
    commit: str
    limits: dict[str, str]


@dataclass(frozen=True)
class Session:
    """One sealed session. why: what keeps it from counting, "" for one that counts. unclean: it spoils its day."""

    run: str
    day: date
    why: str
    unclean: bool
    terms: Terms | None = None
    bars: int = 0


@dataclass(frozen=True)
class Promotion:
    """Whether the profile is ready for tiny-live. known: the ledger verifies, and all that was needed could be read.

    in_a_row: exchange days, back from the newest, that count together. days: a line each, newest first. missing: what
    is missing, in words; empty is ready. terms: what was promoted, None where it is not ready.
    """

    known: bool
    ready: bool
    in_a_row: int
    days: list[str]
    missing: list[str] = field(default_factory=list)
    terms: Terms | None = None


@dataclass(frozen=True)
class Promoted:
    """Whether what would go live is what was promoted. known: a green promotion of the profile is sealed.

    changes: what begins the week anew since; empty is good. run: which promotion it was.
    """

    known: bool
    changes: list[str]
    run: str
    note: str


def look_at_week(root: Path, profile: Profile, symbols: Sequence[str], model: str, now: datetime) -> Promotion:
    """Look back from the newest exchange day for a week that counts for `profile`, `symbols` and `model` as of now."""
    ledger, wrong = read_sealed(root / "runs")
    if ledger is None:
        return Promotion(False, False, 0, [], [wrong])
    code = read_code(root)
    if not code.commit or code.dirty:
        what = f"no commit holds {', '.join(code.changed[:3])}" if code.commit else "there is no commit"
        return Promotion(False, False, 0, [], [f"nobody knows which code would go live: {what}"])
    recent = [
        run
        for run, event in ledger.sealed.items()
        if now - LOOKS_BACK <= datetime.fromisoformat(event.ts) <= now + timedelta(minutes=5)
    ]
    sessions = [session for run in recent for session in _sessions(root / "runs", run)]
    for run, event in ledger.opened.items():
        if run not in ledger.sealed and now - LOOKS_BACK <= datetime.fromisoformat(event.ts):
            sessions += _unsealed(root / "runs", run)
    terms = Terms(tuple(sorted(symbols)), model, code.commit, limits_of(profile))
    return _judge(root, sessions, terms, exchange_day(now), exchange_day(now - LOOKS_BACK))


def compare_with_promoted(
    root: Path, profile: Profile, symbols: Sequence[str], model: str, now: datetime, days: int
) -> Promoted:
    """Compare what would go live with the newest green promotion of the profile, of the last `days` days."""
    ledger, wrong = read_sealed(root / "runs")
    if ledger is None:
        return Promoted(False, [], "", wrong)
    code = read_code(root)
    terms = Terms(tuple(sorted(symbols)), model, "" if code.dirty else code.commit, limits_of(profile))
    for run, event in reversed(ledger.sealed.items()):
        if RUNBOOK not in event.data.get("runbooks", ()) or datetime.fromisoformat(event.ts) < now - timedelta(
            days=days
        ):
            continue
        promoted = _promoted(root / "runs", run, profile.name)
        if promoted is not None:
            return Promoted(True, list(_restarts(root, promoted, terms)), run, f"compared with {run}")
    return Promoted(
        False, [], "", f"no promotion of {profile.name} in {days} days is sealed and green: invoke runbook promote"
    )


def _promoted(runs: Path, run: str, profile: str) -> Terms | None:
    """Return what a run promoted of `profile`; None when it promoted nothing that can be leant on."""
    events = read_events(runs, run)
    if isinstance(events, str) or events[0].data.get("dry_run") or events[0].data["profile"]["name"] != profile:
        return None
    for _, end in ended_steps(events, (USES,)):
        outputs = end.data.get("outputs") or {}
        if (
            end.data["status"] == "passed"
            and outputs.get("ready") is True
            and isinstance(outputs.get("terms"), Mapping)
        ):
            said = outputs["terms"]
            return Terms(tuple(said["symbols"]), said["model"], said["commit"], dict(said["limits"]))
    return None


def _judge(root: Path, sessions: Sequence[Session], terms: Terms, today: date, oldest: date) -> Promotion:
    lines: list[str] = []
    row, day, asked = 0, today, terms
    while row < DAYS and day >= oldest:
        of_day = [session for session in sessions if session.day == day]
        if session_hours(day) is not None and (of_day or day != today):  # today may still get its session
            session, why = _choose(root, of_day, terms)
            if session is None and day == today and not any(each.unclean for each in of_day):
                lines.append(f"{day}: does not count yet: {why}")
                day -= timedelta(days=1)
                continue
            if session is None:
                lines.append(f"{day}: {why}")
                break
            row, terms = row + 1, session.terms or terms
            lines.append(f"{day}: counts: {session.run}, {session.bars} bars decided")
        day -= timedelta(days=1)
    if row >= DAYS:
        return Promotion(True, True, row, lines, terms=asked)
    why = lines[-1] if lines and "counts:" not in lines[-1] else "no older session is on record"
    missing = [f"{DAYS - row} more exchange days in a row, of {DAYS}", why]
    return Promotion(True, False, row, lines, missing)


def _choose(root: Path, of_day: Sequence[Session], later: Terms) -> tuple[Session | None, str]:
    """Return the newest session of a day that counts and goes with what came after it, or why there is none."""
    if not of_day:
        return None, "no sealed session"
    if spoiled := next((session for session in of_day if session.unclean), None):
        return None, f"{spoiled.run}: {spoiled.why}"
    whys = []
    for session in reversed(of_day):
        why = session.why or next(_restarts(root, session.terms, later), "")
        if not why:
            return session, ""
        whys.append(f"{session.run}: {why}")
    return None, "; ".join(whys)


def _restarts(root: Path, before: Terms | None, after: Terms) -> Iterator[str]:
    """Yield why the week begins anew between two sessions."""
    if before is None:
        yield "what it ran by is not on record"
        return
    if set(before.symbols) != set(after.symbols):
        yield f"other symbols: {', '.join(before.symbols)}, then {', '.join(after.symbols)}; the week begins anew"
    if before.model != after.model:
        yield f"another model: {before.model}, then {after.model}; the week begins anew"
    yield from (f"{line}; the week begins anew" for line in loosened(before.limits, after.limits, after.symbols))
    if before.commit != after.commit:
        changed = _code_changed(root, before.commit, after.commit)
        if changed is None:
            yield f"git does not know what changed in the code since {before.commit[:12]}"
        elif changed:
            yield f"other code since {before.commit[:12]}: {', '.join(changed[:3])}; the week begins anew"


def _code_changed(root: Path, before: str, after: str) -> list[str] | None:
    """Return which files of the code differ between two commits; None when git does not say."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "diff", "--name-only", "--no-renames", before, after, "--", *CODE],
            capture_output=True,
            text=True,
            timeout=_GIT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.splitlines()


def _sessions(runs: Path, run: str) -> Iterator[Session]:
    """Yield the sessions of a sealed run; one that can't be leant on is unclean on the day that its name says."""
    events = read_events(runs, run)
    if isinstance(events, str):
        day = _day_of(run)
        if day is not None:
            yield Session(run, day, events, unclean=True)
        return
    opened = events[0].data
    if opened.get("dry_run"):
        return
    starts = session_starts(events)
    for step, end in ended_steps(events, SESSIONS):
        day = exchange_day(datetime.fromisoformat(end.ts))
        outputs = end.data.get("outputs")
        if opened["venue"] == SIMULATED:
            yield Session(run, day, "the venue was simulated", unclean=False)
        elif why := unclean_session(end.data):
            yield Session(run, day, why, unclean=True)
        elif starts[step] > 1:
            yield Session(run, day, f"it was begun {starts[step]} times: something cut it off", unclean=True)
        else:
            assert outputs is not None
            yield _session(runs, run, day, events, outputs)


def _unsealed(runs: Path, run: str) -> Iterator[Session]:
    """Yield what spoils a day: a run in which a session began, and that has no seal; nobody knows what became of it.

    One that is at work is left alone.
    """
    day = _day_of(run)
    if day is None or holder_of(runs / ".locks", f"run:{run}") != 0:
        return
    try:
        began = session_starts(read_journal(runs / run / JOURNAL).events)
    except (AuroraError, OSError, IndexError, KeyError, TypeError):
        yield Session(run, day, "it is not sealed, and can't be read", unclean=True)
        return
    if began:
        yield Session(run, day, f"it is not sealed; go on with it: invoke resume {run}", unclean=True)


def _session(runs: Path, run: str, day: date, events: Sequence[Event], outputs: Mapping[str, Any]) -> Session:
    header = _header(runs, run, str(outputs.get("recording", "")))
    terms = _terms(events[0].data, header)
    why = (
        "what it ran by, or its end, is not on record"
        if terms is None
        else next(_short_of(events, outputs, header), "")
    )
    return Session(run, day, why, unclean=False, terms=terms, bars=outputs.get("bars_decided") or 0)


def _short_of(events: Sequence[Event], outputs: Mapping[str, Any], header: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a clean session lacks for counting: an empty green is not green."""
    outcome = events[-1].data.get("outcome")
    if outcome not in ("green", "amber"):
        yield f"its run was {outcome}"
    if outputs.get("realtime") is not True:
        yield f"its quotes were not a venue's ({outputs.get('quotes')})"
    settings = header.get("settings")
    if not isinstance(settings, Mapping) or settings.get("models_enabled") is not True:
        yield "models were off"
    bars, held = outputs.get("bars_decided"), Decimal(str(outputs.get("hold_share_pct") or "NaN"))
    if not isinstance(bars, int) or bars < LEAST_BARS:
        yield f"{bars} bars decided; it takes {LEAST_BARS}"
    if not held.is_finite():
        yield "how often a symbol was held is not known"
    elif held > MOST_HOLD_PCT:
        yield f"a symbol was held {held} % of the time; at most {MOST_HOLD_PCT} % counts"


def _terms(opened: Mapping[str, Any], header: Mapping[str, Any]) -> Terms | None:
    """Return what a session ran by, of its run's opening and its record; None when they do not say all of it."""
    try:
        code, limits, symbols = opened["code"], header["profile"]["limits"], header["symbols"]
        texts = (*symbols, header["model"], code["commit"], *limits, *limits.values())
        if code["dirty"] is not False or not symbols or not all(isinstance(text, str) for text in texts):
            return None
        return Terms(tuple(sorted(symbols)), header["model"], code["commit"], dict(limits))
    except (TypeError, KeyError, AttributeError):
        return None


def _header(runs: Path, run: str, recording: str) -> Mapping[str, Any]:
    """Return the first line of a session's record, which is sealed with its run; empty when it has no end."""
    inside = Path(recording).parts
    try:
        with sealed_folder(runs, run) as folder:
            lines = folder.joinpath(*inside[inside.index(run) + 1 :]).read_bytes().splitlines()
        header, last = json.loads(lines[0]), json.loads(lines[-1])
    except (AuroraError, OSError, ValueError, IndexError):
        return {}
    is_whole = isinstance(header, dict) and isinstance(last, dict) and last.get("type") == "session.closed"
    return header if is_whole else {}


def _day_of(run: str) -> date | None:
    try:
        return exchange_day(datetime.fromisoformat(f"{run[:10]}T{run[11:13]}:{run[13:15]}:00+00:00"))
    except ValueError:
        return None
