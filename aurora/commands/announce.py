"""`announce`: send the heads and alerts that wait; 0 nothing is left, 1 something is, 8 a witness disagrees."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from aurora.alerts.base import Alert, Priority
from aurora.alerts.unsent import UnsentAlerts
from aurora.clock import iso
from aurora.commands.parser import Invocation
from aurora.engine.faults import visible
from aurora.engine.project import Project
from aurora.errors import AuroraError
from aurora.evidence.git_witness import WitnessDisagrees, push_ledger
from aurora.evidence.keys import key_path
from aurora.evidence.outbox import FOLDER, Announcement, Outbox
from aurora.evidence.witness import desk_name, head_line

MOST = 20
"""Heads in one message; a later one proves all before it."""

_LOUDNESS = {"opened": Priority.MIN, "green": Priority.LOW, "amber": Priority.LOW, "cancelled": Priority.LOW}
_LEFT, _DISAGREES = 1, 8


def execute(project: Project, invocation: Invocation) -> int:
    """Send what can be sent, and say the rest."""
    outbox = Outbox(project.runs)
    if not project.runs.is_dir():
        sys.stdout.write("There are no records here, and nothing to announce.\n")
        return 0
    lines = list(unsent(project)) if invocation.options.list else _send(project, outbox)
    sys.stdout.write("\n".join(lines or ["Everything has been announced."]) + "\n")
    if outbox.alarm:
        return _DISAGREES
    return _LEFT if list(unsent(project)) else 0


def unsent(project: Project) -> Iterator[str]:
    """Yield what waits, and an alarm, each in a line."""
    outbox, waiting = Outbox(project.runs), UnsentAlerts(project.root).waiting()
    if alarm := outbox.alarm:
        yield f"ALARM: {alarm}"
    alerts = outbox.alerts()
    if alerts:
        yield f"{len(alerts)} head{'' if len(alerts) == 1 else 's'} not told yet, the oldest since {alerts[0].at}"
    if waiting:
        count = f"{len(waiting)} alert{'' if len(waiting) == 1 else 's'}"
        yield f"{count} nobody took yet, the oldest since {iso(waiting[0].alert.at)}: {waiting[0].why}"
    if (push := outbox.push()) is not None:
        yield f"the head {push.seq} is not with the git witness yet, since {push.at}"
    if names := outbox.unreadable():
        shown = ", ".join(map(visible, names[:3])) + (" …" if len(names) > 3 else "")
        yield f"{len(names)} in runs/{FOLDER}/ can't be read, and what they were to tell is not known: {shown}"


def _send(project: Project, outbox: Outbox) -> list[str]:
    late = list(_late(project))
    with outbox.locked():
        return [*late, *_tell(project, outbox), *_push(project, outbox)]


def _late(project: Project) -> Iterator[str]:
    """Send the alerts that nobody took when they were told, by the profile of each."""
    from aurora.desk import desk_of  # noqa: PLC0415 - only when something is to be told

    for profile in dict.fromkeys(each.profile for each in UnsentAlerts(project.root).waiting()):
        try:
            yield from desk_of(project.root, profile).send_unsent()
        except AuroraError as error:
            yield f"alerts of {profile} wait: {error.what}"
        except OSError as error:
            yield f"runs/.outbox can't be used ({error.strerror}): make it writable"


def _tell(project: Project, outbox: Outbox) -> Iterator[str]:
    """Tell all heads of a profile in one alert."""
    waiting = outbox.alerts()
    for profile in dict.fromkeys(each.profile for each in waiting):
        ours = [each for each in waiting if each.profile == profile]
        delivered, detail = _notify(project, profile, _alert(project, ours))
        if delivered:
            outbox.sent(ours)
        yield f"{len(ours)} head{'' if len(ours) == 1 else 's'} of {profile}: {detail}"


def _alert(project: Project, heads: Sequence[Announcement]) -> Alert:
    ends = [each for each in heads if each.what != "opened"]
    shown = ends[-1] if ends else heads[-1]
    title = f"{shown.run}: {shown.what}" + (f", and {len(ends) - 1} more" if len(ends) > 1 else "")
    lines = [f"{each.run}: {each.what}\n{head_line(project.desk_name, each.head)}" for each in heads[-MOST:]]
    if len(heads) > MOST:
        lines.insert(0, f"({len(heads) - MOST} earlier heads, which those below prove)")
    loudest = max((_LOUDNESS.get(each.what, Priority.DEFAULT) for each in heads), key=list(Priority).index)
    # it waits in an outbox of its own, where a later head makes an earlier one needless
    return Alert(title, "\n".join(lines), loudest, ("receipt",), datetime.fromisoformat(heads[-1].at), keep=False)


def _notify(project: Project, profile: str, alert: Alert) -> tuple[bool, str]:
    from aurora.desk import desk_of  # noqa: PLC0415 - only when something is to be told

    try:
        delivery = desk_of(project.root, profile).notify(alert)
    except AuroraError as error:
        return False, error.what
    return delivery.delivered, delivery.detail


def _push(project: Project, outbox: Outbox) -> Iterator[str]:
    waiting = outbox.push()
    if project.witness is None:
        if waiting is not None:
            outbox.pushed(waiting.seq)  # the witness was taken out of the settings
        return
    if not outbox.wants_push and not outbox.alarm:
        return
    key: Path = key_path(project.root)
    try:
        head, note = push_ledger(project.runs, project.witness, desk_name(project.desk_name), key)
    except WitnessDisagrees as error:
        said = f"{error.what} {error.means}. To do: {error.todo}."
        if outbox.raise_alarm(said) and waiting is not None:
            now = datetime.fromisoformat(waiting.at)
            alert = Alert("The ledger and its witness disagree", said, Priority.URGENT, ("rotating_light",), now)
            yield f"alert: {_notify(project, waiting.profile, alert)[1]}"
        yield f"ALARM: {said}"
    except AuroraError as error:
        yield f"{error.what} To do: {error.todo}."
    else:
        outbox.end_alarm()
        outbox.pushed(head.seq)
        yield f"the git witness has the head {head.seq}:{head.sha256}" + (f" ({note})" if note else "")
