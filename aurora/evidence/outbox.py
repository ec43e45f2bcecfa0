"""What is to leave the machine and has not yet: files in `runs/.outbox/`, so that no run ever waits for a network.

    a run: put (a file, whole or not there)        whoever sends: locked → alerts, pushes → done

A later head proves every earlier one, so what could not be sent for a while goes out in one message.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from aurora.evidence.ledger import Head

FOLDER = ".outbox"
_ALARM = "alarm.txt"
_LARGEST = 1 << 16


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
            self._write(_alert_name(announcement), announcement)
        if push:
            self._write(_push_name(announcement.seq), announcement)

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
        return [found for path in self._files("[0-9]*") if (found := _read(path)) is not None]

    def push(self) -> Announcement | None:
        """Return the newest head that is to be pushed."""
        return max(filter(None, map(_read, self._files("push-*"))), key=lambda each: each.seq, default=None)

    def unreadable(self, pattern: str = "*") -> list[str]:
        """Return the names of files that are no announcements: a power cut left them, or somebody put them there."""
        return [path.name for path in self._files(pattern) if _read(path) is None and os.path.lexists(path)]

    @property
    def wants_push(self) -> bool:
        """Return whether something is to be pushed, even if what it was can't be read any more."""
        return bool(self._files("push-*"))

    def sent(self, alerts: Sequence[Announcement]) -> None:
        """Forget what has been told. Raises OSError."""
        for each in alerts:
            (self._folder / _alert_name(each)).unlink(missing_ok=True)

    def pushed(self, seq: int) -> None:
        """Forget every push up to a line of the ledger, and those that can't be read: a later head proves them all.

        A newer one that was put meanwhile has a file of its own, and stays. Raises OSError.
        """
        for path in self._files("push-*"):
            found = _read(path)
            if found is None or found.seq <= seq:
                path.unlink(missing_ok=True)

    def _files(self, pattern: str) -> list[Path]:
        return sorted(self._folder.glob(f"{pattern}.json")) if self._folder.is_dir() else []

    @property
    def alarm(self) -> str:
        """Return what a witness holds against the ledger; nothing when nothing is known."""
        try:
            return (self._folder / _ALARM).read_text("utf-8", "replace").strip()
        except OSError:
            return ""

    def raise_alarm(self, text: str) -> bool:
        """Keep an alarm until a witness agrees again; return whether none stood before. Raises OSError.

        A ledger that was put back is first shorter than the witness's, and with the next line another: one alarm.
        """
        is_new = not self.alarm
        self._folder.mkdir(mode=0o700, exist_ok=True)
        draft = self._folder / f".{_ALARM}.{os.getpid()}.draft"
        draft.write_text(text + "\n", "utf-8")
        draft.replace(self._folder / _ALARM)
        return is_new

    def end_alarm(self) -> None:
        """Forget the alarm: the witness agrees."""
        (self._folder / _ALARM).unlink(missing_ok=True)

    def _write(self, name: str, announcement: Announcement) -> None:
        draft = self._folder / f".{name}.{os.getpid()}.draft"
        draft.write_text(json.dumps(asdict(announcement)) + "\n", "utf-8")
        draft.replace(self._folder / name)


def _alert_name(announcement: Announcement) -> str:
    return f"{announcement.seq:012}-{announcement.what}.json"


def _push_name(seq: int) -> str:
    return f"push-{seq:012}.json"


def _read(path: Path) -> Announcement | None:
    """Return what a file holds; None for one that is gone by now, or is none of ours."""
    try:
        state = path.lstat()
        if not stat.S_ISREG(state.st_mode) or state.st_size > _LARGEST:
            return None
        said = json.loads(path.read_text("utf-8"))
        found = Announcement(**said)
        return found if _is_sound(**said) and path.name in (_push_name(found.seq), _alert_name(found)) else None
    except (OSError, ValueError, TypeError, RecursionError):
        return None


def _is_sound(at: Any, what: Any, run: Any, profile: Any, seq: Any, sha256: Any) -> bool:
    """Return whether each part is what it says, so that nothing of it can stop whoever sends it. Raises ValueError."""
    return (
        all(isinstance(word, str) and word.isprintable() for word in (what, run, profile))
        and type(seq) is int
        and seq > 0
        and isinstance(sha256, str)
        and re.fullmatch("[0-9a-f]{64}", sha256) is not None
        and isinstance(at, str)
        and datetime.fromisoformat(at).tzinfo is not None
    )
