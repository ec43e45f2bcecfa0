"""The journal: one JSON line an event, chained by hashes, on disk before the action that it announces."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path, PurePath
from typing import Any

from aurora.clock import Clock, SystemClock, iso
from aurora.errors import JournalDamaged, JournalWriteError, RecordError

FIRST = "0" * 64
_sync = getattr(os, "fdatasync", os.fsync)


@dataclass(frozen=True)
class Event:
    """One line of a journal: sequence number (from 1), UTC time as written, type and data."""

    seq: int
    ts: str
    type: str
    data: Mapping[str, Any]


@dataclass(frozen=True)
class JournalText:
    """What a journal file holds: its whole events, the hash of its last whole line, and the torn bytes after it."""

    events: tuple[Event, ...]
    head: str
    whole_bytes: int
    torn: bytes


def read_journal(path: Path) -> JournalText:
    """Read and check the journal at `path`.

    A last line that was not written whole is returned as `torn`, not as an error. Raises JournalDamaged when a line
    before it does not parse or does not follow the one above, RecordError when the file can't be read.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise RecordError(f"The journal {path} can't be read: {error.strerror}.") from error
    return parse_journal(raw, path)


def parse_journal(raw: bytes, path: Path) -> JournalText:
    """Check the bytes of the journal at `path`, as `read_journal` does. Raises JournalDamaged."""
    events: list[Event] = []
    head, offset = FIRST, 0
    lines = raw.splitlines(keepends=True) if b"\r" not in raw else raw.replace(b"\r", b"\0").splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        event = _parse(line) if line.endswith(b"\n") else None
        if event is None and number == len(lines):
            return JournalText(tuple(events), head, offset, raw[offset:])
        if event is None or event["seq"] != number or event["prev"] != head:
            raise JournalDamaged(
                f"Line {number} of {path} does not follow the line above it.",
                means="the record was changed or cut after it was written; what it says can't be trusted",
                todo="restore the run's folder from a copy; Aurora does not go on with a damaged record",
            )
        events.append(Event(number, event["ts"], event["type"], event["data"]))
        head = hashlib.sha256(line).hexdigest()
        offset += len(line)
    return JournalText(tuple(events), head, offset, b"")


def hash_of_line(path: Path, seq: int) -> str:
    """Return the SHA-256 of line `seq` (from 1) of a journal, as the line after it names it. Raises RecordError."""
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except OSError as error:
        raise RecordError(f"The journal {path} can't be read: {error.strerror}.") from error
    return hashlib.sha256(lines[seq - 1]).hexdigest()


def line_of(seq: int, prev: str, ts: str, type_: str, data: object) -> bytes:
    """Return one line of a journal as it is written: `data` is JSON, `prev` the SHA-256 of the line above."""
    return _line(seq, prev, ts, type_, _to_json(data))


def _line(seq: int, prev: str, ts: str, type_: str, data: str) -> bytes:
    return f'{{"seq":{seq},"prev":"{prev}","ts":"{ts}","type":{json.dumps(type_)},"data":{data}}}\n'.encode()


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    shape = {"seq": int, "prev": str, "ts": str, "type": str, "data": dict}
    if not isinstance(event, dict) or not all(isinstance(event.get(key), type_) for key, type_ in shape.items()):
        return None
    return event


def plain(value: object) -> object:
    """Return a value that JSON does not know as one that it does. Raises TypeError."""
    if isinstance(value, Decimal | PurePath):
        return str(value)
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"A journal line can't hold a {type(value).__name__}.")


_to_json = json.JSONEncoder(default=plain, allow_nan=False, separators=(",", ":")).encode


class Journal(contextlib.AbstractContextManager["Journal"]):
    """Appends events to one file: `create` a new one or `resume` one that a process left behind.

    append: mask → chain → write → sync → return the event. `mask` returns other data than it was given, or the same;
    it changes nothing in place. When the disk refuses, what was half written is cut off
    again, JournalWriteError is raised, and every later append raises it too: an engine that can't write acts no more.
    """

    def __init__(
        self, path: Path, descriptor: int, text: JournalText, clock: Clock, mask: Callable[[Any], Any]
    ) -> None:
        self.path = path
        self._descriptor = descriptor
        self._seq = len(text.events)
        self._head = text.head
        self._size = text.whole_bytes
        self._clock = clock
        self._mask = mask
        self._failed = False

    @classmethod
    def create(cls, path: Path, clock: Clock | None = None, mask: Callable[[Any], Any] = lambda data: data) -> Journal:
        """Create the file at `path`, which must not exist, and sync its folder."""
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o644)
            sync_folder(path.parent)
        except OSError as error:
            raise _refused(path, error) from error
        return cls(path, descriptor, JournalText((), FIRST, 0, b""), clock or SystemClock(), mask)

    @classmethod
    def resume(
        cls, path: Path, clock: Clock | None = None, mask: Callable[[Any], Any] = lambda data: data
    ) -> tuple[Journal, tuple[Event, ...]]:
        """Open an existing journal to go on; a torn last line is copied beside it, cut, and announced (rule 20)."""
        text = read_journal(path)
        try:
            saved = _save_torn(path, text) if text.torn else None
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
            if saved is not None:
                os.ftruncate(descriptor, text.whole_bytes)
                os.fsync(descriptor)
        except OSError as error:
            raise _refused(path, error) from error
        journal = cls(path, descriptor, text, clock or SystemClock(), mask)
        if saved is None:
            return journal, text.events
        event = journal.append("journal.recovered", {"bytes": len(text.torn), "saved_as": saved.name})
        return journal, (*text.events, event)

    @property
    def head(self) -> str:
        """Return the SHA-256 of the last line, as the next line will name it."""
        return self._head

    def append(self, type_: str, data: Mapping[str, Any], *, sync: bool = True) -> Event:
        """Write one event and return it once the disk holds it. Raises JournalWriteError.

        Without `sync` it reaches the disk with the next event that has it: for events that announce no action.
        """
        if self._failed:
            raise JournalWriteError(f"The journal {self.path} could not be written before; nothing more is done.")
        ts = iso(self._clock.now())
        text = _to_json(data)
        whole = json.loads(text)
        masked = self._mask(whole)
        if masked != whole:  # else the text at hand says it, and need not be made again
            text = _to_json(masked)
        raw = _line(self._seq + 1, self._head, ts, type_, text)
        try:
            self._write(raw, sync)
        except OSError as error:
            self._failed = True
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self._size)
            raise _refused(self.path, error) from error
        self._seq += 1
        self._size += len(raw)
        self._head = hashlib.sha256(raw).hexdigest()
        return Event(self._seq, ts, type_, masked)

    def _write(self, raw: bytes, sync: bool) -> None:
        rest = memoryview(raw)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        if sync:
            _sync(self._descriptor)

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the file back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _save_torn(path: Path, text: JournalText) -> Path:
    saved = path.with_name(f"{path.name}.torn-{len(text.events) + 1}")
    number = 1
    while saved.exists():
        number += 1
        saved = path.with_name(f"{path.name}.torn-{len(text.events) + 1}-{number}")
    descriptor = os.open(saved, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        os.write(descriptor, text.torn)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_folder(path.parent)
    return saved


def sync_folder(folder: Path) -> None:
    """Bring the names in `folder` to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refused(path: Path, error: OSError) -> JournalWriteError:
    return JournalWriteError(
        f"The journal {path} can't be written: {error.strerror or error}.",
        means="nothing is done that the journal does not announce, so the run stops here; what it holds is whole",
        todo="make room or mend the folder's permissions, then `invoke resume` the run",
    )
