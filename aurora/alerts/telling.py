"""How one alert is told: written down, kept, pushed; what nobody took waits, what was told a moment ago is counted.

    log → the same within ten minutes? counted → kept on disk → pushed → taken: forgotten, else it waits

Nothing here raises: an alert is told because something is wrong already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from aurora.alerts.base import Alert, Delivery, Notifier, Priority
from aurora.alerts.push import PushNotifier
from aurora.alerts.unsent import Unsent, UnsentAlerts

ONE_BY_ONE = 5
"""Alerts that wait and go out each by itself; more go out in one message."""

SHOWN = 20


def tell(notifiers: Sequence[Notifier], alert: Alert, project: Path, profile: str) -> Delivery:
    """Give `alert` to each of `notifiers`; delivered means that one of those who reach a person took it."""
    told, said = False, []
    for notifier in notifiers:
        if isinstance(notifier, PushNotifier):
            delivery = _push(notifier, alert, UnsentAlerts(project), profile)
        else:
            delivery = notifier.send(alert)
        told = told or (delivery.delivered and notifier.reaches_person)
        said.append(f"{notifier.name}: {delivery.detail}")
    if not any(notifier.reaches_person for notifier in notifiers):
        said.append("nobody is told: the profile asks for no alert that reaches a person")
    return Delivery(told, "; ".join(said))


def _push(push: PushNotifier, alert: Alert, unsent: UnsentAlerts, profile: str) -> Delivery:
    if not alert.keep:
        return push.send(alert)
    waits: Unsent | None = None
    try:
        if (before := unsent.told(alert)) is not None:
            taken = "was told" if before.delivered else "waits to be sent"
            return Delivery(
                before.delivered, f"the same {taken} since {before.at:%H:%M:%SZ}; counted, {before.more} more"
            )
        waits = unsent.put(Unsent(alert, profile, push.names, "the process that told it ended first"))
        lines, trouble = unsent.repeated(alert.at), ""
    except OSError as error:
        lines, trouble = [], _unwritable(error)
    pushed = push.send(replace(alert, text="\n".join([alert.text, *lines])))
    if waits is not None:
        try:
            trouble = _settle(unsent, waits, alert, pushed.left, pushed.detail, delivered=pushed.delivered)
        except OSError as error:
            trouble = _unwritable(error)
    return Delivery(pushed.delivered, "; ".join(filter(None, [pushed.detail, trouble])))


def _settle(
    unsent: UnsentAlerts, waits: Unsent, alert: Alert, left: tuple[str, ...], why: str, *, delivered: bool
) -> str:
    if delivered:
        unsent.taken(alert)
    if not left:
        unsent.forget(waits)
        return ""
    unsent.put(replace(waits, names=left, why=why))
    return "it is kept, and sent again by the next run or: invoke announce"


def _unwritable(error: OSError) -> str:
    why = error.strerror or type(error).__name__
    return f"runs/.outbox can't be written ({why}): what is not taken now is lost; make it writable"


def send_waiting(push: PushNotifier, waiting: Sequence[Unsent], unsent: UnsentAlerts, now: datetime) -> list[str]:
    """Send what waits for the addresses of `push`, oldest first; return a line each. Hold the lock. Raises OSError."""
    if len(waiting) > ONE_BY_ONE:
        pushed = push.send(_digest(waiting, now), {name for each in waiting for name in each.names})
        for each in waiting:
            _settle(unsent, each, each.alert, pushed.left, pushed.detail, delivered=pushed.delivered)
        return [f"{len(waiting)} alerts in one: {pushed.detail}"]
    lines = []
    for each in waiting:
        alert = replace(each.alert, title=f"(late) {each.alert.title}", text=f"{each.alert.text}\n{_when(each.alert)}")
        pushed = push.send(alert, each.names)
        _settle(unsent, each, each.alert, pushed.left, pushed.detail, delivered=pushed.delivered)
        lines.append(f"{each.alert.title}: {pushed.detail}")
        if not pushed.delivered:
            break  # the others would meet the same
    return lines


def _when(alert: Alert) -> str:
    return f"It is of {alert.at:%Y-%m-%d %H:%M:%SZ} and could not be sent before."


def _digest(waiting: Sequence[Unsent], now: datetime) -> Alert:
    alerts = [each.alert for each in waiting]
    loudest = max((alert.priority for alert in alerts), key=list(Priority).index)
    lines = [f"{alert.at:%Y-%m-%d %H:%M:%SZ} {alert.title}" for alert in alerts[-SHOWN:]]
    if len(alerts) > SHOWN:
        lines.insert(0, f"({len(alerts) - SHOWN} earlier ones; see logs/alerts.log)")
    return Alert(f"{len(alerts)} alerts could not be sent before", "\n".join(lines), loudest, ("hourglass",), now)
