from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Any

import pytest

from aurora.alerts.base import Alert, Delivery, Notifier, Priority
from aurora.alerts.push import PushNotifier
from aurora.alerts.sender import answer_to
from aurora.alerts.telling import send_waiting, tell
from aurora.alerts.unsent import FOLDER, MOST, WINDOW, Unsent, UnsentAlerts
from aurora.alerts.web import Answer
from aurora.clock import ManualClock
from tests.push_server import PushServer

START = datetime(2026, 1, 5, 14, 35, tzinfo=UTC)
ONE_AT_A_TIME = Lock()
ALERT = Alert("title", "text", Priority.HIGH, ("tag",), START)


@dataclass
class Fake:
    name: str
    reaches_person: bool
    delivered: bool

    def send(self, alert: Alert) -> Delivery:
        return Delivery(self.delivered, "taken" if self.delivered else "lost")


log, push = Fake("log", False, True), Fake("push", True, True)
torn, dead = Fake("log", False, False), Fake("push", True, False)


def told(notifiers: list[Fake]) -> Delivery:
    """Tell the alert to these."""
    return tell(notifiers, ALERT, Path("nowhere"), "sim")


def here(said: Mapping[str, Any], bound_s: float) -> Answer:
    """Deliver in this process, one at a time: what a delivery hears of requests is the whole process's."""
    with ONE_AT_A_TIME:
        return answer_to(said)


def pusher(**addresses: str) -> PushNotifier:
    """Return what pushes to these addresses; pauses take no time."""
    return PushNotifier(addresses, ManualClock(START), timeout_s=5, ask=here)


def give(project: Path, alert: Alert, **addresses: str) -> Delivery:
    """Tell `alert` as the desk does."""
    notifiers: list[Notifier] = [pusher(**addresses)]
    return tell(notifiers, alert, project, "sim")


def later(seconds: float, alert: Alert = ALERT) -> Alert:
    """Return the alert as it comes again."""
    return replace(alert, at=alert.at + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("notifiers", "reached"),
    [([], False), ([log], False), ([torn], False), ([log, dead], False), ([log, push], True), ([torn, push], True)],
)
def test_only_what_reaches_a_person_tells(notifiers: list[Fake], reached: bool) -> None:
    """A person was told when one of the notifiers that reach a person took the alert; a log alone tells nobody."""
    assert told(notifiers).delivered is reached


def test_each_notifier_says_what_became_of_it() -> None:
    """The words name each notifier, the failed ones included."""
    assert told([log, dead]).detail == "log: taken; push: lost"


@pytest.mark.parametrize("notifiers", [[], [log], [torn]])
def test_nobody_told_is_said(notifiers: list[Fake]) -> None:
    """Where the profile asks for nothing that reaches a person, the words say so."""
    assert "nobody is told" in told(notifiers).detail


def test_a_lost_alert_does_not_keep_the_next_notifier_from_trying() -> None:
    """Every notifier is asked, whatever became of those before it."""
    assert told([dead, push]).delivered


# ── Told once, then counted ──────────────────────────────────────────────────────────────────────────────────────────
def test_the_same_alert_within_the_window_is_counted(tmp_path: Path) -> None:
    """Told once; repeated it is not sent, but counted, and the next alert that is sent says how often it came."""
    with PushServer() as server:
        assert give(tmp_path, ALERT, NTFY_URL=server.address).delivered
        again = [give(tmp_path, later(seconds), NTFY_URL=server.address) for seconds in (1, 2, 3)][-1]
        assert (again.delivered, len(server.received)) == (True, 1)
        assert "the same was told since 14:35:00Z; counted, 3 more" in again.detail
        other = replace(later(WINDOW.total_seconds() + 1), title="other")
        assert give(tmp_path, other, NTFY_URL=server.address).delivered
        assert server.received[1].text == "text\n3 times more after 2026-01-05 14:35:00Z: title"
        assert give(tmp_path, later(5, other), NTFY_URL=server.address).delivered
    assert len(server.received) == 2


def test_after_the_window_it_is_told_again_with_its_count(tmp_path: Path) -> None:
    """The same alert after ten minutes is news again, and says how often it came meanwhile."""
    with PushServer() as server:
        for seconds in (0, 1, WINDOW.total_seconds()):
            give(tmp_path, later(seconds), NTFY_URL=server.address)
    assert [each.text for each in server.received] == ["text", "text\nonce more after 2026-01-05 14:35:00Z: title"]


@pytest.mark.parametrize(
    "other", [{"title": "x"}, {"text": "x"}, {"priority": Priority.URGENT}, {"key": "x"}, {"keep": False}]
)
def test_another_alert_is_never_held_back(other: dict[str, Any], tmp_path: Path) -> None:
    """What differs in a word, in loudness or by its key, or is kept elsewhere, is sent at once."""
    with PushServer() as server:
        give(tmp_path, ALERT, NTFY_URL=server.address)
        give(tmp_path, replace(later(1), **other), NTFY_URL=server.address)
    assert len(server.received) == 2


def test_a_clock_set_back_holds_nothing_back(tmp_path: Path) -> None:
    """An alert that was told in the future suppresses none."""
    with PushServer() as server:
        give(tmp_path, later(3600), NTFY_URL=server.address)
        give(tmp_path, ALERT, NTFY_URL=server.address)
    assert len(server.received) == 2


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": 1}', '{"a": {"at": "x"}}', '{"a": {"at": 3, "more": "x"}}'])
def test_a_table_that_cant_be_read_suppresses_nothing(text: str, tmp_path: Path) -> None:
    """What was told is known from a file; a damaged one costs a repetition, never an alert."""
    (tmp_path / FOLDER).mkdir(parents=True)
    (tmp_path / FOLDER / "told.json").write_text(text)
    with PushServer() as server:
        assert give(tmp_path, ALERT, NTFY_URL=server.address).delivered


# ── What nobody took ─────────────────────────────────────────────────────────────────────────────────────────────────
def test_what_nobody_took_waits_and_goes_out_late(tmp_path: Path) -> None:
    """A refused alert is kept, without its address; sent later, it says of when it is, and is forgotten."""
    with PushServer(403) as server:
        delivery = give(tmp_path, ALERT, NTFY_URL=server.address)
        assert (delivery.delivered, "it is kept" in delivery.detail) == (False, True)
        unsent = UnsentAlerts(tmp_path)
        (waits,) = unsent.waiting()
        assert (waits.alert, waits.names, waits.profile) == (replace(ALERT), ("NTFY_URL",), "sim")
        assert "refused it (403)" in waits.why
        assert not [path for path in unsent.folder.iterdir() if server.address in path.read_text()]
        assert send_waiting(pusher(NTFY_URL=server.address), [waits], unsent, START)
    assert server.received[1].title == "(late) title"
    assert "It is of 2026-01-05 14:35:00Z" in server.received[1].text
    assert unsent.waiting() == []


def test_one_of_two_addresses_waits_alone(tmp_path: Path) -> None:
    """What one address took waits for the other only."""
    with PushServer() as one, PushServer(403) as other:
        addresses = {"NTFY_URL": one.address, "PAGER_URL": other.address}
        assert give(tmp_path, ALERT, **addresses).delivered
        (waits,) = UnsentAlerts(tmp_path).waiting()
        assert waits.names == ("PAGER_URL",)
        send_waiting(pusher(**addresses), [waits], UnsentAlerts(tmp_path), START)
    assert (len(one.received), len(other.received)) == (1, 2)


def test_many_that_wait_go_out_as_one(tmp_path: Path) -> None:
    """After an evening without network the phone gets one message, as loud as the loudest, and not fifty."""
    unsent = UnsentAlerts(tmp_path)
    for number in range(50):
        priority = Priority.URGENT if number == 7 else Priority.LOW
        alert = replace(later(number), title=f"number {number}", priority=priority)
        unsent.put(Unsent(alert, "sim", ("NTFY_URL",), "no network"))
    with PushServer() as server:
        send_waiting(pusher(NTFY_URL=server.address), unsent.waiting(), unsent, START)
    (got,) = server.received
    assert (got.title, got.priority) == ("50 alerts could not be sent before", "urgent")
    assert "number 49" in got.text
    assert "30 earlier ones" in got.text
    assert unsent.waiting() == []


def test_what_waits_is_bounded(tmp_path: Path) -> None:
    """The oldest goes when too many wait: a full disk helps nobody."""
    unsent = UnsentAlerts(tmp_path)
    for number in range(MOST + 3):
        unsent.put(Unsent(replace(later(number), title=str(number)), "sim", ("NTFY_URL",), ""))
    assert [each.alert.title for each in unsent.waiting()][:2] == ["3", "4"]
    assert len(unsent.waiting()) == MOST


def test_an_outbox_that_cant_be_written_is_said_and_stops_nothing(tmp_path: Path) -> None:
    """The alert is sent all the same, and the words say what to do."""
    (tmp_path / "runs").write_text("a file where the folder should be")
    with PushServer() as server:
        delivery = give(tmp_path, ALERT, NTFY_URL=server.address)
    assert (delivery.delivered, len(server.received)) == (True, 1)
    assert "runs/.outbox can't be written" in delivery.detail
    assert "make it writable" in delivery.detail


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"alert": {"at": "x"}}'])
def test_a_file_of_another_form_is_left_alone(text: str, tmp_path: Path) -> None:
    """What can't be read does not keep what can from going out."""
    unsent = UnsentAlerts(tmp_path)
    unsent.put(Unsent(ALERT, "sim", ("NTFY_URL",), ""))
    (unsent.folder / "0.json").write_text(text)
    assert [each.alert for each in unsent.waiting()] == [ALERT]


def test_a_process_killed_while_it_told_leaves_the_alert(tmp_path: Path) -> None:
    """It is on disk before the first byte leaves, so that a crash costs a repetition, never an alert."""
    kept: list[dict[str, Any]] = []

    def die(said: Mapping[str, Any], bound_s: float) -> Answer:
        kept.extend(json.loads(path.read_text()) for path in (tmp_path / FOLDER).glob("[0-9]*.json"))
        return Answer(True, "taken")

    tell([PushNotifier({"NTFY_URL": "https://ntfy.example/t"}, ManualClock(START), ask=die)], ALERT, tmp_path, "sim")
    assert [each["alert"]["title"] for each in kept] == ["title"]
    assert UnsentAlerts(tmp_path).waiting() == []


def test_alert_is_frozen_and_its_time_aware() -> None:
    """House rule 4: values don't change, times are aware."""
    with pytest.raises(FrozenInstanceError):
        ALERT.title = "other"  # type: ignore[misc]
    with pytest.raises(ValueError, match="no time zone"):
        Alert("title", "text", Priority.LOW, (), datetime(2026, 1, 5))  # noqa: DTZ001 - the fault under test
