"""Alerts on disk: what nobody took yet, and what was told a moment ago; in `runs/.outbox/alerts/`, masked.

    told: put → push → taken: gone · not taken: waits → the next run, `cron --tick` or `announce` sends it

The same alert within the window is counted and not sent again; how often it came is said with the next that is sent.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from aurora.alerts.base import Alert, Priority
from aurora.clock import iso

FOLDER = Path("runs/.outbox/alerts")
WINDOW = timedelta(minutes=10)
MOST = 200
"""Alerts that wait; then the oldest goes. Nobody reads the two hundredth, but the newest says what is."""

_TOLD = "told.json"


@dataclass(frozen=True)
class Unsent:
    """An alert that waits. profile: by whose notifiers. names: of addresses that did not take it. why: said last."""

    alert: Alert
    profile: str
    names: tuple[str, ...]
    why: str
    file: str = ""


@dataclass(frozen=True)
class Before:
    """The same alert, told a moment ago: when, whether somebody took it, and how often it came since."""

    at: datetime
    delivered: bool
    more: int


class UnsentAlerts:
    """The folder of a project. Each method raises OSError where the disk refuses."""

    def __init__(self, project: Path) -> None:
        self.folder = project / FOLDER

    def put(self, unsent: Unsent) -> Unsent:
        """Keep an alert; return it with the name of its file."""
        self._make()
        name = unsent.file or f"{unsent.alert.at:%Y%m%dT%H%M%S%f}-{fingerprint(unsent.alert)[:16]}.json"
        said = {**asdict(unsent.alert), "at": iso(unsent.alert.at)}
        self._write(name, {"alert": said, "profile": unsent.profile, "names": unsent.names, "why": unsent.why})
        for path in self._paths()[:-MOST]:
            path.unlink(missing_ok=True)
        return replace(unsent, file=name)

    def forget(self, unsent: Unsent) -> None:
        """Forget an alert that was taken by all."""
        (self.folder / unsent.file).unlink(missing_ok=True)

    def waiting(self) -> list[Unsent]:
        """Return what waits, oldest first; a file that is none of ours is left alone."""
        return [found for path in self._paths() if (found := _read(path)) is not None]

    def told(self, alert: Alert) -> Before | None:
        """Note that `alert` is told now; return what it repeats, if that was within the window: it is counted."""
        key = fingerprint(alert)
        with self._table() as table:
            entry = table.get(key)
            if entry is not None and timedelta(0) <= alert.at - datetime.fromisoformat(entry["at"]) < WINDOW:
                entry["more"] += 1
                return Before(datetime.fromisoformat(entry["at"]), entry["delivered"], entry["more"])
            if entry is not None and entry["more"]:
                table[f"{key}:before"] = entry
            table[key] = {"at": iso(alert.at), "title": alert.title, "delivered": False, "more": 0}
        return None

    def taken(self, alert: Alert) -> None:
        """Note that somebody took `alert`."""
        with self._table() as table:
            if (entry := table.get(fingerprint(alert))) is not None:
                entry["delivered"] = True

    def repeated(self, now: datetime) -> list[str]:
        """Return a line for each alert that came again within its window, which is over; they are forgotten."""
        lines = []
        with self._table() as table:
            for key, entry in list(table.items()):
                age = now - datetime.fromisoformat(entry["at"])
                if key.endswith(":before") or not timedelta(0) <= age < WINDOW:
                    del table[key]
                    times = "once" if entry["more"] == 1 else f"{entry['more']} times"
                    at = f"{datetime.fromisoformat(entry['at']):%Y-%m-%d %H:%M:%SZ}"
                    lines += [f"{times} more after {at}: {entry['title']}"] * bool(entry["more"])
        return lines

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold what waits against whoever else sends it."""
        with self._lock(".sending"):
            yield

    @contextlib.contextmanager
    def _table(self) -> Iterator[dict[str, dict[str, Any]]]:
        with self._lock(".lock"):
            try:
                table = json.loads((self.folder / _TOLD).read_text("utf-8"))
                for entry in table.values():
                    datetime.fromisoformat(entry["at"]).astimezone()
                    entry["more"], entry["title"], entry["delivered"] = (
                        entry["more"] + 0,
                        entry["title"],
                        entry["delivered"],
                    )
            except (OSError, ValueError, TypeError, KeyError, AttributeError):
                table = {}  # what can't be read suppresses nothing
            before = json.dumps(table)
            yield table
            if json.dumps(table) != before:
                self._write(_TOLD, table)

    @contextlib.contextmanager
    def _lock(self, name: str) -> Iterator[None]:
        self._make()
        descriptor = os.open(self.folder / name, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _make(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _paths(self) -> Sequence[Path]:
        return sorted(self.folder.glob("[0-9]*.json"))

    def _write(self, name: str, value: Mapping[str, Any]) -> None:
        draft = self.folder / f".{name}.{os.getpid()}.draft"
        with draft.open("w", encoding="utf-8") as file:
            file.write(json.dumps(value) + "\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.folder / name)


def fingerprint(alert: Alert) -> str:
    """Return what makes two alerts the same one."""
    words = [alert.key] if alert.key else [alert.title, alert.text, alert.priority.value]
    return hashlib.sha256("\0".join(words).encode("utf-8", "replace")).hexdigest()


def _read(path: Path) -> Unsent | None:
    try:
        said = json.loads(path.read_text("utf-8"))
        of = said["alert"]
        at, tags = datetime.fromisoformat(of["at"]), tuple(map(str, of["tags"]))
        alert = Alert(
            str(of["title"]), str(of["text"]), Priority(of["priority"]), tags, at, str(of["key"]), bool(of["push"])
        )
        return Unsent(alert, str(said["profile"]), tuple(map(str, said["names"])), str(said["why"]), path.name)
    except (OSError, ValueError, TypeError, KeyError):
        return None
