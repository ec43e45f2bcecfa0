from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass
from datetime import UTC, datetime

import pytest

from aurora.alerts.base import Alert, Delivery, Priority, tell

ALERT = Alert("title", "text", Priority.HIGH, ("tag",), datetime(2026, 1, 5, 14, 35, tzinfo=UTC))


@dataclass
class Fake:
    name: str
    reaches_person: bool
    delivered: bool

    def send(self, alert: Alert) -> Delivery:
        return Delivery(self.delivered, "taken" if self.delivered else "lost")


log, push = Fake("log", False, True), Fake("push", True, True)
torn, dead = Fake("log", False, False), Fake("push", True, False)


@pytest.mark.parametrize(
    ("notifiers", "told"),
    [([], False), ([log], False), ([torn], False), ([log, dead], False), ([log, push], True), ([torn, push], True)],
)
def test_only_what_reaches_a_person_tells(notifiers: list[Fake], told: bool) -> None:
    """A person was told when one of the notifiers that reach a person took the alert; a log alone tells nobody."""
    assert tell(notifiers, ALERT).delivered is told


def test_each_notifier_says_what_became_of_it() -> None:
    """The words name each notifier, the failed ones included."""
    assert tell([log, dead], ALERT).detail == "log: taken; push: lost"


@pytest.mark.parametrize("notifiers", [[], [log], [torn]])
def test_nobody_told_is_said(notifiers: list[Fake]) -> None:
    """Where the profile asks for nothing that reaches a person, the words say so."""
    assert "nobody is told" in tell(notifiers, ALERT).detail


def test_a_lost_alert_does_not_keep_the_next_notifier_from_trying() -> None:
    """Every notifier is asked, whatever became of those before it."""
    assert tell([dead, push], ALERT).delivered


def test_alert_is_frozen_and_its_time_aware() -> None:
    """House rule 4: values don't change, times are aware."""
    with pytest.raises(FrozenInstanceError):
        ALERT.title = "other"  # type: ignore[misc]
    with pytest.raises(ValueError, match="no time zone"):
        Alert("title", "text", Priority.LOW, (), datetime(2026, 1, 5))  # noqa: DTZ001 - the fault under test
