"""Which notifiers there are: one table, its keys those of the profile's `alerts` that are yes or no."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from aurora.alerts.base import Notifier
from aurora.alerts.log import LogNotifier
from aurora.alerts.push import PushNotifier
from aurora.clock import Clock

Builder = Callable[[Path, Mapping[str, str], Clock], Notifier]
"""The project, the addresses by name, a clock."""

NOTIFIERS: dict[str, Builder] = {
    # what is written down first is there whatever the network does
    "log": lambda project, _addresses, _clock: LogNotifier(project),
    "push": lambda _project, addresses, clock: PushNotifier(addresses, clock),
}


def build_notifiers(
    wanted: Mapping[str, object], project: Path, environment: Mapping[str, str], clock: Clock, names: Sequence[str]
) -> list[Notifier]:
    """Build the notifiers that `wanted` names with true, in the order of the table; names: of addresses' variables."""
    addresses = {name: environment.get(name, "") for name in names}
    return [build(project, addresses, clock) for name, build in NOTIFIERS.items() if wanted.get(name)]
