"""Locks: one run a group at a time, held by the process (flock), so a crash can't leave one behind (engine rule 16)."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from aurora.clock import iso
from aurora.errors import LockHeld, RecordError


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
            raise RecordError(
                f"The locks in {self._folder} can't be used: {error.strerror}.",
                means="nothing was run",
                todo="make the folder runs/ writable",
            ) from error
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
