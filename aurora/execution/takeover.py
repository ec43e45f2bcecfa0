"""Taking an account's order journal over from the session that has it: ask it to stop, wait, then end its process.

A flatten needs the account for itself. The session's process holds the journal's lock for as long as it lives, and its
number is written in the lock; so whoever is signalled is the one that holds it.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

from aurora.clock import Clock
from aurora.errors import LockHeld
from aurora.execution.order_journal import Book, OrderJournal, holder

STOP_S = 15.0
"""What a session gets to cancel its orders and leave, after it was asked to stop."""
KILL_S = 5.0
LOOK_S = 0.05


def take_over(root: Path, book: Book, clock: Clock, say: Callable[[str], object]) -> OrderJournal:
    """Return the account's order journal of the day; a session that has it is asked to stop, and killed if it does not.

    `say` is told what is done. Raises LockHeld when the journal can't be had even so; RecordError, JournalDamaged.
    """
    for number, said, patience_s in (
        (signal.SIGTERM, "asked to stop", STOP_S),
        (signal.SIGKILL, "killed, since it did not stop", KILL_S),
    ):
        signalled: int | None = None
        gives_up = clock.monotonic() + patience_s
        while clock.monotonic() < gives_up:
            try:
                return OrderJournal.open(root, book, clock)
            except LockHeld:
                pid = holder(root, book)
            if pid is not None and pid != signalled:
                _signal(pid, number)
                say(f"the session of process {pid} was {said}")
                signalled = pid
            clock.sleep(LOOK_S)
    return OrderJournal.open(root, book, clock)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # gone just now, or another user's
        os.kill(pid, number)
