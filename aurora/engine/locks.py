"""Locks: one run a group at a time, held by the process (flock), so a crash can't leave one behind (engine rule 16)."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from aurora.clock import iso
from aurora.errors import LockHeld, RecordError, ResumeRefused

PATIENCE_S = 15.0
"""How long a resume waits for the steps of a killed engine; their wardens end them within the steps' grace."""


class Locks(AbstractContextManager["Locks"]):
    """Holds `names` for `run` until closed.

    A lock's file names the run that took it. The name is wiped only by `finish`, so that a run which was interrupted
    goes on blocking its group until it is resumed or cancelled.
    """

    def __init__(self, folder: Path, names: Sequence[str], run: str, is_unfinished: Callable[[str], bool]) -> None:
        self._folder = folder
        self._names = sorted(set(names))  # always in one order: two runs can't wait for each other
        self._run = run
        self._is_unfinished = is_unfinished
        self._held: list[int] = []

    def __enter__(self) -> Locks:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for name in self._names:
                self._take(name)
        except OSError as error:
            self._release()
            raise _unusable(self._folder, error) from error
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._release()

    def _take(self, name: str) -> None:
        descriptor = os.open(self._folder / f"{name.replace('/', '_')}.lock", os.O_RDWR | os.O_CREAT, 0o644)
        self._held.append(descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise self._refusal(name, _holder(descriptor)) from None
        holder = _holder(descriptor)
        other = holder.get("run")
        if other and other != self._run and self._is_unfinished(other):
            raise LockHeld(
                f"The run {other} of the group {name!r} is not finished (it was interrupted, or waits).",
                means="a second run of the group could act on the same account twice; nothing was run",
                todo=f"go on with it: invoke resume {other}   or end it: invoke cancel {other}",
            )
        note = {"run": self._run, "pid": os.getpid(), "since": iso(datetime.now(UTC))}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(note).encode(), 0)

    def _refusal(self, name: str, holder: dict[str, Any]) -> LockHeld:
        return LockHeld(
            f"The group {name!r} is held by the run {holder.get('run', '(unknown)')}, process {holder.get('pid', '?')},"
            f" since {holder.get('since', '?')}.",
            means="two runs of a group would act on the same account; nothing was run",
            todo="wait until it ends, or stop it with Ctrl-C where it runs",
        )

    def finish(self) -> None:
        """Wipe the run's name from its locks: it is over and blocks nobody."""
        for descriptor in self._held:
            with contextlib.suppress(OSError):  # then the run's journal says that it is over
                os.ftruncate(descriptor, 0)

    def _release(self) -> None:
        for descriptor in self._held:
            os.close(descriptor)
        self._held = []


def _holder(descriptor: int) -> dict[str, Any]:
    try:
        note = json.loads(os.pread(descriptor, 4096, 0) or b"{}")
    except ValueError:
        return {}
    return note if isinstance(note, dict) else {}


def holder_of(folder: Path, name: str) -> int:
    """Return the process id that holds the lock `name` now; 0 when nobody does."""
    try:
        descriptor = os.open(folder / f"{name.replace('/', '_')}.lock", os.O_RDONLY)
    except FileNotFoundError:
        return 0
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return int(_holder(descriptor).get("pid", -1))
    finally:
        os.close(descriptor)
    return 0


def blocking(folder: Path, name: str, is_unfinished: Callable[[str], bool]) -> str:
    """Return in words which run holds the lock `name`, or blocks its group since it is not finished; else nothing."""
    try:
        descriptor = os.open(folder / f"{name.replace('/', '_')}.lock", os.O_RDONLY)
    except FileNotFoundError:
        return ""
    run = str(_holder(descriptor).get("run", ""))
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return f"{name} is held by {run or 'a run'}"
    finally:
        os.close(descriptor)
    return f"{name} is blocked by {run}, which is not finished" if run and is_unfinished(run) else ""


def working_file(folder: Path, run: str) -> Path:
    """Return the file that the workers of `run` lock while they live, made if it is not there. Raises RecordError."""
    path = folder / f"working:{run}.lock"
    try:
        path.touch(0o644)
    except OSError as error:
        raise _unusable(folder, error) from error
    return path


def wait_for_workers(path: Path, run: str, patience: float = PATIENCE_S) -> None:
    """Wait until no worker of a killed engine lives any more; only then is what its step did what it will have done.

    Raises ResumeRefused when `patience` seconds were not enough.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        end = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > end:
                    break
            time.sleep(0.02)
    finally:
        os.close(descriptor)
    raise ResumeRefused(
        f"A step of the run {run} is still at work, {patience:g} s after its engine was killed.",
        means="nobody can say yet what it will have done; nothing was run",
        todo=f"wait until its process ends, or end it (fuser {path} names it), then resume",
    )


def _unusable(folder: Path, error: OSError) -> RecordError:
    return RecordError(
        f"The locks in {folder} can't be used: {error.strerror}.",
        means="nothing was run",
        todo="make room, or make the folder runs/ writable",
    )
