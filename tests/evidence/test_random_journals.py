"""Any events at all make a report: hypothesis writes journals that no engine would."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aurora.evidence.fold import _HANDLERS
from aurora.evidence.model import walk
from tests.evidence.journals import Book
from tests.evidence.test_report import Balance, rendered

IDS = st.sampled_from(
    ["a", "b", "c", "a/b", "a/b/c", "a[0]", "a[1]", "a[0]/b", "b/on_failure", "b/on_failure/x", "", "/", "]", "[0]"]
)
ODD = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=6) | st.just({"$float": "nan"}),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
STATUS = (
    st.sampled_from(
        [
            "passed",
            "red",
            "broken",
            "timed_out",
            "skipped",
            "omitted",
            "waived",
            "declined",
            "waiting",
            "unknown",
            "cancelled",
        ]
    )
    | ODD
)
GATE = st.fixed_dictionaries(
    {},
    optional={
        "check": st.text(max_size=9) | ODD,
        "severity": st.sampled_from(["blocking", "advisory"]) | ODD,
        "verdict": st.sampled_from(["pass", "red", "unknown"]) | ODD,
        "values": ODD,
        "message": ODD,
        "error": ODD,
    },
)
ENTRY = st.fixed_dictionaries(
    {"id": IDS},
    optional={
        "kind": st.sampled_from(["uses", "runbook", "confirm", "gate"]) | ODD,
        "title": ODD,
        "needs": st.lists(IDS, max_size=4) | ODD,
        "parent": IDS | ODD,
        "section": st.sampled_from(["steps", "finally", "on_failure"]) | ODD,
        "gates": st.lists(GATE, max_size=2) | ODD,
        "foreach": st.booleans(),
        "checklist": ODD,
        "effects": ODD,
        "if": ODD,
    },
)
DATA = st.fixed_dictionaries(
    {},
    optional={
        "step": IDS | ODD,
        "attempt": st.integers(0, 3) | ODD,
        "status": STATUS,
        "items": st.lists(ODD, max_size=3) | ODD,
        "plan": st.lists(ENTRY, max_size=8) | ODD,
        "with": ODD,
        "outputs": ODD,
        "gates": st.lists(GATE, max_size=2) | ODD,
        "error": ODD,
        "elapsed_s": ODD,
        "log": ODD,
        "artifacts": ODD,
        "simulated": ODD,
        "reason": ODD,
        "answers": ODD,
        "accepted": ODD,
        "checklist": ODD,
        "changes": ODD,
        "outcome": ODD,
        "exit_code": ODD,
        "requires": ODD,
        "params": ODD,
        "profile": ODD,
        "operator": ODD,
        "versions": ODD,
        "code": ODD,
        "inputs": ODD,
        "locks": ODD,
        "mode": ODD,
        "venue": ODD,
        "dry_run": ODD,
        "title": ODD,
        "bytes": ODD,
        "delay_s": ODD,
        "timeout_s": ODD,
        "prompt": ODD,
        "source": ODD,
        "by": ODD,
    },
)
EVENTS = st.lists(st.tuples(st.sampled_from(sorted(_HANDLERS)) | st.text(max_size=5), DATA), max_size=14)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example])
@given(EVENTS)
def test_any_events_make_a_report(events: list[tuple[str, dict[str, Any]]]) -> None:
    """No sequence of known events with any data in them makes the report raise, or its page fall apart."""
    lines = [
        {"seq": n, "ts": f"2026-11-23T14:00:{n:02d}.000000Z", "type": type_, "data": data}
        for n, (type_, data) in enumerate(events, start=1)
    ]
    _, markdown, html = rendered(lines)
    Balance(html)
    assert markdown


@settings(max_examples=100, deadline=None)
@given(st.lists(ODD | st.dictionaries(st.sampled_from(["seq", "prev", "ts", "type", "data"]), ODD), max_size=4))
def test_things_that_are_no_events_make_a_report(lines: list[Any]) -> None:
    """Lines without a type, a time or data are counted and said, and nothing more."""
    report, _, html = rendered(lines)
    Balance(html)
    assert report.outcome.key == "none"


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_each_step_stands_in_the_tree_once(data: st.DataObject) -> None:
    """However parents, sections and needs are told, no step is lost and none stands twice."""
    book = Book()
    ids = data.draw(st.lists(st.from_regex(r"[a-d](/[a-d]){0,3}", fullmatch=True), unique=True, max_size=12))
    for id_ in ids:
        parent = data.draw(st.sampled_from([*ids, None]))
        section = data.draw(st.sampled_from(["steps", "finally", "on_failure"]))
        book.entry(
            id_, id_, parent=parent, section=section, needs=data.draw(st.lists(st.sampled_from(ids), max_size=3))
        )
    book.open()
    report, _, html = rendered(book.events)
    assert sorted(step.id for step in walk(report.steps)) == sorted(ids)
    Balance(html)
