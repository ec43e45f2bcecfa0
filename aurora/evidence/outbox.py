"""What is to leave the machine and has not yet: files in `runs/.outbox/`, so that no run ever waits for a network.

    a run: put (a file, whole or not there)        whoever sends: locked → alerts, pushes → done

A later head proves every earlier one, so what could not be sent for a while goes out in one message.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from aurora.evidence.ledger import Head

FOLDER = ".outbox"
_ALARM = "alarm.txt"
_PUSH = "push.json"


@dataclass(frozen=True)
class Announcement:
    """A head to tell. at: when it was so, as ISO text in UTC. what: `opened`, or the outcome that was sealed."""

    at: str
    what: str
    run: str
    profile: str
    seq: int
    sha256: str

    @property
    def head(self) -> Head:
        """Return the ledger's head of then."""
        return Head(self.seq, self.sha256)


class Outbox:
    """The outbox of a folder of records."""

    def __init__(self, runs: Path) -> None:
        self._folder = runs / FOLDER

    def put(self, announcement: Announcement, *, alert: bool, push: bool) -> None:
        """Keep `announcement` for those it is for; of pushes only the newest counts. Raises OSError."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        if alert:
            self._write(f"{announcement.seq:012}-{announcement.what}.json", announcement)
        if push:
            self._write(_PUSH, announcement)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold it against whoever else sends. Raises OSError."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def alerts(self) -> list[Announcement]:
        """Return what is to be told, oldest first."""
        names = sorted(self._folder.glob("[0-9]*.json")) if self._folder.is_dir() else []
        return [found for path in names if (found := _read(path)) is not None]

    def push(self) -> Announcement | None:
        """Return the newest head that is to be pushed."""
        return _read(self._folder / _PUSH)

    def sent(self, alerts: Sequence[Announcement]) -> None:
        """Forget what has been told. Raises OSError."""
        for each in alerts:
            (self._folder / f"{each.seq:012}-{each.what}.json").unlink(missing_ok=True)

    def pushed(self, announcement: Announcement) -> None:
        """Forget a push, unless a newer one waits by now. Raises OSError."""
        if self.push() == announcement:
            (self._folder / _PUSH).unlink(missing_ok=True)

    @property
    def alarm(self) -> str:
        """Return what a witness holds against the ledger; nothing when nothing is known."""
        try:
            return (self._folder / _ALARM).read_text("utf-8", "replace").strip()
        except OSError:
            return ""

    def raise_alarm(self, text: str) -> bool:
        """Keep an alarm until a witness agrees again; return whether it is a new one. Raises OSError."""
        is_new = self.alarm != text.strip()
        self._folder.mkdir(mode=0o700, exist_ok=True)
        (self._folder / _ALARM).write_text(text + "\n", "utf-8")
        return is_new

    def end_alarm(self) -> None:
        """Forget the alarm: the witness agrees."""
        (self._folder / _ALARM).unlink(missing_ok=True)

    def _write(self, name: str, announcement: Announcement) -> None:
        draft = self._folder / f".{name}.{os.getpid()}.draft"
        draft.write_text(json.dumps(asdict(announcement)) + "\n", "utf-8")
        draft.replace(self._folder / name)


def _read(path: Path) -> Announcement | None:
    """Return what a file holds; None for one that is gone by now, or is none of ours."""
    try:
        found = Announcement(**json.loads(path.read_text("utf-8")))
        return found if path.name in (_PUSH, f"{found.seq:012}-{found.what}.json") else None
    except (OSError, ValueError, TypeError):
        return None
