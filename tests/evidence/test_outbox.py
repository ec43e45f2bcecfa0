from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from aurora.evidence.ledger import Head
from aurora.evidence.outbox import Announcement, Outbox, announcement_of
from tests.engine.kit import ROOT

AT = datetime(2026, 11, 20, 20, tzinfo=UTC)


def announced(seq: int, what: str = "sealed") -> Announcement:
    """Return an announcement of a head."""
    return announcement_of(what, Head(seq, "ab" * 32), AT, run=f"r{seq}", runbook="b", profile="p", outcome="green")


def test_what_is_put_is_sent_in_its_order(tmp_path: Path) -> None:
    """Heads leave in the order of the ledger, whatever order they were put in."""
    outbox = Outbox(tmp_path)
    for seq in (10, 2, 9):
        outbox.put(announced(seq))
    assert [found for _, found in outbox.unsent()] == [announced(2), announced(9), announced(10)]


def test_empty_outbox_has_nothing(tmp_path: Path) -> None:
    """A project that never announced anything has nothing to send, and no folder is made for it."""
    outbox = Outbox(tmp_path)
    with outbox.sending() as mine:
        assert mine
    assert (outbox.unsent(), outbox.folder.exists()) == ([], False)


def test_what_can_not_be_read_is_told_apart(tmp_path: Path) -> None:
    """A file that was changed or cut is nothing to send, and is not lost either."""
    outbox = Outbox(tmp_path)
    outbox.put(announced(1))
    (path, _), *_ = outbox.unsent()
    whole = path.read_text()
    for text in (
        "",
        "{",
        "[]",
        "{}",
        whole.replace("1", '"1"', 1),
        whole.replace('"b"', "7"),
        whole.replace("2026", "x"),
    ):
        path.write_text(text)
        assert outbox.unsent() == [(path, None)], text


def test_only_one_process_sends(tmp_path: Path) -> None:
    """Two runs that end at once do not announce each other's heads twice."""
    outbox = Outbox(tmp_path)
    outbox.put(announced(1))
    code = (
        "import sys; from pathlib import Path; from aurora.evidence.outbox import Outbox\n"
        "with Outbox(Path(sys.argv[1])).sending() as mine: print(mine)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with outbox.sending() as mine:
        other = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert (mine, other.stdout.strip()) == (True, "False")
    assert not (outbox.folder.stat().st_mode & 0o077)
