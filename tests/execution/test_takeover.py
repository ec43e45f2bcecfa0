from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aurora.clock import SystemClock
from aurora.errors import JournalWriteError, LockHeld
from aurora.execution import takeover
from aurora.execution.order_journal import OrderJournal, holder
from aurora.execution.takeover import take_over
from aurora.market.order import Side
from tests.execution.venue_on_disk import BOOK
from tests.trading import ROOT, make_order

SESSION = """
import signal, sys, time
from pathlib import Path
from aurora.clock import SystemClock
from aurora.execution.order_journal import OrderJournal
from tests.execution.venue_on_disk import BOOK
ends = []
signal.signal(signal.SIGTERM, lambda *_: ends.append(1) if sys.argv[2] == "ends" else None)
orders = OrderJournal.open(Path(sys.argv[1]), BOOK, SystemClock())
print("open", flush=True)
while not ends:
    time.sleep(0.02)
"""


@contextmanager
def session(project: Path, manner: str) -> Iterator[subprocess.Popen[str]]:
    """Run a process that holds the account's journal, and ends when it is asked to, or does not."""
    command = [sys.executable, "-c", SESSION, str(project), manner]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "open\n"
            yield process
        finally:
            process.kill()


def test_free_account_is_taken_at_once(tmp_path: Path) -> None:
    """Without a session nobody is signalled, and a dead one's number in the lock is no process to stop."""
    said: list[str] = []
    take_over(tmp_path, BOOK, SystemClock(), said.append).close()
    assert holder(tmp_path, BOOK) is None
    take_over(tmp_path, BOOK, SystemClock(), said.append).close()
    assert said == []


def test_session_is_asked_to_stop_first(tmp_path: Path) -> None:
    """A session that ends when it is asked to has its time to cancel its orders, and is not killed."""
    said: list[str] = []
    with session(tmp_path, "ends") as process:
        assert holder(tmp_path, BOOK) == process.pid
        take_over(tmp_path, BOOK, SystemClock(), said.append).close()
        assert process.wait(10) == 0
    assert said == [f"the session of process {process.pid} was asked to stop"]


def test_session_that_does_not_stop_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that hangs does not stand between the trader and the exit."""
    monkeypatch.setattr(takeover, "STOP_S", 0.3)
    said: list[str] = []
    with session(tmp_path, "hangs") as process:
        take_over(tmp_path, BOOK, SystemClock(), said.append).close()
        assert process.wait(10) == -signal.SIGKILL
    assert said[-1] == f"the session of process {process.pid} was killed, since it did not stop"


def test_account_that_can_not_be_had_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the lock stays held by nobody that can be found, it is refused by name; nothing is taken for free."""
    monkeypatch.setattr(takeover, "STOP_S", 0.1)
    monkeypatch.setattr(takeover, "KILL_S", 0.1)
    with session(tmp_path, "hangs"):
        (tmp_path / "orders" / BOOK.folder_name / "held.lock").write_text("")
        with pytest.raises(LockHeld, match=BOOK.folder_name):
            take_over(tmp_path, BOOK, SystemClock(), lambda _: None)


def test_unrecorded_journal_counts_and_keeps_nothing() -> None:
    """Trading rule 5: where no disk takes the journal, the way out goes on, and what would open is refused."""
    orders = OrderJournal.unrecorded(JournalWriteError("the disk is full"))
    orders.intend(make_order("f-1", Side.SELL), opens=False, held=5, must=False)
    assert orders.day.open_refs() == ["f-1"]
    assert orders.broken is not None
    with pytest.raises(JournalWriteError):
        orders.intend(make_order("f-2"), opens=True, held=0)
    orders.close()
