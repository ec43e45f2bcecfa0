"""What every notifier keeps; each implementation is added to `ways`."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from aurora.alerts.base import Alert, Delivery, Notifier, Priority
from aurora.alerts.log import LOG, LogNotifier
from aurora.alerts.notifiers import NOTIFIERS
from aurora.alerts.push import PushNotifier
from aurora.clock import ManualClock
from tests.push_server import PushServer, free_port
from tests.trading import START

ALERT = Alert("Title", "text", Priority.DEFAULT, ("tag",), START)


@dataclass
class Way:
    """A notifier that works, the same one where it can't, and how to read the texts that arrived."""

    working: Notifier
    broken: Notifier
    arrived: Callable[[], list[str]]


def log_way(root: Path, server: PushServer) -> Way:
    """Return the log; it can't write where a file stands for its folder."""
    (root / "bad").mkdir()
    (root / "bad/logs").touch()

    def arrived() -> list[str]:
        lines = (root / LOG).read_bytes().splitlines()
        return [json.loads(line)["text"] for line in lines]

    return Way(LogNotifier(root), LogNotifier(root / "bad"), arrived)


def push_way(root: Path, server: PushServer) -> Way:
    """Return the push; it can't send where nothing listens."""
    clock = ManualClock(START)
    broken = PushNotifier({"NTFY_URL": f"http://127.0.0.1:{free_port()}/topic"}, clock)
    return Way(
        PushNotifier({"NTFY_URL": server.address}, clock), broken, lambda: [each.text for each in server.received]
    )


WAYS = {"log": log_way, "push": push_way}


@pytest.fixture(params=sorted(WAYS))
def way(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Way]:
    """Return each notifier in turn."""
    with PushServer() as server:
        yield WAYS[request.param](tmp_path, server)


def check_words(delivery: Delivery) -> None:
    """Fail when what is said is not one plain line."""
    assert delivery.detail
    assert delivery.detail.isprintable()


def test_every_notifier_is_held_to_this() -> None:
    """A notifier in the table that no contract was run over fails here."""
    assert set(WAYS) == set(NOTIFIERS)


def test_name_is_the_profiles_key(way: Way) -> None:
    """A notifier's name is its key in the table and in the profile, and it knows whether it reaches a person."""
    assert way.working.name in NOTIFIERS
    assert way.working.reaches_person is (way.working.name != "log")


def test_alert_arrives_once(way: Way) -> None:
    """One send, one arrival; a second send, a second one."""
    for count in (1, 2):
        delivery = way.working.send(ALERT)
        assert delivery.delivered
        check_words(delivery)
        assert way.arrived() == ["text"] * count


def test_failure_is_said_not_raised(way: Way) -> None:
    """What can't be delivered is an answer in words."""
    delivery = way.broken.send(ALERT)
    assert not delivery.delivered
    check_words(delivery)


HOSTILE = {
    "empty": "",
    "lines": "two\nlines\r\n",
    "escapes": "\x1b[31mred\x1b[0m\x07",
    "unicode": "🚨 größer",
    "surrogate": "\ud800 half a sign",
    "quotes": '"quoted", {{ braces }}, commas',
    "null": "\0",
    "long": "x" * 1_000_000,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_words_are_one_alert(way: Way, text: str) -> None:
    """Whatever stands in title, text and tags, it is delivered as one alert and breaks nothing after it."""
    assert way.working.send(replace(ALERT, title=text, text=text, tags=(text, text))).delivered
    assert way.working.send(ALERT).delivered
    first, second = way.arrived()
    assert second == "text"
    assert first[:3000].encode("utf-8", "replace") == text[:3000].encode("utf-8", "replace")


def test_alerts_from_many_places_do_not_mix(way: Way) -> None:
    """Alerts that are sent at once arrive whole."""
    texts = [f"{number} " * 200 for number in range(12)]
    threads = [threading.Thread(target=way.working.send, args=(replace(ALERT, text=text),)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(way.arrived()) == sorted(texts)
