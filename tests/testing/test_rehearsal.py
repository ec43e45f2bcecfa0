from __future__ import annotations

import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from aurora.engine.execute import start_run
from aurora.engine.faults import RunbookError
from aurora.engine.prompts import Answer, Nobody, Prompt
from aurora.errors import UsageError
from aurora.journal import read_journal
from aurora.testing import Rehearsal, RehearsalError, outputs, passes, raises
from aurora.testing.rehearsal import PATIENCE

TWO = "steps: [{id: till, uses: shop.count, gate: open}, {id: look, confirm: Look around, timeout: 10m}]\n"


def test_a_rehearsal_leaves_a_real_journal_and_nothing_in_the_project(shop: Any) -> None:
    """Records go to the rehearsal's own folder, one a run; the project stays as it was."""
    shop.book(TWO)
    before = sorted(path.name for path in shop.root.rglob("*") if path.suffix != ".pyc" and path.name != "__pycache__")
    first = shop.rehearsal("day", steps={"till": passes()}, answers="all yes")
    second = shop.rehearsal("day", steps={"till": passes()}, answers="all yes")
    after = sorted(path.name for path in shop.root.rglob("*") if path.suffix != ".pyc" and path.name != "__pycache__")
    assert before == after
    assert first.folder != second.folder
    assert first.events == read_journal(first.folder / "journal.jsonl").events
    assert first.folder.is_relative_to(shop.folder)


def test_parameters_are_those_of_the_command_line(shop: Any) -> None:
    """Parameters have their defaults, are checked, and a wrong one refuses the run."""
    step = "{id: a, uses: shop.count, with: {till: '{{ params.n }}'}}"
    shop.book(f"  n: {{type: integer, default: 2, maximum: 9}}\nsteps: [{step}]\n")
    steps = {"a": lambda till: outputs(cash=till)}
    assert shop.rehearsal("day", steps=steps).calls("a")[0].arguments == {"till": 2}
    assert shop.rehearsal("day", params={"n": 3}, steps=steps).calls("a")[0].arguments == {"till": 3}
    for params in ({"n": 10}, {"n": "3"}, {"m": 1}):
        with pytest.raises(UsageError):
            shop.rehearsal("day", params=params, steps=steps)


def test_what_lint_refuses_is_not_rehearsed(shop: Any) -> None:
    """A rehearsal goes through lint: faults of the runbook, and of what it inlines, are raised."""
    shop.book("steps: [{id: a, uses: shop.count, gate: cahs > 1}]\n")
    with pytest.raises(RunbookError, match="no output 'cahs'"):
        shop.rehearsal("day", steps={"a": passes()})
    shop.book("steps: [{id: a, runbook: dya}]\n")
    with pytest.raises(RunbookError, match="no runbook 'dya'"):
        shop.rehearsal("day")
    shop.book("steps: [{id: a, uses: shop.count, colour: red}]\n")
    with pytest.raises(RunbookError, match="unknown key 'colour'"):
        shop.rehearsal("day")
    with pytest.raises(UsageError, match="no runbook 'dy'"):
        shop.rehearsal("dy")


def test_a_changed_runbook_is_read_again(shop: Any) -> None:
    """Runbooks are kept between rehearsals until their files change."""
    shop.book("steps: [{id: a, uses: shop.count}]\n")
    assert shop.rehearsal("day", steps={"*": passes()}).path == ["a"]
    shop.book("steps: [{id: a, uses: shop.count}, {id: b, uses: shop.ring}]\n")
    assert shop.rehearsal("day", steps={"*": passes()}).path == ["a", "b"]


def test_a_project_needs_no_profile(shop: Any) -> None:
    """A runbook without a profile is rehearsed without one; a sub-runbook may name its own."""
    (shop.root / "profiles/base.yaml").unlink()
    shop.write(
        "runbooks/day.yaml",
        """
    runbook: day
    title: A day
    steps: [{id: a, uses: shop.count, gate: cash > 2}]
    """,
    )
    assert shop.rehearsal("day", steps={"a": passes()}).gate("a").values == {"cash": "3"}


def test_the_clock_begins_where_the_test_says(shop: Any) -> None:
    """Each event has the rehearsal's own time, not the machine's."""
    shop.book("steps: [{id: a, uses: shop.count}]\n")
    run = shop.rehearsal("day", steps={"*": passes()}, start=datetime(2031, 5, 5, 9, 30, tzinfo=UTC))
    assert {event.ts for event in run.events} == {"2031-05-05T09:30:00.000000Z"}


def test_a_dry_run_calls_what_is_safe(shop: Any) -> None:
    """`dry_run` calls only the steps that a dry run calls."""
    shop.book("steps: [{id: a, uses: shop.count}, {id: b, uses: shop.deliver}, {id: c, confirm: Sure?}]\n")
    run = shop.rehearsal("day", steps={"*": passes()}, dry_run=True)
    assert (run.path, run.status["b"], run.status["c"]) == (["a"], "skipped", "skipped")


def test_waits_take_no_time(shop: Any) -> None:
    """The clock jumps over the wait before a retry, also while other steps go on."""
    shop.book("""
    steps:
      - {id: a, uses: shop.count, needs: [], retry: {max_attempts: 3, delay: 4m}}
      - {id: b, uses: shop.count, needs: [], retry: {max_attempts: 2, delay: 1m}}
      - {id: c, uses: shop.ring, needs: []}
    """)
    gone = raises(OSError("gone"))
    start = time.monotonic()
    run = shop.rehearsal("day", steps={"a": [gone, gone, passes()], "b": [gone, passes()], "c": passes()})
    assert run.outcome == "green"
    assert time.monotonic() - start < 60  # it waited a minute and four minutes, by its own clock
    started = [(event.data["step"], event.ts[11:16]) for event in run.events if event.type == "step.started"]
    assert started == [("a", "14:30"), ("b", "14:30"), ("c", "14:30"), ("b", "14:31"), ("a", "14:34"), ("a", "14:38")]


class Slow(Nobody):
    """A person who is there and never says a word."""

    def ask(self, prompt: Prompt) -> Answer | None:
        return None


def test_a_person_of_the_tests_own_runs_into_the_timeout(shop: Any) -> None:
    """Whoever answers later or never is waited for by the rehearsal's clock."""
    shop.book(TWO)
    run = shop.rehearsal("day", steps={"till": passes()}, answers=Slow("asleep"))
    assert (run.outcome, run.asked[0].reason) == ("declined", "timed out")
    assert run.end("look")["reason"] == "no answer: timed out"


def test_a_wait_without_an_end_ends_the_rehearsal(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A question without a timeout to a person who never answers would be waited for forever."""
    monkeypatch.setattr("aurora.testing.rehearsal.PATIENCE", 2)
    shop.book("steps: [{id: look, confirm: Look around}]\n")
    assert PATIENCE > 2
    with pytest.raises(RehearsalError, match="waits for something that never comes"):
        shop.rehearsal("day", answers=Slow("asleep"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"real": "till"}, "real is a list of step ids"),
        ({"real": ["till"], "steps": {"till": passes()}}, "'till' is mocked and said to be real"),
        ({"answers": {"lok": "yes"}}, "'lok', which is no step that asks"),
    ],
)
def test_a_rehearsal_that_contradicts_itself_is_refused(shop: Any, options: dict[str, Any], said: str) -> None:
    """What the test got wrong is said before anything runs, and leaves no record."""
    shop.book(TWO)
    with pytest.raises(RehearsalError, match=said):
        shop.rehearsal("day", **options)
    assert not list(shop.folder.rglob("journal.jsonl"))


def test_the_test_hears_of_its_own_mistake_whatever_the_engine_makes_of_it(
    shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine that took a RehearsalError for a step's error would not hide it."""

    def swallow(*arguments: Any, **options: Any) -> Any:
        try:
            return start_run(*arguments, **options)
        except RehearsalError:
            return Path(), "broken", 1

    shop.book("steps: [{id: a, uses: shop.count}]\n")
    monkeypatch.setattr("aurora.testing.rehearsal.start_run", swallow)
    with pytest.raises(RehearsalError, match="has no mock"):
        shop.rehearsal("day")


def test_nothing_stays_open(shop: Any) -> None:
    """A rehearsal gives every descriptor back, also when it ends with an error."""
    shop.book("steps: [{id: a, uses: shop.count}, {id: b, uses: shop.ring}]\n")
    shop.rehearsal("day", steps={"*": passes()})
    before = _open_descriptors()
    shop.rehearsal("day", steps={"*": passes()})
    with pytest.raises(RehearsalError):
        shop.rehearsal("day", steps={"a": passes()})
    assert _open_descriptors() == before


def _open_descriptors() -> Sequence[str]:
    return sorted(os.listdir("/dev/fd"))  # noqa: PTH208 - names, not paths that vanish with the listing


def test_a_project_may_be_named_by_its_root(shop: Any) -> None:
    """Outside pytest a rehearsal needs no more than a project's folder and a folder for records."""
    shop.book("steps: [{id: a, uses: shop.count}]\n")
    assert Rehearsal(shop.root, shop.folder / "more")("day", steps={"*": passes()}).outcome == "green"
