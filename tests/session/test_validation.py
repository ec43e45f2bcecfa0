from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aurora.errors import OperatorError
from aurora.session.validation import MOST, RecordCheck, validate_record
from tests.steps.support import call

Change = Callable[[list[dict[str, Any]]], Any]


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the record of a session that went well."""
    root = tmp_path_factory.mktemp("session")
    result = call("session.paper", root, symbols=["SPY"], steps=30)
    return Path(root / result.recording).read_bytes()


def check(folder: Path, raw: bytes) -> RecordCheck:
    """Validate a record with these bytes; it lies where no other test looks for records."""
    path = folder / "changed.jsonl"
    path.write_bytes(raw)
    return validate_record(path, "changed.jsonl")


def test_what_a_session_wrote_is_valid(tmp_path: Path, record: bytes) -> None:
    """The step says of a session's own record that it is valid, with how many lines it has."""
    result = call("session.shadow", tmp_path, symbols=["SPY", "TSLA"], steps=20)
    found = call("session.validate", tmp_path, recording=result.recording)
    assert (found.valid, found.faults) == (True, [])
    assert check(tmp_path, record).lines == record.count(b"\n")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: lines[5].pop("n"), "line 6: $: 'n' is a required property"),
        (lambda lines: lines[5].update(more=1), "line 6: $: Additional properties"),
        (lambda lines: lines[5].update(n="6"), "line 6: $.n"),
        (lambda lines: lines[5].update(type="pole"), "line 6: $.type"),
        (lambda lines: lines[0].update(format=2), "line 1: $"),
        (lambda lines: lines[7].update(n=lines[7]["n"] + 1), "not numbered"),
        (lambda lines: lines.pop(7), "not numbered"),
        (lambda lines: lines.pop(0), "does not begin"),
        (lambda lines: lines.pop(), "does not end"),
        (lambda lines: lines.append(lines[-1]), "does not end with one"),
        (lambda lines: lines.insert(3, lines[0]), "does not begin with one"),
        (lambda lines: lines.clear(), "empty"),
    ],
)
def test_a_record_of_another_form_is_not_valid(change: Change, said: str, tmp_path: Path, record: bytes) -> None:
    """A missing or foreign field, another type, a line too few or too many: named, by line."""
    lines = [json.loads(line) for line in record.splitlines()]
    change(lines)
    found = check(tmp_path, b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    assert not found.valid
    assert any(said in fault for fault in found.faults), found.faults


@pytest.mark.parametrize(
    ("tail", "said"),
    [
        (b'{"type": "poll"', "not written whole"),
        (b"{\n", "no JSON"),
        (b"[]\n", "not of type 'object'"),
        (b'{"type": "poll", "n": NaN}\n', "no JSON"),
        (b"\xff\xfe\n", "decode"),
        (b"[" * 100_000 + b"\n", "no JSON"),
    ],
)
def test_bytes_that_are_no_line_are_not_valid(tail: bytes, said: str, tmp_path: Path, record: bytes) -> None:
    """A torn line, NaN, and what is no JSON at all are faults and no traceback."""
    found = check(tmp_path, record + tail)
    assert not found.valid
    assert any(said in fault for fault in found.faults), found.faults


def test_faults_are_bounded(tmp_path: Path) -> None:
    """A file of something else is not listed line for line."""
    found = check(tmp_path, b"nothing\n" * 5000)
    assert (found.valid, len(found.faults), found.lines) == (False, MOST, 5000)


def test_a_record_that_is_not_there_is_said(tmp_path: Path) -> None:
    """What can't be read is an operator's error with what to do."""
    with pytest.raises(OperatorError) as caught:
        validate_record(tmp_path / "none.jsonl", "none.jsonl")
    assert "none.jsonl can't be read" in caught.value.diagnostics()
