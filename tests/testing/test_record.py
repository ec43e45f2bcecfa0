from __future__ import annotations

from typing import Any

import pytest

from aurora.testing import Mock, RehearsalError, outputs, passes, raises

PASS: dict[str, Mock] = {"*": passes(), "till": passes(cash=6)}
DAY = """
steps:
  - id: till
    uses: shop.count
    gate:
      - cash > profile.limit
      - {check: open, severity: advisory, message: closed}
  - {id: inner, runbook: opening}
  - {id: check, gate: steps.till.cash > 1}
  - {id: never, if: run.dry_run, uses: shop.ring}
  - {id: look, confirm: Look, checklist: [Left, Right]}
  - {id: sale, uses: shop.deliver}
finally:
  - {id: bell, uses: shop.ring}
"""


@pytest.fixture
def book(shop: Any) -> Any:
    """The shop with a runbook that has a step of every kind."""
    shop.book("steps: [{id: till, uses: shop.count, foreach: [1, 2]}]\n", "opening")
    shop.book(DAY)
    return shop


def test_the_path_is_what_began_in_order(book: Any) -> None:
    """Steps that were started, asked, or decided a gate; no holders of others, nothing skipped or omitted."""
    run = book.rehearsal("day", steps=PASS, answers="all yes")
    assert run.path == ["till", "inner/till[0]", "inner/till[1]", "check", "look", "sale", "bell"]
    run = book.rehearsal("day", steps=PASS, answers={"look": "no"})
    assert run.path == ["till", "inner/till[0]", "inner/till[1]", "check", "look", "bell"]
    run = book.rehearsal("day", steps={**PASS, "till": outputs(cash=0, open=True)})
    assert run.path == ["till", "bell"]


def test_each_step_of_the_plan_has_a_status(book: Any) -> None:
    """Statuses come in the plan's order, the items of a foreach behind them."""
    run = book.rehearsal("day", steps=PASS, answers={"look": "no"})
    assert run.status == {
        "till": "passed",
        "inner": "passed",
        "inner/till": "passed",
        "check": "passed",
        "never": "skipped",
        "look": "declined",
        "sale": "omitted",
        "bell": "passed",
        "inner/till[0]": "passed",
        "inner/till[1]": "passed",
    }


def test_a_gate_is_found_by_text_or_number(book: Any) -> None:
    """A gate has its verdict, its severity, its message and the values that it saw."""
    run = book.rehearsal("day", steps={**PASS, "till": outputs(cash=6, open=False)}, answers="all yes")
    gate = run.gate("till", "open")
    assert (gate.red, gate.passed, gate.severity, gate.message) == (True, False, "advisory", "closed")
    assert run.gate("till", 0).passed
    assert run.gate("till", 0).values == {"cash": "6", "profile.limit": "5"}
    assert run.gate("check").check == "steps.till.cash > 1"
    assert len(run.gates("till")) == 2
    assert run.outcome == "amber"


def test_a_gate_of_a_dry_run_may_be_unknown(shop: Any) -> None:
    """A gate that a dry run could not decide neither passed nor is red."""
    shop.book("steps: [{id: sale, uses: shop.deliver, gate: number == 1}]\n")
    gate = shop.rehearsal("day", dry_run=True).gate("sale")
    assert (gate.unknown, gate.passed, gate.red) == (True, False, False)


@pytest.mark.parametrize(
    ("step", "check", "said"),
    [
        ("till", None, "has several gates: 'cash > profile.limit', 'open'"),
        ("till", "opne", "has no gate 'opne': 'cash > profile.limit', 'open'"),
        ("till", 2, "has no gate 2"),
        ("sale", None, "No gate of 'sale' was looked at: it was omitted"),
        ("sael", None, r"day has no step 'sael'; did you mean 'sale'\?"),
    ],
)
def test_a_gate_that_is_not_there_is_no_pass(book: Any, step: str, check: Any, said: str) -> None:
    """Asking for a gate or a step that is not there raises, and names what is."""
    run = book.rehearsal("day", steps=PASS, answers={"look": "no"})
    with pytest.raises(RehearsalError, match=said):
        run.gate(step, check)


def test_outputs_and_calls_are_typed(book: Any) -> None:
    """Outputs are what the step returns, arguments what its function takes; a step that did not run has neither."""
    run = book.rehearsal("day", steps={**PASS, "till": raises(OSError("x"))})
    assert run.outputs("till") is None
    assert run.outputs("inner") is None
    assert run.calls("sale") == []
    run = book.rehearsal("day", steps={**PASS, "sale": outputs(number=4)}, answers="all yes")
    assert run.outputs("sale").number == 4
    assert len(run.outputs("inner/till")) == 2
    (call,) = run.calls("sale")
    assert (call.attempt, call.arguments) == (1, {})
    assert call.token.endswith(":sale:1")
    assert run.end("look")["status"] == "passed"
    with pytest.raises(RehearsalError):
        run.calls("sael")


def test_questions_come_in_order_with_what_came_of_them(book: Any) -> None:
    """A question has its text, its lines, and whether the answer was a yes."""
    run = book.rehearsal("day", steps=PASS)
    (question,) = run.asked
    assert (question.step, question.prompt, question.checklist) == ("look", "Look", ("Left", "Right"))
    assert (question.accepted, question.reason) == (False, "no terminal")


def test_a_run_says_in_one_line_what_went_wrong(book: Any) -> None:
    """When an assertion fails, pytest shows why the run ended as it did."""
    run = book.rehearsal("day", steps={**PASS, "till": outputs(cash=0, open=True)})
    assert str(run) == "day: red, exit 3; till red (cash > profile.limit)"
    run = book.rehearsal("day", steps={**PASS, "till": raises(OSError("gone"))})
    assert repr(run) == "day: broken, exit 1; till broken (OSError: gone)"
    run = book.rehearsal("day", steps=PASS)
    assert repr(run) == "day: declined, exit 5; look declined (no answer: no terminal)"
