"""Whatever is changed in a file of a sealed run, or in the ledger, verify finds it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine.kit import bound_steps
from tests.evidence.sealed import Records


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Records]:
    """A desk with two sealed runs."""
    with bound_steps():
        records = Records(tmp_path_factory.mktemp("tampered") / "project")
        records.run()
        records.run(good=False)
        assert not records.found()
        yield records


@st.composite
def tampering(draw: st.DrawFn, raw: bytes) -> bytes:
    """Return the bytes with one flipped, a line gone, two lines swapped, cut off somewhere, or with some more."""
    lines = raw.splitlines(keepends=True)
    kind = draw(st.sampled_from(["flip", "delete", "swap", "truncate", "append"]))
    if kind == "flip":
        index = draw(st.integers(0, len(raw) - 1))
        return raw[:index] + bytes([raw[index] ^ draw(st.integers(1, 255))]) + raw[index + 1 :]
    if kind == "delete":
        del lines[draw(st.integers(0, len(lines) - 1))]
    elif kind == "swap":
        one, other = draw(st.integers(0, len(lines) - 1)), draw(st.integers(0, len(lines) - 1))
        lines[one], lines[other] = lines[other], lines[one]
    elif kind == "truncate":
        return raw[: draw(st.integers(0, len(raw) - 1))]
    else:
        return raw + draw(st.binary(min_size=1, max_size=40))
    return b"".join(lines)


def sealed_files(records: Records) -> list[Path]:
    """Return the files of every sealed run, and the ledger."""
    return [*(path for path in sorted(records.runs.glob("2*/**/*")) if path.is_file()), records.ledger]


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_change_of_any_file_is_found(records: Records, data: st.DataObject) -> None:
    """Each single-byte flip, deletion, swap, truncation and addition, in every file, is found by `verify` of all."""
    path = data.draw(st.sampled_from(sealed_files(records)), label="file")
    raw = path.read_bytes()
    changed = data.draw(tampering(raw), label="tampering")
    try:
        path.write_bytes(changed)
        assert bool(records.found()) == (changed != raw)
    finally:
        path.write_bytes(raw)


def test_each_line_of_journal_and_ledger_matters(records: Records) -> None:
    """Every line that is deleted, swapped with the next, or cut after, in every journal and the ledger, is found."""
    for path in [*records.runs.glob("2*/journal.jsonl"), records.ledger]:
        raw = path.read_bytes()
        lines = raw.splitlines(keepends=True)
        try:
            for number in range(len(lines)):
                before, line, after = lines[:number], lines[number], lines[number + 1 :]
                for changed in (before + after, before, before + after[:1] + [line] + after[1:]):
                    path.write_bytes(b"".join(changed))
                    assert bool(records.found()) == (changed != lines), (path.name, number)
        finally:
            path.write_bytes(raw)


def test_a_time_that_is_none_is_a_finding_like_any_other(records: Records) -> None:
    """A ledger whose seal has no time that can be read is told as changed, and breaks nothing."""
    raw = records.ledger.read_bytes()
    try:
        for line in range(4):
            lines = raw.splitlines(keepends=True)
            lines[line] = lines[line].replace(b'"ts":"2', b'"ts":"x')
            records.ledger.write_bytes(b"".join(lines))
            assert "LEDGER_SIGNATURE" in records.found()
    finally:
        records.ledger.write_bytes(raw)


@pytest.mark.parametrize("name", ["evidence.json", "evidence.json.sig", "journal.jsonl", "report.md"])
def test_what_is_no_file_is_none(records: Records, name: str) -> None:
    """A pipe in a file's place is found at once: verify waits for nobody to write into it."""
    path = min(records.runs.glob(f"2*/{name}"))
    raw = path.read_bytes()
    path.unlink()
    try:
        os.mkfifo(path)
        assert records.found() & {"EVIDENCE_MISSING", "SUBJECT_DIGEST"}
        assert records.found(path.parent.name) & {"EVIDENCE_MISSING", "SUBJECT_DIGEST"}
    finally:
        path.unlink()
        path.write_bytes(raw)


def test_evidence_that_is_nested_too_deep_is_found(records: Records) -> None:
    """Evidence that no reader reads is a finding, and keeps no other run from being verified."""
    path = min(records.runs.glob("2*/evidence.json"))
    raw = path.read_bytes()
    try:
        path.write_bytes(b"[" * 100_000)
        assert records.found() == {"SIGNATURE", "EVIDENCE_NOT_SEALED"}
    finally:
        path.write_bytes(raw)
