"""A run that goes on by a waiver after its seal: reopened on the ledger first, sealed once more (engine rule 12)."""

from __future__ import annotations

import hashlib
import json
import signal
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from aurora.evidence import signing
from aurora.evidence.ledger import read_ledger_text
from aurora.evidence.signing import Trust
from aurora.journal import line_of
from tests.engine.kit import bound_steps
from tests.evidence.sealed import Records, copy_of
from tests.evidence.test_sealing import killed_at


@pytest.fixture(scope="module")
def red(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Records]:
    """A desk with one run, sealed red."""
    with bound_steps():
        records = Records(tmp_path_factory.mktemp("red") / "project")
        records.run(good=False)
        assert records.found() == set()
        yield records


def waived(records: Records) -> Path:
    """Go on past the red step."""
    return records.resume(waive=["decide"], reason="known")


def outcome(folder: Path) -> str:
    """Return what the evidence says of a run."""
    return str(json.loads((folder / "evidence.json").read_bytes())["predicate"]["outcome"])


def test_the_second_seal_covers_the_first(red: Records, tmp_path: Path) -> None:
    """The ledger tells the whole story; the evidence of the red end is kept, still verifies, and is sealed with it."""
    records = copy_of(red, tmp_path / "desk")
    folder = waived(records)
    ledger = read_ledger_text(records.runs)
    assert [event.type for event in ledger.events] == ["run.opened", "run.sealed", "run.reopened", "run.sealed"]
    assert [event.data.get("outcome") for event in ledger.events[1::2]] == ["red", "amber"]
    assert records.found() == set()
    before = folder / "sealed-2"
    assert (outcome(before), outcome(folder)) == ("red", "amber")
    raw = (before / "evidence.json").read_bytes()
    assert hashlib.sha256(raw).hexdigest() == ledger.events[1].data["evidence"]
    at = datetime.fromisoformat(ledger.events[1].ts)
    signing.check(raw, (before / "evidence.json.sig").read_bytes(), Trust.of(records.runs), signing.RUN, at=at)
    (before / "evidence.json").write_bytes(raw.replace(b"red", b"ruby"))
    assert records.found() == {"SUBJECT_DIGEST"}


def test_until_it_ends_again_it_has_no_seal(red: Records, tmp_path: Path) -> None:
    """A run that was taken up again and killed is interrupted, not changed; the resume seals it."""
    records = copy_of(red, tmp_path / "desk")
    folder = waived(records)
    lines = (folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
    number = next(n for n, line in enumerate(lines, start=1) if b'"run.resumed"' in line)
    (folder / "journal.jsonl").write_bytes(b"".join(lines[:number]))
    raw = records.ledger.read_bytes().splitlines(keepends=True)
    records.sign_ledger(b"".join(raw[:3]))
    for name in ("evidence.json", "evidence.json.sig"):
        (folder / name).unlink()
    assert records.found() == {"INTERRUPTED"}
    records.resume()
    assert (records.found(), outcome(folder)) == (set(), "amber")


@pytest.mark.slow
def test_reopening_survives_a_kill_at_every_act(red: Records, tmp_path: Path) -> None:
    """SIGKILL at each write, sync and rename: no seal is false, and the waiver is given once more."""
    points = int(killed_at(copy_of(red, tmp_path / "whole"), 0, "reopen").stdout.split("points ")[1])
    assert points > 10
    for point in range(1, points + 1):
        records = copy_of(red, tmp_path / f"killed-{point}")
        assert killed_at(records, point, "reopen").returncode == -signal.SIGKILL, point
        folder = waived(records)
        assert (records.found(), outcome(folder)) == (set(), "amber"), (point, records.verify().findings)
        assert outcome(folder / next(path.name for path in folder.glob("sealed-*"))) == "red"


@pytest.mark.parametrize("line", ["run.reopened", "run.sealed", "run.opened"])
def test_a_line_that_can_not_be_is_found(red: Records, tmp_path: Path, line: str) -> None:
    """Sealed twice, opened twice, or reopened after it was: somebody with the key wrote what did not happen."""
    records = copy_of(red, tmp_path / "desk")
    ledger = read_ledger_text(records.runs)
    raw = records.ledger.read_bytes()
    data = {**ledger.events[1].data} if line == "run.sealed" else {"run": ledger.events[0].data["run"]}
    times = 2 if line == "run.reopened" else 1
    for _ in range(times):
        lines = raw.splitlines(keepends=True)
        prev, ts = hashlib.sha256(lines[-1]).hexdigest(), ledger.events[-1].ts
        raw += line_of(len(lines) + 1, prev, ts, line, data)
    records.sign_ledger(raw)
    assert "LEDGER_CHAIN" in records.found()
