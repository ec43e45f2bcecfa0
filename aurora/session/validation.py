"""Holds a session's record against its published JSON Schema: each line, and the order that they stand in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aurora.errors import OperatorError

SCHEMA = Path(__file__).parents[1] / "schemas" / "session.schema.json"
MOST = 20
"""Faults that are listed; a record that is wrong in each line says so with these."""

_OPENED, _CLOSED = "session.opened", "session.closed"


@dataclass(frozen=True)
class RecordCheck:
    """Whether a record is what its schema says. faults: the first of what is wrong, by line; lines: how many it has."""

    valid: bool
    faults: list[str]
    lines: int
    recording: str


def validate_record(path: Path, name: str) -> RecordCheck:
    """Validate the record at `path`, called `name` in what is said. Raises OperatorError when it can't be read."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise OperatorError(
            f"{name} can't be read: {error.strerror}.",
            means="nothing is known of that session; its record is not validated",
            todo="name the recording that a session wrote: .../session.jsonl",
        ) from error
    lines = raw.splitlines(keepends=True)
    faults = []
    for fault in _faults(lines):
        faults.append(fault)
        if len(faults) == MOST:
            break
    return RecordCheck(not faults, faults, len(lines), name)


def _faults(lines: list[bytes]) -> Iterator[str]:
    if not lines:
        yield "it is empty"
        return
    valid = _Validator()
    types = []
    for number, line in enumerate(lines, 1):
        if not line.endswith(b"\n"):
            yield f"line {number}: it was not written whole"
            return
        try:
            entry = json.loads(line, parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            yield f"line {number}: {error if isinstance(error, UnicodeDecodeError) else 'no JSON'}"
            continue
        types.append(entry.get("type") if isinstance(entry, dict) else None)
        yield from (f"line {number}: {fault}" for fault in valid.faults(line, entry))
    if types[:1] != [_OPENED] or types.count(_OPENED) != 1:
        yield f"it does not begin with one {_OPENED}"
    if types[-1:] != [_CLOSED] or types.count(_CLOSED) != 1:
        yield f"it does not end with one {_CLOSED}: the session was killed, or goes on"
    numbers = [entry["n"] for line in lines if (entry := _poll(line))]
    if numbers != list(range(1, len(numbers) + 1)):
        yield "its polls are not numbered from 1 without a gap"


class _Validator:
    """Keeps the shapes that were found valid: polls are alike, and the schema asks of a number its sign only."""

    def __init__(self) -> None:
        from jsonschema import Draft202012Validator  # noqa: PLC0415 - lint imports the steps, few of them validate

        self._schema = Draft202012Validator(json.loads(SCHEMA.read_text("utf-8")))
        self._seen: set[bytes] = set()

    def faults(self, line: bytes, entry: Any) -> list[str]:
        """Return what is wrong with a line."""
        shape = re.sub(rb"[1-9]", b"1", line)  # 0 stays: some numbers begin at 1
        if shape in self._seen:
            return []
        found = [f"{error.json_path}: {error.message}"[:300] for error in self._schema.iter_errors(entry)]
        if not found and isinstance(entry, dict) and entry.get("type") != _OPENED:  # which holds a version
            self._seen.add(shape)
        return found


def _poll(line: bytes) -> Any:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) and entry.get("type") == "poll" and "n" in entry else None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
