"""Writes alerts down: one JSON line each in `logs/alerts.log`. It tells nobody."""

from __future__ import annotations

import json
import os
from pathlib import Path

from aurora.alerts.base import Alert, Delivery
from aurora.clock import iso

LOG = "logs/alerts.log"


class LogNotifier:
    """Appends to the project's `logs/alerts.log`, on disk before it says so."""

    name = "log"
    reaches_person = False

    def __init__(self, project: Path) -> None:
        self._path = project / LOG

    def send(self, alert: Alert) -> Delivery:
        """Append `alert` as one line."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # unbuffered: one write, so that the lines of two processes don't mix
            with self._path.open("ab", buffering=0) as file:
                line = _line(alert)
                if file.write(line) != len(line):
                    return Delivery(False, f"{LOG} took a part of the line only; the disk may be full")
                os.fsync(file.fileno())
        except OSError as error:
            return Delivery(False, f"{LOG} can't be written: {error.strerror or type(error).__name__}")
        return Delivery(True, f"written to {LOG}")


def _line(alert: Alert) -> bytes:
    values = {
        "at": iso(alert.at),
        "priority": alert.priority,
        "title": alert.title,
        "text": alert.text,
        "tags": alert.tags,
    }
    return json.dumps(values).encode("ascii") + b"\n"
