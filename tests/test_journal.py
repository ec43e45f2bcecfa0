"""The journal: chained lines, torn tails, damage, and a disk that refuses."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aurora.clock import ManualClock
from aurora.errors import JournalDamaged, JournalWriteError, RecordError
from aurora.journal import FIRST, Journal, read_journal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a journal of three lines lies."""
    path = tmp_path / "journal.jsonl"
    with Journal.create(path, ManualClock(datetime(2026, 11, 22, 14, 30, tzinfo=UTC))) as journal:
        for number in range(3):
            journal.append("test.event", {"number": number, "text": "é" * 40})
    return path


def numbers(path: Path) -> list[int]:
    """Return the numbers of the events in the journal."""
    return [event.data["number"] for event in read_journal(path).events if event.type == "test.event"]


def test_each_line_names_the_one_above(path: Path) -> None:
    """`prev` is the SHA-256 of the line above, newline included; `seq` counts from 1; `ts` is UTC with microseconds."""
    head = FIRST
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True), start=1):
        event = json.loads(line)
        assert list(event) == ["seq", "prev", "ts", "type", "data"]
        assert (event["seq"], event["prev"], event["ts"]) == (number, head, "2026-11-22T14:30:00.000000Z")
        head = hashlib.sha256(line).hexdigest()
    assert read_journal(path).head == head


def test_money_and_times_are_text(tmp_path: Path) -> None:
    """Decimal, times and paths are written as text; what JSON can't hold, NaN included, is refused unwritten."""
    with Journal.create(tmp_path / "j") as journal:
        now = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
        event = journal.append("e", {"money": Decimal("1.10"), "at": now, "path": Path("a/b"), "kept": 1.5})
        assert event.data == {"money": "1.10", "at": "2026-01-02T03:04:05.000006Z", "path": "a/b", "kept": 1.5}
        with pytest.raises(TypeError, match="can't hold a object"):
            journal.append("e", {"thing": object()})
        with pytest.raises(ValueError, match="not JSON compliant"):
            journal.append("e", {"number": float("nan")})
        journal.append("e", {"number": 2})
    assert [event.seq for event in read_journal(tmp_path / "j").events] == [1, 2]


def test_event_is_masked_before_it_is_written(tmp_path: Path) -> None:
    """Engine rule 24: masking is done by the single writer; what `append` returns is what the disk holds."""
    with Journal.create(tmp_path / "j", mask=lambda data: {"masked": sorted(data)}) as journal:
        event = journal.append("e", {"password": "hunter2"})
    assert event.data == {"masked": ["password"]} == read_journal(tmp_path / "j").events[0].data
    assert b"hunter2" not in (tmp_path / "j").read_bytes()


def test_event_is_on_disk_when_append_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event is synced before `append` returns, unless it announces no action; then the next one syncs both."""
    synced: list[int] = []
    monkeypatch.setattr("aurora.journal._sync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    with Journal.create(tmp_path / "j") as journal:
        journal.append("a", {})
        first = (tmp_path / "j").stat().st_size
        journal.append("b", {}, sync=False)
        assert synced == [first]
        journal.append("c", {})
        assert synced == [first, (tmp_path / "j").stat().st_size]


def test_file_of_another_run_is_never_written_over(path: Path) -> None:
    """A journal is created exclusively: a file that is there already is refused and keeps its bytes."""
    before = path.read_bytes()
    with pytest.raises(JournalWriteError, match="File exists"):
        Journal.create(path)
    assert path.read_bytes() == before


# ── Torn and damaged ─────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    "tail",
    [b'{"seq":4,"prev":"', b'{"seq":4}\n', b"\0" * 5_000, b"\r", b"\xff\xfe\xfa", b"[" * 100_000, b"[1]\n", b"\n"],
    ids=["half", "no event", "NUL", "CR", "not UTF-8", "deep", "list", "empty line"],
)
def test_torn_last_line_is_moved_aside(path: Path, tail: bytes) -> None:
    """Engine rule 20: the bytes of a torn last line are kept beside the journal, cut and announced; the run goes on."""
    whole = path.read_bytes()
    path.write_bytes(whole + tail)
    torn = read_journal(path)
    assert (len(torn.events), torn.torn, torn.whole_bytes) == (3, tail, len(whole))
    journal, events = Journal.resume(path)
    with journal:
        assert events[-1].type == "journal.recovered"
        assert events[-1].data == {"bytes": len(tail), "saved_as": "journal.jsonl.torn-4"}
        assert (path.parent / events[-1].data["saved_as"]).read_bytes() == tail
        journal.append("test.event", {"number": 3})
    assert path.read_bytes().startswith(whole)
    assert numbers(path) == [0, 1, 2, 3]


def test_line_cut_anywhere_is_torn(path: Path) -> None:
    """Engine rule 20: wherever the last line was cut, its newline included, the lines before it are whole."""
    whole = path.read_bytes()
    start = whole.rindex(b"\n", 0, -1) + 1
    for end in range(start, len(whole)):
        path.write_bytes(whole[:end])
        text = read_journal(path)
        assert (len(text.events), text.torn) == (2, whole[start:end])
    path.write_bytes(whole[:start])
    assert read_journal(path).torn == b""


def test_line_torn_twice_is_kept_twice(path: Path) -> None:
    """Engine rule 20: a second crash at the same line does not write over what the first one left."""
    for tail in (b"first", b"second", b"third"):
        path.write_bytes(path.read_bytes() + tail)
        with Journal.resume(path)[0]:
            pass
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[:-1]))  # the crash came before the announcement was on disk
    kept = [(path.parent / f"journal.jsonl.torn-4{end}").read_bytes() for end in ("", "-2", "-3")]
    assert kept == [b"first", b"second", b"third"]


def test_whole_journal_is_resumed_as_it_is(path: Path) -> None:
    """Nothing is written to a journal only because it was opened again."""
    before = path.read_bytes()
    journal, events = Journal.resume(path)
    journal.close()
    assert (len(events), path.read_bytes()) == (3, before)
    assert [each.name for each in path.parent.iterdir()] == ["journal.jsonl"]


def damaged(raw: bytes) -> dict[str, bytes]:
    """Return copies of a journal of three lines, each damaged in its own way before its last line."""
    lines = raw.splitlines(keepends=True)
    forged = json.loads(lines[1])
    forged["data"]["number"] = 7
    return {
        "flipped byte": raw.replace(b'"number":1', b'"number":9'),
        "middle dropped": lines[0] + lines[2],
        "first dropped": lines[1] + lines[2],
        "swapped": lines[1] + lines[0] + lines[2],
        "doubled": lines[0] + lines[0] + lines[1] + lines[2],
        "forged": lines[0] + json.dumps(forged, separators=(",", ":")).encode() + b"\n" + lines[2],
        "not JSON": lines[0] + b"{]\n" + lines[2],
        "NUL inside": lines[0] + b"\0" * len(lines[1]) + b"\n" + lines[2],
        "CR inside": lines[0] + lines[1].replace(b"\n", b"\r\n") + lines[2],
        "last line wrong": raw.replace(b'{"seq":3', b'{"seq":4'),
        "last line of another": lines[0] + lines[1] + lines[2].replace(lines[2][17:27], b"0123456789"),
        "seq is text": raw.replace(b'{"seq":1', b'{"seq":"1"'),
    }


@pytest.mark.parametrize("how", list(damaged(b"{}\n{}\n{}\n".replace(b"{}", b'{"data":{"number":1}}'))))
def test_damage_is_not_gone_on_with(path: Path, how: str) -> None:
    """Engine rule 20: a line that does not follow the one above is damage (exit 8), and nothing is written or cut."""
    raw = damaged(path.read_bytes())[how]
    path.write_bytes(raw)
    with pytest.raises(JournalDamaged, match="does not follow") as caught:
        Journal.resume(path)
    assert caught.value.exit_code == 8
    assert "restore" in caught.value.diagnostics()
    assert path.read_bytes() == raw
    assert [each.name for each in path.parent.iterdir()] == ["journal.jsonl"]


def test_missing_journal_is_a_record_error(tmp_path: Path) -> None:
    """A journal that can't be read is said in words, with exit 1."""
    with pytest.raises(RecordError, match="can't be read: No such file") as caught:
        read_journal(tmp_path / "none")
    assert caught.value.exit_code == 1


# ── A disk that refuses ──────────────────────────────────────────────────────────────────────────────────────────────
def failing(monkeypatch: pytest.MonkeyPatch, name: str, after: int = 0) -> None:
    """Make `os.write` write `after` bytes and fail, or the sync fail."""
    write = os.write

    def refuse(descriptor: int, data: Any = b"") -> int:
        if name == "write" and after and len(data) > after:
            return write(descriptor, bytes(data)[:after])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.write" if name == "write" else "aurora.journal._sync", refuse)


@pytest.mark.parametrize(("name", "after"), [("write", 0), ("write", 20), ("sync", 0)])
def test_refused_line_leaves_nothing_behind(path: Path, monkeypatch: pytest.MonkeyPatch, name: str, after: int) -> None:
    """A line that the disk refused is cut off again, and the journal takes no other: the engine must stop."""
    before = path.read_bytes()
    journal, _ = Journal.resume(path)
    with journal:
        failing(monkeypatch, name, after)
        with pytest.raises(JournalWriteError, match="No space left on device") as caught:
            journal.append("test.event", {"number": 3, "text": "x" * 100})
        assert "invoke resume" in caught.value.diagnostics()
        monkeypatch.undo()
        assert path.read_bytes() == before
        with pytest.raises(JournalWriteError, match="could not be written before"):
            journal.append("test.event", {"number": 4})
    assert path.read_bytes() == before
    with Journal.resume(path)[0] as again:
        again.append("test.event", {"number": 3})
    assert numbers(path) == [0, 1, 2, 3]


WRITER = """
import resource, signal, sys
from pathlib import Path
from aurora.errors import JournalWriteError
from aurora.journal import Journal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))
journal = Journal.create(Path(sys.argv[1]))
try:
    for number in range(1_000):
        journal.append("test.event", {"number": number})
except JournalWriteError as error:
    print(number, error)
"""


def test_full_disk_in_a_real_process(tmp_path: Path) -> None:
    """What the kernel itself refuses half way through a line is cut off, and all lines before it are whole."""
    path = tmp_path / "j"
    done = subprocess.run([sys.executable, "-c", WRITER, path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    written, _, message = done.stdout.partition(" ")
    assert "can't be written: File too large" in message
    assert numbers(path) == list(range(int(written)))
    assert read_journal(path).torn == b""
    assert path.stat().st_size > 1_500
