"""What a journal says of a run: the fold over its events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from aurora.engine.state import RunState, StepState, outcome_of, stale_finally
from aurora.journal import Event


def folded(*events: tuple[str, Mapping[str, Any]], plan: list[dict[str, Any]] | None = None) -> RunState:
    """Return the state after a run was opened and `events` came."""
    opened = Event(1, "2026-11-22T14:30:00.000000Z", "run.opened", {"plan": plan or []})
    return RunState.of([opened, *(Event(2 + n, "", type_, data) for n, (type_, data) in enumerate(events))])


def started(step: str = "a", attempt: int = 1) -> tuple[str, dict[str, Any]]:
    """Return the event of a start."""
    return "step.started", {"step": step, "attempt": attempt, "with": {"n": attempt}}


def finished(step: str = "a", status: str = "passed", attempt: int = 1, **more: Any) -> tuple[str, dict[str, Any]]:
    """Return the event of an end."""
    return "step.finished", {"step": step, "attempt": attempt, "status": status, "outputs": None, "gates": [], **more}


def entry(step: str, section: str = "steps", parent: str | None = None) -> dict[str, Any]:
    """Return an entry of a plan."""
    return {"id": step, "section": section, "parent": parent}


def test_step_that_no_event_names_is_pending() -> None:
    """A step is pending until an event says otherwise."""
    step = folded().step("a")
    assert (step.status, step.over, step.unsettled, step.attempt) == ("pending", False, False, 0)


def test_started_step_is_unsettled_until_its_end_is_on_record() -> None:
    """Engine rule 18: started and not finished means that nobody knows."""
    assert folded(started()).step("a").unsettled
    end = folded(started(), finished(outputs={"n": 1})).step("a")
    assert (end.over, end.unsettled, end.outputs, end.arguments) == (True, False, {"n": 1}, {"n": 1})


def test_step_between_two_attempts_is_pending_and_remembers_its_failure() -> None:
    """A step that waits for its next attempt is not unsettled; what it failed of is known until that attempt starts."""
    retrying = ("step.retrying", {"step": "a", "attempt": 1, "status": "broken", "error": {"type": "X"}, "delay_s": 1})
    between = folded(started(), retrying).step("a")
    assert (between.status, between.attempt, between.over) == ("pending", 1, False)
    assert between.failure is not None
    assert between.failure["status"] == "broken"
    again = folded(started(), retrying, started(attempt=2)).step("a")
    assert (again.status, again.attempt, again.failure) == ("running", 2, None)


def test_expanded_step_is_under_way() -> None:
    """A `foreach` step is running from its expansion to its end, also while no item is."""
    step = folded(("step.expanded", {"step": "a", "items": [1, 2]}), started("a[0]"), finished("a[0]")).step("a")
    assert (step.status, step.items) == ("running", [1, 2])


def test_end_of_the_run_is_its_own_word() -> None:
    """Outcome and exit code are those of `run.finished`; before it there are none."""
    state = folded(("run.finished", {"outcome": "red", "exit_code": 3, "elapsed_s": 1}))
    assert (state.outcome, state.exit_code) == ("red", 3)
    assert folded().outcome is None


def test_unknown_events_change_nothing() -> None:
    """An event of a type that this version does not know is passed over."""
    assert folded(("step.dreamt", {"step": "a"})).steps == {}


@pytest.mark.parametrize(
    ("statuses", "outcome"),
    [
        ([], "green"),
        (["passed", "skipped", "omitted"], "green"),
        (["passed", "waived"], "amber"),
        (["waived", "cancelled"], "cancelled"),
        (["cancelled", "declined"], "declined"),
        (["declined", "red"], "red"),
        (["red", "broken", "passed"], "broken"),
        (["timed_out"], "broken"),
        (["unknown"], "broken"),
    ],
)
def test_outcome_is_the_worst_of_the_steps(statuses: list[str], outcome: str) -> None:
    """Engine rules 8 and 11: the outcome of a run is the worst of its steps."""
    assert outcome_of(StepState(status) for status in statuses) == outcome
    assert outcome_of(StepState(status) for status in reversed(statuses)) == outcome


def test_advisory_red_and_undecided_gates_are_amber() -> None:
    """Engine rule 8: a gate of a passed step that is not a pass makes the run amber, as does an undecided dry run."""
    assert outcome_of([StepState("passed", gates=[{"verdict": "red"}])]) == "amber"
    assert outcome_of([StepState("passed", gates=[{"verdict": "unknown"}])]) == "amber"
    assert outcome_of([StepState("passed", gates=[{"verdict": "pass"}])]) == "green"
    assert outcome_of([StepState("skipped", simulated=True)]) == "amber"
    assert outcome_of([StepState("skipped")]) == "green"


# ── `finally` after an interruption (rule 9, and "Decided here" 1) ───────────────────────────────────────────────────
PLAN = [
    entry("a"),
    entry("sub"),
    entry("sub/x"),
    entry("sub/f", "finally", "sub"),
    entry("b"),
    entry("b/on_failure", "on_failure", "b"),
    entry("b/on_failure/y", "steps", "b/on_failure"),
    entry("f", "finally"),
    entry("g", "finally"),
    entry("g/z", "steps", "g"),
]
ENDS = frozenset(["f", "g", "g/z"])


@pytest.mark.parametrize(
    ("statuses", "stale"),
    [
        ({}, ENDS | {"sub/f"}),
        ({"a": "passed", "sub": "running"}, ENDS | {"sub/f"}),
        ({"a": "passed", "sub": "running", "sub/x": "passed"}, ENDS),
        ({"a": "passed", "sub": "passed", "sub/x": "passed"}, ENDS),
        ({"a": "passed", "sub": "passed", "sub/x": "passed", "b": "passed"}, set()),
        ({"a": "passed", "sub": "passed", "sub/x": "passed", "b": "red"}, ENDS),
        ({"a": "passed", "sub": "passed", "sub/x": "passed", "b": "red", "b/on_failure": "red"}, set()),
    ],
    ids=["nothing done", "inside", "inside done", "one left", "all done", "failure path due", "failure path done"],
)
def test_finally_is_stale_while_its_runbook_has_work_left(statuses: dict[str, str], stale: set[str]) -> None:
    """Engine rule 9: what `finally` did early does not cover what comes after; where nothing comes, it stands."""
    assert stale_finally(PLAN, {step: StepState(status) for step, status in statuses.items()}) == stale


def test_failure_path_of_a_finally_step_does_not_make_it_stale() -> None:
    """A failure path still due for a `finally` step is the end going on, not work that the end must follow."""
    plan = [entry("a"), entry("f", "finally"), entry("f/on_failure", "on_failure", "f")]
    assert stale_finally(plan, {"a": StepState("passed"), "f": StepState("red")}) == set()


def test_resumed_run_forgets_a_stale_finally_but_not_its_attempts() -> None:
    """A `finally` that runs once more gets a new idempotency token, and its earlier attempts do not count as tries."""
    plan = [entry("a"), entry("f", "finally"), entry("q", "finally")]
    early = [
        started("f"),
        finished("f"),
        ("step.expanded", {"step": "q", "items": [1]}),
        started("q[0]"),
        ("run.resumed", {"cancel": ""}),
    ]
    state = folded(started("a"), *early, plan=plan)
    assert (state.step("f").status, state.step("f").attempt, state.step("f").tries) == ("pending", 1, 0)
    assert (state.step("q").status, state.step("q").items) == ("pending", None)
    assert (state.step("q[0]").status, state.step("q[0]").attempt) == ("pending", 1)
    assert state.step("a").status == "running"


def test_cancelling_keeps_what_finally_has_done() -> None:
    """A run that goes on only to be cancelled has nothing left that its `finally` would have to follow."""
    plan = [entry("a"), entry("f", "finally")]
    state = folded(started("f"), finished("f"), ("run.resumed", {"cancel": "no more"}), plan=plan)
    assert state.step("f").status == "passed"


def test_a_skipped_sub_runbook_of_a_finally_stays_skipped_on_resume() -> None:
    """Its steps never ran, so none of them has an end to take back: it is not opened after all."""
    plan = [
        {"id": "a", "kind": "uses", "parent": None, "section": "steps"},
        {"id": "bye", "kind": "runbook", "parent": None, "section": "finally"},
        {"id": "bye/x", "kind": "uses", "parent": "bye", "section": "steps"},
        {"id": "bye/y", "kind": "uses", "parent": "bye", "section": "finally"},
    ]
    state = folded(
        ("run.opened", {"plan": plan}), finished("a"), finished("bye", "skipped"), ("run.resumed", {"cancel": ""})
    )
    assert state.step("bye").status == "skipped"
