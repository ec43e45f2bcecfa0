"""`cron --print | --install | --remove | --tick`: runbooks that are due by their own `schedule`."""

from __future__ import annotations

import contextlib
import sys
from datetime import UTC
from zoneinfo import ZoneInfo

from aurora.alerts.unsent import UnsentAlerts
from aurora.clock import SystemClock
from aurora.commands.announcing import start_sender
from aurora.commands.parser import Invocation
from aurora.engine import crontab
from aurora.engine.faults import visible
from aurora.engine.graph import Library
from aurora.engine.project import Project
from aurora.engine.pulse import Looked, Pulse, flags_of, scheduled
from aurora.engine.schedule import calendars_of, next_due
from aurora.engine.spec import Runbook
from aurora.errors import AuroraError, UsageError

_ACTIONS = ("print", "install", "remove", "tick")


def execute(project: Project, invocation: Invocation) -> int:
    """Do the one thing that is asked for."""
    options = invocation.options
    asked = [action for action in _ACTIONS if getattr(options, action)]
    if len(asked) != 1:
        raise UsageError(
            f"cron does one thing at a time; it was asked for {' and '.join(asked) or 'nothing'}.",
            means="nothing was changed",
            todo="cron --print, --install or --remove",
        )
    if asked == ["tick"]:
        return _tick(project, options.names)
    if asked == ["print"]:
        return _print(project, systemd=options.systemd)
    return _install(project) if asked == ["install"] else _remove(project)


def _tick(project: Project, names: list[str]) -> int:
    looked = Pulse(project, SystemClock()).look(names)
    for line in looked.said:
        sys.stdout.write(f"{SystemClock().now():%Y-%m-%dT%H:%M:%SZ} {visible(line)}\n")
    for name, title, text in looked.trouble:
        _alert(project, name, title, text)
    if UnsentAlerts(project.root).waiting():
        start_sender(project.root)
    return looked.code


def _alert(project: Project, name: str, title: str, text: str) -> None:
    """Tell whoever the alerts of the runbook's profile reach; that nobody could be told changes nothing."""
    from aurora.desk import notify_of  # noqa: PLC0415 - few looks have anything to tell

    with contextlib.suppress(AuroraError):
        delivery = notify_of(project.root, _profile_of(project, name), title, text)
        sys.stdout.write(f"  told: {visible(delivery.detail)}\n")


def _profile_of(project: Project, name: str) -> str:
    draft = Library(project).load(name).draft
    if draft is None or "profile" not in draft.params:
        return "base"
    given = draft.schedule.with_ if draft.schedule is not None else {}
    return str(given.get("profile") or draft.params["profile"].default or "base")


def _books(project: Project) -> list[Runbook]:
    looked = Looked()
    books = list(scheduled(project, (), looked))
    for line in looked.said:
        sys.stderr.write(f"aurora: {visible(line)}\n")
    if not books and not looked.said:
        raise UsageError(
            "No runbook has a schedule.", means="nothing would ever be due", todo="write schedule: into one; see docs"
        )
    return books


def _print(project: Project, *, systemd: bool) -> int:
    books = _books(project)
    for book in books:
        sys.stdout.write(_shown(project, book) + "\n")
    if not systemd:
        sys.stdout.write("\n" + crontab.block(project.root))
        return 0
    for book in books:
        for name, text in crontab.units(project.root, book.name).items():
            sys.stdout.write(f"\n# ~/.config/systemd/user/{name}\n{text}")
    sys.stdout.write("\n# then: systemctl --user daemon-reload; systemctl --user enable --now 'aurora-*.timer'\n")
    return 0


def _shown(project: Project, book: Runbook) -> str:
    schedule = book.schedule
    assert schedule is not None
    calendar = calendars_of(project).get(schedule.calendar) if schedule.calendar else None
    words = " ".join([book.name, *flags_of(book, schedule)])
    exchange = f", days of {schedule.calendar}" if schedule.calendar else ""
    due = next_due(schedule, SystemClock().now(), calendar)
    there = "never" if due is None else f"{due.astimezone(ZoneInfo(schedule.zone)):%a %Y-%m-%d %H:%M %Z}"
    here = "" if due is None else f" ({due.astimezone(UTC):%H:%M} UTC)"
    return visible(words) + "\n" + visible(f"    {schedule.cron} {schedule.zone}{exchange}; next {there}{here}")


def _install(project: Project) -> int:
    books = _books(project)
    changed = crontab.install(project.root)
    if changed:
        Pulse(project, SystemClock()).forget("cron was installed")
    for book in books:
        sys.stdout.write(_shown(project, book) + "\n")
    sys.stdout.write("Your crontab looks once a minute now.\n" if changed else "It was in your crontab already.\n")
    return 0


def _remove(project: Project) -> int:
    gone = crontab.remove(project.root)
    sys.stdout.write("It is out of your crontab.\n" if gone else "It was not in your crontab.\n")
    return 0
