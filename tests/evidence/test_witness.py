"""Heads outside the machine: as they are written, found again in saved messages, and held against the ledger."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aurora.evidence.ledger import Head, read_ledger_text
from aurora.evidence.witness import Witnessed, desk_name, head_line, last_head, read_witness, witnesses_in
from tests.engine.kit import bound_steps
from tests.evidence.sealed import Records, codes

SHA = "ab" * 32


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    """A desk with one sealed run."""
    with bound_steps():
        records = Records(tmp_path / "project")
        records.run()
        yield records


def test_head_is_found_in_whatever_surrounds_it() -> None:
    """A head that was told is found again in a mail, a chat or a web page, and a broken one is none."""
    line = head_line("my desk/1", Head(12, SHA))
    assert line == f"aurora my-desk-1 12 {SHA}"
    for text in (line, f"> {line}.", f"<p>{line}</p>", f"two\n{line}\r\nthree"):
        assert list(witnesses_in(text)) == [Witnessed(12, SHA, None, "my-desk-1")], text
    for text in ("", f"aurora desk 12 {SHA[:-1]}", f"aurora desk 12 {SHA}0", f"aurora desk -1 {SHA}", "\0{[", '{"a":'):
        assert list(witnesses_in(text)) == [], text
    assert desk_name("   ") == "desk"


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"id": "x", "time": 1_795_200_000, "message": f"green\naurora d 3 {SHA}"}),
        json.dumps([{"created_at": "2026-11-20T18:40:00Z", "body": f"aurora d 3 {SHA}"}]),
        f"2026-11-20T18:40:00Z aurora d 3 {SHA}",
        f"[2026-11-20 18:40:00+00:00] aurora d 3 {SHA}",
        f'{{"time": 1}}\n{{"time": 1795200000, "message": "aurora d 3 {SHA}"}}\n',
    ],
)
def test_receipt_is_the_receivers_time(text: str) -> None:
    """Ntfy's `time`, GitHub's `created_at` and a stamp on the line say when a head was received."""
    assert list(witnesses_in(text)) == [Witnessed(3, SHA, datetime(2026, 11, 20, 18, 40, tzinfo=UTC), "d")]


@pytest.mark.parametrize(
    "text",
    [
        f"aurora d 3 {SHA}",
        f"2026-11-20T18:40:00 aurora d 3 {SHA}",
        f"from 2026-11-20T18:40:00Z to 2026-11-21T18:40:00Z aurora d 3 {SHA}",
        json.dumps({"at": "2026-11-20T18:40:00Z", "text": f"aurora d 3 {SHA}"}),
        json.dumps({"time": True, "text": f"aurora d 3 {SHA}"}),
        json.dumps({"time": 1e300, "text": f"aurora d 3 {SHA}"}),
    ],
)
def test_receipt_is_never_guessed(text: str) -> None:
    """A time without its zone, two times, our own time and nonsense are no receipt; the head counts all the same."""
    assert list(witnesses_in(text)) == [Witnessed(3, SHA, None, "d")]


def test_word_of_the_command_line() -> None:
    """SEQ:SHA256, with @ and a time that names its zone, or nothing."""
    assert read_witness(f"3:{SHA}") == Witnessed(3, SHA)
    assert read_witness(f"3:{SHA}@2026-11-20T19:40:00+01:00") == Witnessed(
        3, SHA, datetime(2026, 11, 20, 18, 40, tzinfo=UTC)
    )
    for word in ("", "3", f"3:{SHA[1:]}", f"3:{SHA}@", f"3:{SHA}@yesterday", f"3:{SHA}@2026-11-20T19:40:00"):
        assert read_witness(word) is None, word


def test_head_of_the_ledger_is_read_without_its_lock(records: Records) -> None:
    """The head of a ledger is that of its last whole line; no ledger, or one that can't be read, has none."""
    assert last_head(records.runs) == records.head()
    head = records.head()
    with records.ledger.open("ab") as file:
        file.write(b'{"torn')
    assert last_head(records.runs) == head
    records.ledger.write_bytes(b"x" * 100_000 + b"\n")
    assert last_head(records.runs) is None
    assert last_head(records.runs / "nowhere") is None


@pytest.mark.parametrize(
    ("seconds", "found"), [(0, set()), (119, set()), (-119, set()), (121, {"TIME_SKEW"}), (-121, {"TIME_SKEW"})]
)
def test_head_is_received_when_its_line_was_written(records: Records, seconds: int, found: set[str]) -> None:
    """A head that came more than two minutes after its line's own time, or before it, is a finding."""
    head = records.head()
    at = datetime.fromisoformat(read_ledger_text(records.runs).events[-1].ts) + timedelta(seconds=seconds)
    assert codes(records.verify(witnesses=[Witnessed(head.seq, head.sha256, at)])) == found


def test_message_that_nobody_can_read_witnesses_nothing(records: Records, tmp_path: Path) -> None:
    """A saved file that is nested without end holds no head, and says so."""
    saved = tmp_path / "saved.json"
    for text in ("[" * 100_000, '{"a":' * 100_000, "[" * 5_000 + "]" * 5_000):
        assert list(witnesses_in(text)) == []
        saved.write_text(text)
        done = records.lab.command("verify", "--witness-file", str(saved))
        assert (done.returncode, "holds no head of the desk" in done.stderr) == (2, True), done.stderr
