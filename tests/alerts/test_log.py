from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from aurora.alerts.log import LOG, LogNotifier
from tests.alerts.test_telling import ALERT


def test_line_says_all_of_the_alert(tmp_path: Path) -> None:
    """A line is JSON with the alert's time in UTC, priority, title, text and tags."""
    LogNotifier(tmp_path).send(ALERT)
    assert json.loads((tmp_path / LOG).read_text()) == {
        "at": "2026-01-05T14:35:00.000000Z",
        "priority": "high",
        "title": "title",
        "text": "text",
        "tags": ["tag"],
    }


def test_lines_are_appended(tmp_path: Path) -> None:
    """What was written before stays as it was."""
    (tmp_path / LOG).parent.mkdir()
    (tmp_path / LOG).write_text("old\n")
    LogNotifier(tmp_path).send(ALERT)
    first, second = (tmp_path / LOG).read_text().splitlines()
    assert (first, json.loads(second)["title"]) == ("old", "title")


def test_line_is_on_disk_before_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line is synced when send() returns; a disk that refuses to sync has delivered nothing."""
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    assert LogNotifier(tmp_path).send(ALERT).delivered
    assert len(synced) == 1

    def refuse(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    delivery = LogNotifier(tmp_path).send(ALERT)
    assert (delivery.delivered, delivery.detail) == (False, "logs/alerts.log can't be written: No space left on device")


def test_full_disk_is_said() -> None:
    """A file that takes no more bytes is not a delivery."""
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    notifier = LogNotifier(Path("/"))
    notifier._path = Path("/dev/full")
    assert not notifier.send(ALERT).delivered


def test_path_of_this_machine_is_not_said(tmp_path: Path) -> None:
    """The words name the log relative to the project, also when it can't be written."""
    (tmp_path / "logs").write_text("a file where the folder would be")
    delivery = LogNotifier(tmp_path).send(ALERT)
    assert not delivery.delivered
    assert str(tmp_path) not in delivery.detail
