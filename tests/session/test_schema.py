from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from aurora.execution.router import Stage
from aurora.risk.tripwires import HoldKind
from aurora.session.phases import PHASES
from tests.session.conftest import SCHEMA, faults
from tests.session.test_loop import run


def test_schema_is_one() -> None:
    """The schema of a record's line is a valid JSON Schema 2020-12."""
    Draft202012Validator.check_schema(SCHEMA)


def test_schema_knows_every_word() -> None:
    """Kinds of HOLDs, stages of the door and phases of the loop are those of the code."""
    parts = SCHEMA["$defs"]
    assert parts["hold"]["properties"]["kind"]["enum"] == list(HoldKind)
    assert parts["decision"]["properties"]["stage"]["enum"] == list(Stage)
    assert tuple(parts["poll"]["properties"]["phase_times_ms"]["required"]) == PHASES


def drop(key: str) -> Callable[[dict[str, Any]], object]:
    """Return what takes a key away."""
    return lambda line: line.pop(key)


@pytest.mark.parametrize(
    "spoil",
    [
        drop("type"),
        drop("decisions"),
        drop("phase_times_ms"),
        lambda line: line.update(type="poke"),
        lambda line: line.update(more=1),
        lambda line: line.update(cash=1.5),
        lambda line: line.update(cash="NaN"),
        lambda line: line.update(at="yesterday"),
        lambda line: line["decisions"][0].update(stage="hope"),
        lambda line: line["decisions"][0].pop("reason"),
        lambda line: line["quotes"]["SPY"].update(bid=168.0),
        lambda line: line["phase_times_ms"].pop("risk"),
        lambda line: line["holds"].update(SPY=[]),
    ],
)
def test_line_that_is_off_is_found(tmp_path: Path, spoil: Callable[[dict[str, Any]], object]) -> None:
    """The schema finds a line that lacks something, has more, or says it in other words."""
    line = next(line for line in run(tmp_path).polls if line["decisions"])
    assert faults(json.dumps(line).encode()) == []
    spoil(line)
    assert faults(json.dumps(line).encode()) != []
