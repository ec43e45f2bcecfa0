"""The examples of the runbook language: each is run, each keyword of the schema has one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from aurora.engine.document import read_document
from aurora.engine.schema import runbook_schema
from tests.docs.blocks import Block, blocks
from tests.engine.kit import Lab

PAGE = "runbook-examples.md"
EXAMPLES = blocks(PAGE, "yaml")
(STEPS,) = blocks(PAGE)
ALL: Any = object()
"""Stands for a value that has every keyword."""


def claims(block: Block) -> dict[str, str]:
    """Return what the comments at the top of an example say: `run`, and `ends`, `refused`, `steps`, or `file`."""
    return dict(re.findall(r"^# (\w+): (.*)$", block.text, re.MULTILINE))


def text(block: Block) -> str:
    """Return an example as the file that it stands for."""
    return block.text if re.search(r"^runbook:", block.text, re.MULTILINE) else f"runbook: example\n{block.text}"


RUN = [block for block in EXAMPLES if "run" in claims(block)]


@pytest.fixture
def desk(lab: Lab) -> Lab:
    """A project with the page's steps, and with the runbooks that the page gives a file name."""
    lab.write("steps/desk.py", STEPS.text)
    lab.write("pyproject.toml", '[tool.aurora]\ncalendars = "aurora.market.calendar:CALENDARS"\n')
    for block in EXAMPLES:
        if "file" in claims(block):
            lab.write(claims(block)["file"], text(block))
    return lab


@pytest.mark.parametrize("block", RUN, ids=lambda block: f"line {block.line}")
def test_an_example_does_what_it_says(desk: Lab, block: Block) -> None:
    """The command at the top of an example ends as stated there: outcome, code and statuses, or why it is refused."""
    said = claims(block)
    desk.write("runbooks/example.yaml", text(block))
    program, *words = said["run"].split()
    assert program == "invoke"
    done = desk.command(*words)
    if "refused" in said:
        assert (done.returncode, said["refused"] in done.stdout + done.stderr) == (2, True), done.stdout + done.stderr
        assert not list(desk.root.glob("runs/2*"))
        return
    assert list(desk.root.glob("runs/2*")), done.stdout + done.stderr
    ran = desk.last()
    outcome, _, code = said["ends"].partition(", exit ")
    assert (ran.state.outcome, done.returncode) == (outcome, int(code or 0)), done.stdout + done.stderr
    statuses = ran.statuses
    for pair in filter(None, said.get("steps", "").split(", ")):
        step, status = pair.split()
        assert (step, statuses.get(step)) == (step, status)


def test_each_keyword_has_an_example(tmp_path: Path) -> None:
    """A keyword of the language that no example uses is not documented."""
    used: set[str] = set()
    for number, block in enumerate(EXAMPLES):
        assert {"run", "file"} & claims(block).keys(), f"the example in line {block.line} says neither run nor file"
        path = tmp_path / f"{number}.yaml"
        path.write_text(text(block))
        used.update(keywords(runbook_schema(), "runbook", read_document(path, str(path)).data))
    assert sorted(set(keywords(runbook_schema(), "runbook", ALL)) - used) == []


def test_a_keyword_without_an_example_would_be_found() -> None:
    """What the test above compares: every keyword of the schema, at whatever depth, and those that a value has."""
    every = set(keywords(runbook_schema(), "runbook", ALL))
    assert {"runbook.finally", "param.items.pattern", "gate.severity", "step.retry.on", "step.on_failure.with"} <= every
    few = {"steps": [{"id": "a", "gate": [{"check": "true"}]}], "params": {"x": {"items": {"type": "string"}}}}
    found = {"runbook.steps", "runbook.params", "step.id", "step.gate", "gate.check", "param.items", "param.items.type"}
    assert set(keywords(runbook_schema(), "runbook", few)) == found


def keywords(schema: Mapping[str, Any], owner: str, value: Any, inside: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the keywords that `value` has, each behind the part of the schema that it belongs to."""
    if "$ref" in schema:
        owner = schema["$ref"].rpartition("/")[2]
        if owner in inside and value is ALL:
            return
        schema, inside = runbook_schema()["$defs"][owner], (*inside, owner)
    for key, inner in schema.get("properties", {}).items():
        if value is ALL or (isinstance(value, dict) and key in value):
            yield f"{owner}.{key}"
            yield from keywords(inner, f"{owner}.{key}", ALL if value is ALL else value[key], inside)
    for part, kind in (("additionalProperties", dict), ("items", list)):
        if isinstance(schema.get(part), dict) and (value is ALL or isinstance(value, kind)):
            found = [ALL] if value is ALL else value.values() if isinstance(value, dict) else value
            for each in found:
                yield from keywords(schema[part], owner, each, inside)
    for branch in (*schema.get("oneOf", ()), *schema.get("anyOf", ())):
        yield from keywords(branch, owner, value, inside)
