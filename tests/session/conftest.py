"""Every record that a test of sessions leaves is held against the published schema."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from jsonschema import Draft202012Validator

from tests.trading import ROOT

SCHEMA = json.loads((ROOT / "aurora/schemas/session.schema.json").read_text())
_VALIDATOR = Draft202012Validator(SCHEMA)
_SEEN: set[bytes] = set()
"""Lines that were found valid, digits aside: what differs in digits only is as valid."""


def faults(line: bytes) -> list[str]:
    """Return what the schema finds wrong with a line of a record."""
    shape = re.sub(rb"\d", b"0", line)
    if shape in _SEEN:
        return []
    found = [f"{error.json_path}: {error.message}" for error in _VALIDATOR.iter_errors(json.loads(line))]
    if not found:
        _SEEN.add(shape)
    return found


@pytest.fixture(autouse=True)
def _every_line_is_valid(request: pytest.FixtureRequest) -> Iterator[None]:
    """Look at each record that the test left (the last line of a killed session may be cut)."""
    project = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    yield
    if project is not None:
        for record in project.rglob("session.jsonl"):
            for line in record.read_bytes().splitlines(keepends=True):
                if line.endswith(b"\n") and line.startswith(b'{"type":'):
                    assert faults(line) == [], line
