from __future__ import annotations

import re
from collections.abc import Callable
from types import FunctionType
from typing import Any

import pytest

import aurora.testing
from aurora.testing import Rehearsal
from tests.docs.blocks import ROOT, blocks

PAGE = "testing-runbooks.md"
NAMES: dict[str, Any] = {}
for block in blocks(PAGE):
    exec(block.code, NAMES)
TESTS = {name: thing for name, thing in NAMES.items() if isinstance(thing, FunctionType) and name.startswith("test_")}


@pytest.mark.parametrize("name", TESTS)
def test_the_examples_pass(rehearsal: Rehearsal, name: str) -> None:
    """Each example of the page is a test that passes in this project."""
    test: Callable[[Rehearsal], None] = TESTS[name]
    test(rehearsal)


def test_there_are_examples() -> None:
    """The page is not empty, and each block that defines tests was found."""
    assert len(TESTS) == sum(f"\n{block.text}".count("\ndef test_") for block in blocks(PAGE)) >= 8


def test_each_name_is_explained() -> None:
    """What `aurora.testing` offers to write in a test stands on the page."""
    text = (ROOT / "docs" / PAGE).read_text()
    functions = [name for name in aurora.testing.__all__ if name[0].islower()]
    assert [name for name in functions if not re.search(rf"`{name}\(", text)] == []


def test_each_question_to_a_run_is_explained() -> None:
    """What can be asked of a rehearsed run stands on the page."""
    text = (ROOT / "docs" / PAGE).read_text()
    public = [name for name in vars(aurora.testing.RehearsedRun) if not name.startswith("_")]
    fields = aurora.testing.RehearsedRun.__dataclass_fields__
    left_out = {"state", "step", "runbook", "all_calls", "functions"}  # for the few who look deeper
    assert {name for name in {*public, *fields} if f"`run.{name}" not in text} - left_out == set()
