"""What is wrong with a run, from its journal."""

from __future__ import annotations

from typing import Any

from aurora.alerts.github import Occurrence
from aurora.alerts.occurrence import occurrence_of
from aurora.journal import Event

OPENED = {"runbook": "b", "run": "r", "mode": "paper", "venue": "simulated", "profile": {"name": "sim"}}


def gate(check: str, verdict: str = "red", severity: str = "blocking", value: str = "1") -> dict[str, Any]:
    """Return a gate's end."""
    return {
        "check": check,
        "severity": severity,
        "verdict": verdict,
        "values": {"n": value},
        "message": None,
        "error": None,
    }


def found(*ends: tuple[str, str, list[dict[str, Any]]]) -> Occurrence | None:
    """Return what is wrong with a run in which these steps ended."""
    events = [Event(1, "now", "run.opened", OPENED)]
    for step, status, gates in ends:
        events.append(Event(2, "now", "step.finished", {"step": step, "status": status, "gates": gates, "error": None}))
    return occurrence_of(events)


def test_nothing_wrong_is_nothing() -> None:
    """A green run, an advisory red and a skipped step are no reason for an issue."""
    assert found(("a", "passed", [gate("n > 1", severity="advisory")]), ("b", "skipped", [])) is None


def test_the_fingerprint_is_of_what_not_of_how_much() -> None:
    """Other values and another order are the same thing; another gate, step or status is another."""
    one = found(("a", "red", [gate("n > 1")]), ("b", "broken", []))
    same = found(("b", "broken", []), ("a", "red", [gate("n > 1", value="7")]))
    assert one is not None
    assert same is not None
    assert one.fingerprint == same.fingerprint
    for other in (found(("a", "red", [gate("n > 2")]), ("b", "broken", [])), found(("a", "red", [gate("n > 1")])),
                  found(("a", "red", [gate("n > 1")]), ("b", "red", []))):  # fmt: skip
        assert other is not None
        assert other.fingerprint != one.fingerprint


def test_a_sub_runbook_is_red_for_what_is_red_in_it() -> None:
    """The step inside is named, not the container around it."""
    one = found(("p/x", "red", [gate("n > 1")]), ("p", "red", []))
    assert one is not None
    assert one.title == "b: p/x not green"


def test_the_last_end_of_a_step_counts() -> None:
    """A step that was red and then, resumed, passed, is well."""
    assert found(("a", "red", [gate("n > 1")]), ("a", "passed", [])) is None
