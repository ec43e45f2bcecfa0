"""The ledger: one hash-chained, signed file that knows of every run, from before its first step to its seal.

A line is one of a journal's form. `run.opened` and `run.sealed` speak of a run, `run.reopened` of one that goes on by a
waiver after its seal and is sealed once more, `act` of what was done outside of any.
The signature is over the whole file and made again for each line (engine rule 27):

    sign old + new bytes to .sig.next → append the line → rename .sig.next to .sig

Wherever that is cut, `_mended` completes or undoes it at the next start. Nothing is signed that did not verify before.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from aurora.clock import iso
from aurora.errors import JournalDamaged, LedgerDamaged, RecordError
from aurora.evidence import signing
from aurora.evidence.signing import SignatureRefused, Trust
from aurora.journal import FIRST, Event, line_of, parse_journal, sync_folder

NAME = "ledger.jsonl"


@dataclass(frozen=True)
class Head:
    """A line of the ledger, as it is announced outside the machine: its number, and the SHA-256 of its bytes."""

    seq: int
    sha256: str


@dataclass
class LedgerText:
    """What a ledger says: its lines, the hash of each, and which of them speak of which run."""

    events: list[Event] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)
    opened: dict[str, Event] = field(default_factory=dict)
    sealed: dict[str, Event] = field(default_factory=dict)
    """The seal of each run that has one now."""
    broken: dict[str, Event] = field(default_factory=dict)
    """The last seal of each run that was taken up again after it."""
    archived: dict[str, Event] = field(default_factory=dict)
    """The line that says where the whole folder of a sealed run went, and the digest of that file."""
    odd: list[Event] = field(default_factory=list)
    """Lines that say what can't be so: a run opened or sealed twice, or taken up again that has no seal."""

    @classmethod
    def of(cls, raw: bytes, path: Path) -> LedgerText:
        """Read whole lines. Raises LedgerDamaged."""
        try:
            text = parse_journal(raw, path)
        except JournalDamaged as error:
            raise LedgerDamaged(error.what, means=error.means, todo=error.todo) from error
        if text.torn:
            raise LedgerDamaged(f"The last line of {path} is not whole.", todo="start any run: that mends it")
        hashes = [hashlib.sha256(line).hexdigest() for line in raw.splitlines(keepends=True)]
        ledger = cls([], [])
        for event, digest in zip(text.events, hashes, strict=True):
            ledger.add(event, digest)
        return ledger

    def add(self, event: Event, digest: str) -> None:
        """Take one more line into account; the first that opens a run, or seals it, counts."""
        self.events.append(event)
        self.hashes.append(digest)
        run = str(event.data.get("run"))
        if event.type in ("run.opened", "run.sealed"):
            table = self.opened if event.type == "run.opened" else self.sealed
            if table.setdefault(run, event) is not event:
                self.odd.append(event)
        elif event.type == "run.reopened":
            if run in self.sealed:
                self.broken[run] = self.sealed.pop(run)
                self.archived.pop(run, None)  # that archive is of the seal before
            else:
                self.odd.append(event)
        elif event.type == "act" and event.data.get("act") == "archived":
            self.archived[run] = event

    @property
    def head(self) -> Head:
        """Return the last line's number and hash."""
        return Head(len(self.hashes), self.hashes[-1] if self.hashes else FIRST)

    def head_of(self, event: Event) -> Head:
        """Return the number and hash of one line."""
        return Head(event.seq, self.hashes[event.seq - 1])

    def unsealed(self) -> Sequence[str]:
        """Return the runs that were opened and never sealed, oldest first."""
        return [run for run in self.opened if run not in self.sealed]


class Ledger:
    """Appends to the ledger of the folder `runs`; `locked` is the only way to one, for as long as it is held."""

    def __init__(self, runs: Path, key: Path) -> None:
        self._path = runs / NAME
        self._signature = runs / f"{NAME}.sig"
        self._next = runs / f"{NAME}.sig.next"
        self._key = key
        self._trust = Trust.of(runs)
        self._raw = b""
        self._vouched = ""
        self.text = LedgerText()

    @classmethod
    @contextlib.contextmanager
    def locked(cls, runs: Path, key: Path) -> Iterator[Ledger]:
        """Hold the ledger against other processes, and mend what a killed one left.

        Raises LedgerDamaged when it is not what was signed, SigningFailed when that can't be found out.
        """
        try:
            descriptor = os.open(runs / ".ledger.lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise _unusable(runs / NAME, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            ledger = cls(runs, key)
            try:
                ledger._raw = ledger._mended()
            except OSError as error:
                raise _unusable(ledger._path, error) from error
            ledger.text = LedgerText.of(ledger._raw, ledger._path)
            yield ledger
        finally:
            os.close(descriptor)

    def append(self, type_: str, data: Mapping[str, Any], now: datetime) -> Event:
        """Append a line, signed, and return it once the disk holds it. Raises SigningFailed, RecordError."""
        head, ts = self.text.head, iso(now)
        if self.text.events and ts < self.text.events[-1].ts:  # the clock was set back; the ledger's time never is
            ts, data = self.text.events[-1].ts, {**data, "clock": ts}
        line = line_of(head.seq + 1, head.sha256, ts, type_, data)
        whole = self._raw + line
        signature = signing.sign(whole, self._key, signing.LEDGER)
        self._see_that_it_holds(whole, signature)
        try:
            write_synced(self._next, signature)
            _append(self._path, line)
            self._next.replace(self._signature)
            sync_folder(self._path.parent)
        except OSError as error:
            raise _unusable(self._path, error) from error
        self._raw = whole
        event = Event(head.seq + 1, ts, type_, data)
        self.text.add(event, hashlib.sha256(line).hexdigest())
        return event

    def _see_that_it_holds(self, whole: bytes, signature: bytes) -> None:
        """Check a signature before the ledger hangs on it; one by the key whose signature has just held will hold."""
        try:
            key = signing.facts_of(signature).public_key
            if key != self._vouched:
                signing.check(whole, signature, self._trust, signing.LEDGER)
                self._vouched = key
        except SignatureRefused as refused:
            raise _not_ours(self._key, self._trust, refused) from refused

    def _mended(self) -> bytes:
        """Return the ledger's bytes once they agree with their signature, whatever an append was cut in."""
        raw = self._path.read_bytes() if self._path.exists() else b""
        if not raw and not self._signature.exists():
            self._next.unlink(missing_ok=True)
            return b""
        refused = self._refusal(self._signature, raw)
        if refused is None:
            self._next.unlink(missing_ok=True)
            return raw
        if self._refusal(self._next, raw) is None:  # the line was written, the signature not yet renamed
            _sync_file(self._path)
            self._next.replace(self._signature)
            sync_folder(self._path.parent)
            return raw
        whole = raw[: raw.rfind(b"\n") + 1]
        is_first = not whole and not self._signature.exists() and self._next.exists()
        if whole != raw and (is_first or self._refusal(self._signature, whole) is None):
            write_synced(self._path.with_name(f"{NAME}.torn-{len(whole)}"), raw[len(whole) :])
            os.truncate(self._path, len(whole))
            _sync_file(self._path)
            self._next.unlink(missing_ok=True)
            return whole
        raise LedgerDamaged(
            f"{self._path} is not what its signature is of: {refused}.",
            means="lines of the ledger, or the signature, were changed by something that is not Aurora",
            todo="look: invoke verify   and restore runs/ from a copy; nothing is signed over a changed ledger",
        )

    def _refusal(self, signature: Path, raw: bytes) -> str | None:
        if not signature.exists():
            return "there is no signature"
        made = signature.read_bytes()
        try:
            signing.check(raw, made, self._trust, signing.LEDGER)
            self._vouched = signing.facts_of(made).public_key
        except SignatureRefused as refused:
            return refused.why
        return None


def read_ledger(runs: Path) -> tuple[bytes, bytes]:
    """Return the bytes of the ledger and of its signature, as one moment shows them. Raises OSError."""
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError):  # a folder that can only be read is nobody's to change
            descriptor = os.open(runs / ".ledger.lock", os.O_RDONLY)
            held.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        raw, signature = runs / NAME, runs / f"{NAME}.sig"
        return (raw.read_bytes() if raw.exists() else b""), (signature.read_bytes() if signature.exists() else b"")


def read_ledger_text(runs: Path) -> LedgerText:
    """Return what the ledger says, verified or not; nothing when it can't be read."""
    try:
        return LedgerText.of(read_ledger(runs)[0], runs / NAME)
    except (OSError, LedgerDamaged):
        return LedgerText()


def write_synced(path: Path, raw: bytes) -> None:
    """Write a file whole or not at all: a draft beside it, synced, takes its name. Raises OSError."""
    draft = path.with_name(f".{path.name}.draft")
    with draft.open("wb") as file:
        file.write(raw)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_folder(path.parent)


def _append(path: Path, line: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        size = os.fstat(descriptor).st_size
        try:
            rest = memoryview(line)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _not_ours(key: Path, trust: Trust, refused: SignatureRefused) -> RecordError:
    error = RecordError(
        f"What {key} signs does not verify: {refused.why}.",
        means=f"{trust.signers} does not let this key sign the ledger now; nothing is called sealed",
        todo="compare both: invoke keys list",
    )
    error.exit_code = 2
    return error


def _unusable(path: Path, error: OSError) -> RecordError:
    return RecordError(
        f"The ledger {path} can't be written: {error.strerror}.",
        means="without its line in the ledger a run has no evidence",
        todo="make room, or make the folder runs/ writable",
    )
