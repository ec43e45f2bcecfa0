"""Which notifiers there are: one table, its keys those of the profile's `alerts`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from aurora.alerts.base import Notifier
from aurora.alerts.log import LogNotifier
from aurora.alerts.push import ADDRESS, PushNotifier
from aurora.clock import Clock

Builder = Callable[[Path, Mapping[str, str], Clock], Notifier]

NOTIFIERS: dict[str, Builder] = {
    # what is written down first is there whatever the network does
    "log": lambda project, _environment, _clock: LogNotifier(project),
    "push": lambda _project, environment, clock: PushNotifier(environment.get(ADDRESS, ""), clock),
}


def build_notifiers(
    wanted: Mapping[str, bool], project: Path, environment: Mapping[str, str], clock: Clock
) -> list[Notifier]:
    """Build the notifiers that `wanted` names with true, in the order of the table."""
    return [build(project, environment, clock) for name, build in NOTIFIERS.items() if wanted.get(name)]
