from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from aurora.engine.registry import Verdict
from aurora.testing import RehearsalError, dies, outputs, passes, raises, real, red, times_out

ONE = "steps: [{id: till, uses: shop.count, timeout: 5s, gate: [cash > 1, open]}]\n"
SALE = "steps: [{id: sale, uses: shop.sell, with: {item: bread}, timeout: 5s, gate: number == 7}]\n"


def test_outputs_go_the_way_that_a_steps_own_go(shop: Any) -> None:
    """What a mock returns is encoded, journaled, decoded by the step's return type and judged by the real gates."""
    shop.book(ONE)
    run = shop.rehearsal("day", steps={"till": outputs(cash="1.5", open=True)})
    assert run.outcome == "green"
    assert run.outputs("till").cash == Decimal("1.5")
    assert run.end("till")["outputs"] == {"cash": "1.5", "notes": [], "open": True, "clerk": "Ada"}
    assert shop.rehearsal("day", steps={"till": outputs(cash=1, open=True)}).gate("till", 0).red


def test_a_value_or_a_function_may_stand_for_a_step(shop: Any) -> None:
    """A dataclass is returned as it is; a function gets the step's arguments, and the context if it asks for it."""
    from aurora.engine.functions import FunctionTable  # noqa: PLC0415 - the shop's own classes exist only now

    shop.book("steps: [{id: till, uses: shop.count, with: {till: 4}, gate: cash == 4}]\n")
    kind = FunctionTable(shop.root).find("shop.count").returns
    assert kind is not None
    assert shop.rehearsal("day", steps={"till": kind(Decimal(4), [], True)}).outcome == "green"
    assert shop.rehearsal("day", steps={"till": lambda till: kind(Decimal(till), [], True)}).outcome == "green"

    def mock(context: Any, till: int) -> Any:
        context.log(f"{context.step} {till}")
        return outputs(cash=till)

    run = shop.rehearsal("day", steps={"till": mock})
    assert (run.outcome, run.end("till")["log"]) == ("green", ["till 4"])


def test_what_a_mock_function_raises_is_the_steps_error(shop: Any) -> None:
    """An error of the function is the step's; what the test asserts inside it, and what can't be, ends the test."""
    shop.book(ONE)

    def gone(till: int = 1) -> None:
        raise ConnectionError("gone")

    def strict(till: int = 1) -> None:
        assert till == 2

    run = shop.rehearsal("day", steps={"till": gone})
    assert (run.status["till"], run.end("till")["error"]["type"]) == ("broken", "ConnectionError")
    with pytest.raises(AssertionError):
        shop.rehearsal("day", steps={"till": strict})
    with pytest.raises(RehearsalError, match=r"returns a int; shop\.count returns Till"):
        shop.rehearsal("day", steps={"till": lambda: 5})


def test_a_step_may_raise(shop: Any) -> None:
    """An error makes the step broken, with its type, text and trace."""
    shop.book(ONE)
    run = shop.rehearsal("day", steps={"till": raises(ConnectionError("no answer"))})
    error = run.end("till")["error"]
    assert (error["type"], error["message"]) == ("ConnectionError", "no answer")
    assert (run.status["till"], run.exit_code) == ("broken", 1)


def test_a_step_may_time_out(shop: Any) -> None:
    """A safe step is timed out at once, and the rehearsal's clock has gone on by its timeout."""
    shop.book(ONE)
    run = shop.rehearsal("day", steps={"till": times_out()})
    assert run.status["till"] == "timed_out"
    assert run.end("till")["elapsed_s"] == 5.0


def test_a_step_without_a_timeout_can_not_time_out(shop: Any) -> None:
    """A timeout that the runbook does not give ends the rehearsal."""
    shop.book("steps: [{id: till, uses: shop.count}]\n")
    with pytest.raises(RehearsalError, match="its runbook gives it no timeout"):
        shop.rehearsal("day", steps={"till": times_out()})


@pytest.mark.parametrize("mock", [dies(), [dies()]])
def test_a_worker_may_die(shop: Any, mock: Any) -> None:
    """The death of a step that is safe to repeat breaks it; of one that is not, its outcome is unknown."""
    shop.book("steps: [{id: a, uses: shop.count, on_failure: continue}, {id: b, uses: shop.deliver}]\n")
    run = shop.rehearsal("day", steps={"a": mock, "b": mock})
    assert run.status == {"a": "broken", "b": "unknown"}


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (Verdict("done", outputs(number=7)), "passed"),
        (Verdict("done", outputs(number=8)), "red"),
        (Verdict("done", passes()), "passed"),
        (Verdict("done", red()), "red"),
        (Verdict("not_done"), "broken"),
        (Verdict("unknown", reason="no books"), "unknown"),
    ],
)
def test_an_unknown_outcome_is_looked_into(shop: Any, found: Verdict, status: str) -> None:
    """The mock says what the verify function finds out, and the engine goes on from there."""
    shop.book(SALE)
    run = shop.rehearsal("day", steps={"sale": dies(verify=found)})
    assert run.status["sale"] == status
    assert [event.data["answer"] for event in run.events if event.type == "step.verified"] == [found.answer]
    expected = "timed_out" if status == "broken" else status
    assert shop.rehearsal("day", steps={"sale": times_out(verify=found)}).status["sale"] == expected


def test_what_verify_finds_must_be_said(shop: Any) -> None:
    """A step with a verify function has no unknown outcome before that was asked; one without it is never asked."""
    shop.book(SALE)
    with pytest.raises(RehearsalError, match="does not say what its verify function finds"):
        shop.rehearsal("day", steps={"sale": dies()})
    shop.book(ONE)
    with pytest.raises(RehearsalError, match="has no verify function"):
        shop.rehearsal("day", steps={"till": dies(verify=Verdict("done"))})


def test_a_list_is_one_outcome_an_attempt(shop: Any) -> None:
    """Retries take the next outcome; one attempt too many ends the rehearsal. Nobody waits between them."""
    shop.book("steps: [{id: till, uses: shop.count, timeout: 5s, retry: {max_attempts: 4, delay: 1m, backoff: 2}}]\n")
    mock = [raises(OSError("x")), times_out(), dies(), passes()]
    run = shop.rehearsal("day", steps={"till": mock})
    assert (run.outcome, [call.attempt for call in run.calls("till")]) == ("green", [1, 2, 3, 4])
    waited = [event.data["delay_s"] for event in run.events if event.type == "step.retrying"]
    assert waited == [60, 120, 240]
    with pytest.raises(RehearsalError, match="started 2 times; its mock holds 1"):
        shop.rehearsal("day", steps={"till": mock[:1]})


def test_items_have_mocks_of_their_own(shop: Any) -> None:
    """Items of a foreach share a mock, or have their own by number; gates see the item."""
    shop.book("steps: [{id: till, uses: shop.count, foreach: [3, 4], as: n, with: {till: '{{ n }}'}, gate: cash == n}]")
    run = shop.rehearsal("day", steps={"till": lambda till: outputs(cash=till)})
    assert [till.cash for till in run.outputs("till")] == [3, 4]
    assert shop.rehearsal("day", steps={"till": passes()}).outcome == "green"
    run = shop.rehearsal("day", steps={"till": passes(), "till[1]": red()})
    assert [run.status[step] for step in ("till[0]", "till[1]", "till")] == ["passed", "red", "red"]
    run = shop.rehearsal("day", steps={"till": passes(), "till[0]": raises(OSError("x"))})
    assert run.outputs("till") == [None]


def test_a_real_step_runs_in_this_process(shop: Any) -> None:
    """`real` calls the step's own function, with a context whose log and artifacts are the run's."""
    shop.book("steps: [{id: bell, uses: shop.ring}, {id: till, uses: shop.count, with: {till: 3}, gate: cash == 3}]\n")
    run = shop.rehearsal("day", real=["bell", "till"])
    assert run.outcome == "green"
    assert run.end("bell")["log"] == ["ding"]
    assert [artifact["name"] for artifact in run.end("bell")["artifacts"]] == ["artifacts/bell/1/bell.txt"]
    assert shop.rehearsal("day", steps={"bell": None, "till": real()}).outcome == "green"


def test_the_errors_of_a_real_step_are_its_own(shop: Any) -> None:
    """A real step that raises, or returns what it does not declare, is broken, as it is in a worker."""
    shop.book("steps: [{id: sale, uses: shop.sell, with: {item: bread}}]\n")
    run = shop.rehearsal("day", real=["sale"])
    assert (run.status["sale"], run.end("sale")["error"]["type"]) == ("broken", "ConnectionError")
    shop.book("steps: [{id: lie, uses: shop.lie}]\n")
    run = shop.rehearsal("day", real=["lie"])
    assert (run.status["lie"], run.end("lie")["error"]["type"]) == ("broken", "TypeError")


def test_services_may_be_replaced(shop: Any) -> None:
    """Real steps get the services that the test gives, else what the project's factory builds, if it has one."""
    shop.book("steps: [{id: ask, uses: shop.ask, gate: number == 5}]\n")
    assert shop.rehearsal("day", real=["ask"], services=5).outcome == "green"
    assert shop.rehearsal("day", real=["ask"]).end("ask")["error"]["type"] == "LookupError"


def test_nothing_acts_on_a_real_venue(shop: Any) -> None:
    """A step with effects runs for real only on a simulated venue; mocked it may be rehearsed on any."""
    shop.book("steps: [{id: order, uses: shop.order}]\n")
    assert shop.rehearsal("day", real=["order"]).outcome == "green"
    assert shop.rehearsal("day", profile="street", steps={"order": passes()}).outcome == "green"
    with pytest.raises(RehearsalError, match=r"acts on a market \(orders.reduce\)"):
        shop.rehearsal("day", profile="street", real=["order"])


def test_a_step_without_a_mock_ends_the_rehearsal(shop: Any) -> None:
    """What is not mocked never runs by accident."""
    shop.book("steps: [{id: till, uses: shop.count}, {id: bell, uses: shop.ring}]\n")
    with pytest.raises(RehearsalError, match=r"'bell' was started and has no mock\. Say what it does"):
        shop.rehearsal("day", steps={"till": passes()})


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tilt", r"no step 'tilt' in day; did you mean 'till'\?"),
        ("openng/*", r"no step 'openng/\*' in day; did you mean 'opening/till'"),
        ("look", "'look' asks a person; answer it"),
        ("opening", "'opening' calls no function; mock the steps inside it"),
    ],
)
def test_a_mock_for_no_step_is_refused(shop: Any, name: str, said: str) -> None:
    """A misspelt mock would test nothing, so it ends the rehearsal before it begins."""
    shop.book("steps: [{id: till, uses: shop.count}]\n", "opening")
    shop.book("steps: [{id: till, uses: shop.count}, {id: opening, runbook: opening}, {id: look, confirm: Look}]\n")
    with pytest.raises(RehearsalError, match=said):
        shop.rehearsal("day", steps={name: passes()})


def test_an_outcome_says_what_other_steps_read(shop: Any) -> None:
    """Even `passes` and `red` make up nothing that another step reads."""
    shop.book("""
    steps:
      - {id: till, uses: shop.count}
      - {id: b, uses: shop.deliver, with: {item: "{{ steps.till.clerk }}"}}
    """)
    shop.write("steps/shop.py", (shop.root / "steps/shop.py").read_text().replace('clerk: str = "Ada"', "clerk: str"))
    with pytest.raises(RehearsalError, match="does not say 'clerk', which the 'with' of b reads"):
        shop.rehearsal("day", steps={"*": passes()})
    run = shop.rehearsal("day", steps={"*": passes(), "till": passes(clerk="Bob")})
    assert run.calls("b")[0].arguments == {"item": "Bob"}
