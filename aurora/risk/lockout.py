"""The lockout that outlives its session: `runlocks/MODE.lock`. While it stands, no session of the mode begins.

The circuit breaker writes it, and only a person lifts it, with a root cause, which is on record (trading rules 11, 23).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from aurora.clock import Clock, iso
from aurora.errors import OperatorError, SafetyStop
from aurora.journal import Journal, read_journal

SIMULATED = "simulated"
FOLDER = "runlocks"
RECORD = "record.jsonl"


@dataclass(frozen=True)
class Anomaly:
    """What locked a mode out: the anomaly in words, whose session it was, when, and on which venue ("" is unknown)."""

    reason: str
    session: str
    at: str
    venue: str = ""


class Lockout:
    """The lockout of one mode in a project: set* → stands → lift.

    A lock that can't be looked for, or read, stands: what can't be checked is not safe.
    """

    def __init__(self, project: Path, mode: str) -> None:
        self.mode = mode
        self.path = project / FOLDER / f"{mode}.lock"

    @property
    def stands(self) -> bool:
        """Return whether the mode is locked out, or nobody can tell."""
        try:
            self.path.lstat()
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return True

    def anomalies(self) -> list[Anomaly]:
        """Return what locked the mode out, the first one first; a line that is no anomaly is told as it stands."""
        try:
            lines = self.path.read_text("utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            return [Anomaly(f"{self.path} can't be read: {error.strerror}", "", "")]
        return [_read(line) for line in lines]

    def set(self, reason: str, session: str, at: datetime, venue: str = "") -> None:
        """Add an anomaly to the lock, on disk when this returns. Raises OSError when the disk refuses."""
        anomaly = {"reason": reason, "session": session, "at": iso(at), "venue": venue}
        line = json.dumps(anomaly).encode() + b"\n"
        self.path.parent.mkdir(exist_ok=True)
        with self._held(os.O_WRONLY | os.O_APPEND | os.O_CREAT) as descriptor:
            os.write(descriptor, line)
            os.fsync(descriptor)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def require_none(self) -> None:
        """Raise SafetyStop while the mode is locked out."""
        if self.stands:
            first = next(iter(self.anomalies()), Anomaly("nothing is written in it", "", ""))
            raise SafetyStop(
                f"The mode {self.mode} is locked out since {first.at or '(unknown)'}: {first.reason}",
                means=f"{FOLDER}/{self.path.name} stands; no {self.mode} session begins before it is lifted",
                todo="find the root cause, then: invoke unlock --root-cause TEXT [--issue N]",
            )

    @property
    def is_rehearsed(self) -> bool:
        """Return whether all that locked the mode out was on a simulated venue; what nobody knows was not."""
        found = self.anomalies()
        return bool(found) and all(anomaly.venue == SIMULATED for anomaly in found)

    def lift(
        self, root_cause: str, issue: int | None, by: str, clock: Clock, proof: Mapping[str, Any] | None = None
    ) -> list[Anomaly]:
        """Put the root cause on record, then take the lock away; return what it held.

        proof: the signed act: its `anomalies` must be those that the lock holds, and all of it goes on record.

        Raises OperatorError when there is no lock, or another anomaly came after `proof` was signed; RecordError when
        the record can't be written (the lock stands then).
        """
        try:
            with self._held(os.O_RDONLY):
                found = self.anomalies()
                reasons = [vars(anomaly) for anomaly in found]
                if proof is not None and proof["anomalies"] != reasons:
                    raise OperatorError(
                        "Another anomaly came while this was signed.", means="the lockout stands", todo="look once more"
                    )
                act = {
                    "mode": self.mode,
                    "root_cause": root_cause,
                    "issue": issue,
                    "by": by,
                    "anomalies": reasons,
                    **(proof or {}),
                }
                record_act(self.path.parent.parent, "unlocked", act, clock)
                self.path.unlink()
        except FileNotFoundError:
            raise OperatorError(f"The mode {self.mode} is not locked out.", todo="there is nothing to lift") from None
        return found

    def last_unlock(self) -> str:
        """Return when the mode was last unlocked, or "": what begins the high-water mark anew (trading rule 9)."""
        path = self.path.parent / RECORD
        events = read_journal(path).events if path.exists() else ()
        unlocks = [event.ts for event in events if event.type == "unlocked" and event.data["mode"] == self.mode]
        return unlocks[-1] if unlocks else ""

    @contextlib.contextmanager
    def _held(self, flags: int) -> Iterator[int]:
        """Hold the lock file against who else sets or lifts it, so that no anomaly is lifted that nobody has read."""
        while True:
            descriptor = os.open(self.path, flags, 0o644)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if self._is_there(descriptor):
                    yield descriptor
                    return
            finally:
                os.close(descriptor)

    def _is_there(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(self.path.lstat(), os.fstat(descriptor))
        except FileNotFoundError:
            return False


def record_act(project: Path, type_: str, data: dict[str, Any], clock: Clock) -> None:
    """Append what a person did (lifted a lockout, set or cleared the kill flag) to `runlocks/record.jsonl`."""
    path = project / FOLDER / RECORD
    path.parent.mkdir(exist_ok=True)
    with (path.parent / "record.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        journal = Journal.resume(path, clock)[0] if path.exists() else Journal.create(path, clock)
        with journal:
            journal.append(type_, data)


def _read(line: str) -> Anomaly:
    try:
        data = json.loads(line)
        return Anomaly(str(data["reason"]), str(data["session"]), str(data["at"]), str(data.get("venue", "")))
    except (ValueError, KeyError, TypeError):
        return Anomaly(line, "", "")
