"""The outbox of announcements: heads of the ledger that are still to leave this machine (engine rule 27).

A run writes its announcement here, as a file of its own, and goes on; who sends it takes the files in their order and
removes each that arrived. What could not be sent stays for the next time.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path

from aurora.clock import iso
from aurora.evidence.ledger import Head, write_synced

FOLDER = ".outbox"


@dataclass(frozen=True)
class Announcement:
    """What is to be told of a run: that it was opened or sealed, with which outcome, and the ledger's head then.

    what: `opened` or `sealed`. at: when, as ISO 8601 in UTC. profile: whose alerts it goes out by.
    """

    what: str
    run: str
    runbook: str
    outcome: str
    profile: str
    seq: int
    sha256: str
    at: str

    @property
    def head(self) -> Head:
        """Return the head that is announced."""
        return Head(self.seq, self.sha256)


class Outbox:
    """The announcements of a folder of records that have not left yet."""

    def __init__(self, runs: Path) -> None:
        self.folder = runs / FOLDER

    def put(self, announcement: Announcement) -> None:
        """Keep an announcement until it is sent; on disk when this returns. Raises OSError."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        name = f"{announcement.seq:09d}-{announcement.what}.json"
        write_synced(self.folder / name, json.dumps(asdict(announcement)).encode() + b"\n")

    def unsent(self) -> list[tuple[Path, Announcement | None]]:
        """Return what is still to be sent, oldest first; a file that can't be read comes as None."""
        try:
            paths = sorted(path for path in self.folder.glob("*.json") if not path.name.startswith("."))
        except OSError:
            return []
        return [(path, _read(path)) for path in paths]

    @contextlib.contextmanager
    def sending(self) -> Iterator[bool]:
        """Hold the right to send; False when another process has it, which then sends what is put meanwhile."""
        if not self.folder.is_dir():
            yield True
            return
        descriptor = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True
        finally:
            os.close(descriptor)


def announcement_of(
    what: str, head: Head, at: datetime, *, run: str, runbook: str, profile: str, outcome: str = ""
) -> Announcement:
    """Return the announcement that the ledger has a head now, and why."""
    return Announcement(what, run, runbook, outcome, profile, head.seq, head.sha256, iso(at))


def _read(path: Path) -> Announcement | None:
    try:
        data = json.loads(path.read_text("utf-8"))
        words = [data[field.name] for field in fields(Announcement) if field.name != "seq"]
        datetime.fromisoformat(data["at"])
        whole = isinstance(data["seq"], int) and all(isinstance(word, str) for word in words)
        return Announcement(**data) if whole else None
    except (OSError, ValueError, TypeError, KeyError):
        return None
