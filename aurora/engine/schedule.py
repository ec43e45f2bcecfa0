"""When a runbook is due: its cron expression in its own time zone, an exchange's days, and what lateness does to it.

Between two looks, what came due is decided one by one, oldest first:

    no session that day, or too little of it left → skipped      later than the window → missed (or caught up for)
    the run before is still going → left alone, or waited for     else → begun
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from cronsim import CronSim, CronSimError

from aurora.engine.document import Key
from aurora.engine.faults import did_you_mean, listed
from aurora.engine.params import value_problem_of
from aurora.engine.project import Project
from aurora.engine.spec import Param, Schedule, seconds
from aurora.errors import ProjectError

Calendar = Callable[[datetime], tuple[datetime, datetime] | None]
"""Open and close (UTC) of the exchange's day at an instant; None when it has no session that day."""

Verdict = Literal["begin", "skipped", "missed", "still going", "wait"]
Problem = tuple[Key, str, str]
FIELDS = 5
LONGEST_LOOK_BACK = timedelta(days=31)
"""A machine that was off for longer is told of as one gap, not run by run."""


@dataclass(frozen=True)
class Decision:
    """What becomes of the run that was due at `due` (UTC), and why, in words."""

    due: datetime
    verdict: Verdict
    why: str = ""


def build_schedule(written: Mapping[str, Any], params: Mapping[str, Param]) -> tuple[list[Problem], Schedule | None]:
    """Return the schedule in `written`, and what is wrong with it: key, message, hint. None when it can't be one."""
    problems: list[Problem] = []
    if "cron" in written and (problem := _cron_problem(written["cron"])):
        problems.append((("cron",), problem, "minute, hour, day of month, month, day of week: 30 10,14 * * 1-5"))
    if "zone" in written and not _is_zone(written["zone"]):
        hint = did_you_mean(written["zone"], sorted(available_timezones())) or "such as America/Chicago or UTC"
        problems.append((("zone",), f"there is no time zone {written['zone']!r}", hint))
    if "before_close" in written and "calendar" not in written:
        problems.append((("before_close",), "'before_close' goes with calendar", "name the exchange: calendar: XNYS"))
    problems += _with_problems(written.get("with", {}), params)
    spans: dict[str, Any] = {}
    for name in ("before_close", "window"):
        try:
            spans.update({name: seconds(written[name])} if name in written else {})
        except ValueError as error:
            problems.append(((name,), str(error), ""))
    if spans.get("window", 60.0) < 60:
        problems.append((("window",), "cron looks once a minute: a window is at least 1m", ""))
    if problems or not {"cron", "zone"} <= written.keys():
        return problems, None
    plain = {name: written[name] for name in ("cron", "zone", "calendar", "catch_up", "overlap") if name in written}
    return [], replace(Schedule(**plain, with_=written.get("with", {})), **spans)


def _cron_problem(text: str) -> str:
    if len(text.split()) != FIELDS:
        return f"a cron expression has {FIELDS} fields, {text!r} has {len(text.split())}"
    try:
        next(CronSim(text, datetime(2026, 1, 1, tzinfo=UTC)))
    except (CronSimError, StopIteration) as error:
        return f"{text!r} is no cron expression: {str(error).lower() or 'it is never due'}"
    return ""


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _with_problems(values: Mapping[str, Any], params: Mapping[str, Param]) -> Iterator[Problem]:
    for name, value in values.items():
        if name not in params:
            hint = did_you_mean(name, params) or f"it has: {listed(list(params)) or 'none'}"
            yield ("with", name), f"the runbook has no parameter {name!r}", hint
        elif problem := value_problem_of(value, params[name].schema):
            yield ("with", name), f"{name!r} {problem}", ""
    for param in params.values():
        if param.required and param.name not in values:
            yield (), f"nobody is there to give {param.flag}", f"write with: {{{param.name}: …}}"


def calendars_of(project: Project) -> Mapping[str, Calendar]:
    """Return the exchange calendars that the project names in `[tool.aurora] calendars`. Raises ProjectError."""
    if project.calendars is None:
        return {}
    module, _, name = project.calendars.partition(":")
    try:
        table = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ProjectError(
            f"[tool.aurora] calendars names {project.calendars!r}, which can't be loaded: {error}.",
            means="nobody can tell the exchange's days",
            todo="mend it in pyproject.toml: calendars = 'package.module:TABLE'",
        ) from error
    return dict(table)


def due_times(schedule: Schedule, after: datetime, until: datetime) -> list[datetime]:
    """Return the instants in (after, until], in UTC, at which `schedule` is due; exchange days are not looked at.

    A time that the change to summer time leaves out is due when the clock has jumped; one that comes twice is due once.
    """
    begin = max(after, until - LONGEST_LOOK_BACK).astimezone(ZoneInfo(schedule.zone))
    found = []
    for due in CronSim(schedule.cron, begin):
        if due.astimezone(UTC) > until:
            break
        found.append(due.astimezone(UTC))
    return found


def next_due(schedule: Schedule, now: datetime, calendar: Calendar | None) -> datetime | None:
    """Return when `schedule` will be due next and not be skipped; None when a year has no such time."""
    for due in CronSim(schedule.cron, now.astimezone(ZoneInfo(schedule.zone))):
        if due - now > timedelta(days=366):
            break
        if not _closed(schedule, due.astimezone(UTC), calendar):
            return due.astimezone(UTC)
    return None


def decide(
    schedule: Schedule, after: datetime, now: datetime, calendar: Calendar | None, *, is_going: bool
) -> list[Decision]:
    """Return what becomes of each run that came due in (after, now], oldest first; at most one is begun.

    after:    until when everything is decided. calendar: of the schedule's exchange, None when it names none.
    is_going: whether an earlier run of it is still going.
    Raises OperatorError when the calendar does not know the day.
    """
    found = [_alone(schedule, due, now, calendar) for due in due_times(schedule, after, now)]
    ready = [index for index, each in enumerate(found) if each.verdict == "begin"]
    for index in ready[:-1]:
        found[index] = replace(found[index], verdict="missed", why="a later one is due already")
    missed = [index for index, each in enumerate(found) if each.verdict == "missed"]
    if not ready and missed and schedule.catch_up == "last" and not _closed(schedule, now, calendar):
        ready = missed[-1:]
        found[ready[0]] = replace(found[ready[0]], verdict="begin", why=f"caught up, {found[ready[0]].why}")
    if ready and is_going:
        due = found[ready[-1]].due
        waits = schedule.overlap == "wait" and now - due <= timedelta(seconds=schedule.window)
        found[ready[-1]] = Decision(due, "wait" if waits else "still going", "the run before it is still going")
    return found


def _alone(schedule: Schedule, due: datetime, now: datetime, calendar: Calendar | None) -> Decision:
    if why := _closed(schedule, due, calendar):
        return Decision(due, "skipped", why)
    late = now - due
    if late > timedelta(seconds=schedule.window):
        return Decision(
            due, "missed", f"nobody looked until {_span(late)} later; it may begin {_window(schedule)} late"
        )
    if why := _closed(schedule, now, calendar):
        return Decision(due, "missed", f"{_span(late)} late, {why}")
    return Decision(due, "begin")


def _closed(schedule: Schedule, at: datetime, calendar: Calendar | None) -> str:
    """Return why nothing may begin at an instant, by the exchange's calendar; empty when it may."""
    if calendar is None:
        return ""
    hours = calendar(at)
    if hours is None:
        return f"{schedule.calendar} has no session that day"
    left = hours[1] - at
    if schedule.before_close is not None and left < timedelta(seconds=schedule.before_close):
        closes = hours[1].astimezone(ZoneInfo(schedule.zone))
        return f"{schedule.calendar} closes at {closes:%H:%M} {schedule.zone}, too little is left"
    return ""


def _span(late: timedelta) -> str:
    minutes = int(late.total_seconds() // 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"


def _window(schedule: Schedule) -> str:
    return _span(timedelta(seconds=schedule.window))
