"""`docs/life-of-a-run.md`, held to what the engine does."""

from __future__ import annotations

import ast
import re

import pytest

from aurora.engine.exits import _CODES, INTERRUPTED, WAITING
from tests.docs.blocks import ROOT, blocks
from tests.engine.kit import Lab, Ran

PAGE = "life-of-a-run.md"
TEXT = (ROOT / "docs" / PAGE).read_text("utf-8")
EVENT = re.compile(r"(run|step|prompt|journal|act|ledger)\.[a-z]+(?<!\.jsonl)")
ROWS = re.findall(r"^\| `([a-z.]+)` \| ?(\w*) ?\| (\d), (?:`([a-z.]+)` ?(\w*)|none) \|", TEXT, re.MULTILINE)


@pytest.fixture
def green(lab: Lab) -> Ran:
    """The page's run."""
    (steps,) = blocks(PAGE)
    (book,) = blocks(PAGE, "yaml")
    lab.write("steps/desk.py", steps.text)
    lab.write("runbooks/day.yaml", book.text)
    lab.write("yes.yaml", "sure: yes\n")
    done = lab.command("runbook", "day", "--answers", "yes.yaml")
    assert done.returncode == 0, done.stderr
    return lab.last()


def test_the_events_are_those_of_the_table(green: Ran) -> None:
    """A green run writes the events of the table, in its order, and leaves the files that the page names."""
    assert [(event.type, event.data.get("step", "")) for event in green.events] == [row[:2] for row in ROWS]
    assert {path.name for path in green.folder.iterdir()} == {
        *("inputs", "journal.jsonl", "report.md", "report.html", "evidence.json", "evidence.json.sig")
    }


@pytest.mark.slow
def test_a_crash_at_each_event(green: Ran, lab: Lab) -> None:
    """Cut behind each event, as a kill there leaves it, the run is resumed as its row says."""
    path = green.folder / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    for number, (_, _, code, event, step) in enumerate(ROWS, start=1):
        path.write_bytes(b"".join(lines[:number]))
        done = lab.command("resume", "last")
        new = [(each.type, each.data.get("step", "")) for each in green.events[number:]]
        assert (done.returncode, new[:2]) == (int(code), [("run.resumed", ""), (event, step)] if event else [])


def test_before_the_first_event_and_in_the_middle_of_one(green: Ran, lab: Lab) -> None:
    """Without a first event there is nothing to resume; a torn line is moved aside, and what it said was not done."""
    path = green.folder / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"")
    done = lab.command("resume", "last")
    assert (done.returncode, "remove the folder" in done.stderr) == (1, True)
    path.write_bytes(b"".join(lines[:3]) + lines[3][:40])
    assert lab.command("resume", "last").returncode == 0
    assert [event.type for event in green.events[3:6]] == ["journal.recovered", "run.resumed", "step.started"]
    assert (green.folder / "journal.jsonl.torn-4").read_bytes() == lines[3][:40]


def test_cancel_runs_only_what_is_left_of_finally(green: Ran, lab: Lab) -> None:
    """A cancelled run runs `finally`; what became of a step that was under way stays unknown."""
    green.cut_after("step.started", "sent")
    assert lab.command("cancel", "last", "--reason", "enough").returncode == 1
    assert green.statuses == {"quotes": "passed", "sure": "passed", "sent": "unknown", "closed": "passed"}


def test_every_event_is_named() -> None:
    """The page and docs/journal.md name exactly the events that the engine writes."""
    written = set()
    for module in [*(ROOT / "aurora/engine").glob("*.py"), ROOT / "aurora/journal.py"]:
        for node in ast.walk(ast.parse(module.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and EVENT.fullmatch(node.value):
                written.add(node.value)
    assert set(re.findall(r"^\| `([a-z]+\.[a-z]+)` \|", TEXT, re.MULTILINE)) - {"journal.jsonl"} == written
    journal = (ROOT / "docs/journal.md").read_text("utf-8")
    assert set(re.findall(r"^\| `([a-z]+\.[a-z]+)` \|", journal, re.MULTILINE)) == written


def test_every_exit_code_is_explained() -> None:
    """The table of exit codes has each code that a run can end with, beside its outcome."""
    rows = dict(re.findall(r"^\| (\d) \| (.*) \|$", TEXT, re.MULTILINE))
    assert {outcome for outcome, code in _CODES.items() if outcome not in rows[str(code)]} == set()
    assert set(rows) == {str(code) for code in (*_CODES.values(), 2, 3, WAITING, INTERRUPTED)}
