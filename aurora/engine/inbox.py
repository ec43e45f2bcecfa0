"""Acts from other processes: files in the run's `inbox/`, which its engine takes one by one (engine rule 21).

A sender creates a file exclusively; the engine writes each act to the journal before it follows from it, and takes the
file away. The journal's order decides between acts; an act that comes too late is on record as refused.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import stat
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aurora.errors import RecordError

FOLDER = "inbox"
KINDS = ("cancel", "answer")
LARGEST = 65_536


@dataclass(frozen=True)
class Act:
    """One act: its file's name, what it asks for, by whom (the file's owner), and why it can't be followed, if so."""

    id: str
    kind: str
    by: str
    data: Mapping[str, Any]
    fault: str = ""


def send(folder: Path, kind: str, data: Mapping[str, Any]) -> str:
    """Put an act into the inbox of the run in `folder` and return its id. Raises RecordError."""
    inbox = folder / FOLDER
    act_id = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{os.getpid()}-{kind}.json"
    draft = inbox / f".{act_id}"
    try:
        inbox.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(json.dumps({"kind": kind, **data}).encode())
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, inbox / act_id)  # whole, or not there; never over another
        draft.unlink()
    except OSError as error:
        raise RecordError(
            f"The run's inbox {inbox} can't be written: {error.strerror}.",
            means="the run was not asked anything",
            todo="make room, or stop the run where it runs: Ctrl-C, or kill -TERM of its process",
        ) from error
    return act_id


class Inbox:
    """The engine's side: `read` what has come, `done` once it is on record."""

    def __init__(self, folder: Path, seen: Collection[str]) -> None:
        self._folder = folder / FOLDER
        self._seen = set(seen)

    def read(self) -> list[Act]:
        """Return the acts that have come, oldest first; those that a journal has already are taken away."""
        try:
            names = sorted(path.name for path in self._folder.iterdir() if not path.name.startswith("."))
        except OSError:
            return []
        for name in names:
            if name in self._seen:
                self._remove(name)
        return [self._act(name) for name in names if name not in self._seen]

    def done(self, act: Act) -> None:
        """Take an act away that is on record."""
        self._seen.add(act.id)
        self._remove(act.id)

    def _remove(self, name: str) -> None:
        with contextlib.suppress(OSError):  # then it is known by its id
            (self._folder / name).unlink()

    def _act(self, name: str) -> Act:
        try:
            descriptor = os.open(self._folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    return Act(name, "", "", {}, "it is no plain file")
                raw = file.read(LARGEST + 1)
        except OSError as error:
            return Act(name, "", "", {}, f"it can't be read: {error.strerror}")
        by = _name_of(status.st_uid)
        try:
            data = json.loads(raw) if len(raw) <= LARGEST else None
        except (ValueError, RecursionError):
            data = None
        if not isinstance(data, dict) or data.get("kind") not in KINDS:
            return Act(name, "", by, {}, "it does not say what is asked")
        kind = data.pop("kind")
        return Act(name, kind, by, data)


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
