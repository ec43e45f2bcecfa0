"""`--step-by-step`: a person is asked before each step."""

from __future__ import annotations

import pytest

from aurora.engine.prompts import Answer, Nobody, Prompt
from aurora.errors import UsageError
from tests.engine.kit import Lab

BOOK = """
    steps:
      - {id: a, uses: lab.work, title: First thing, with: {n: 7}}
      - {id: skipped, uses: lab.work, if: "1 == 2"}
      - {id: gate, gate: steps.a.n == 7}
      - {id: b, uses: lab.work, foreach: [1, 2]}
    finally:
      - {id: end, uses: lab.work}
"""


class Yes(Nobody):
    """Says yes to everything, and remembers what was asked; `no` names the steps that get a no."""

    def __init__(self, *no: str) -> None:
        super().__init__("test")
        self.asked: list[Prompt] = []
        self.no = no

    def ask(self, prompt: Prompt) -> Answer | None:
        self.asked.append(prompt)
        return Answer(prompt.step not in self.no, "tester", "terminal", "answered", ((prompt.text, True),))


def test_each_step_that_does_something_is_asked_for_once(lab: Lab) -> None:
    """Gates, skipped steps and `finally` are not asked for; the question says function and arguments."""
    lab.book(BOOK)
    person = Yes()
    ran = lab.run(person=person, step_by_step=True)
    assert ran.outcome == "green"
    assert [prompt.step for prompt in person.asked] == ["a", "b"]
    assert person.asked[0].text == "Next: First thing   lab.work(n=7)"
    assert ran.of("run.opened")[0]["step_by_step"] is True


def test_a_no_declines_the_step_and_ends_the_run(lab: Lab) -> None:
    """What was not agreed to does not run; `finally` does, unasked."""
    lab.book(BOOK)
    ran = lab.run(person=Yes("b"), step_by_step=True)
    assert (ran.outcome, ran.code) == ("declined", 5)
    assert lab.effects == ["a work", "end work"]


def test_branches_go_one_at_a_time(lab: Lab) -> None:
    """The next step is asked for when the one before it is over, also where both could run side by side."""
    lab.book("""
    steps:
      - {id: a, needs: [], uses: lab.work, with: {seconds: 0.1}}
      - {id: b, needs: [], uses: lab.work}
    """)
    ran = lab.run(person=Yes(), step_by_step=True)
    assert ran.order("prompt.opened", "step.finished") == [
        "prompt.opened a",
        "step.finished a",
        "prompt.opened b",
        "step.finished b",
    ]


def test_nobody_there_is_a_no(lab: Lab) -> None:
    """Fail closed: under cron the first step is declined, and only `finally` runs."""
    lab.book(BOOK)
    ran = lab.run(step_by_step=True)
    assert (ran.outcome, lab.effects) == ("declined", ["end work"])


def test_a_resumed_run_goes_on_step_by_step(lab: Lab) -> None:
    """How a run goes is part of what it was opened with; what was done is not asked for again."""
    lab.book(BOOK)
    ran = lab.run(person=Yes(), step_by_step=True)
    ran.cut_after("step.finished", "a")
    person = Yes()
    assert lab.resume(person=person).outcome == "green"
    assert [prompt.step for prompt in person.asked] == ["b"]


@pytest.mark.parametrize("options", [{"dry_run": True}, {"answers": "a: yes\n"}])
def test_it_does_not_go_with_what_asks_nobody(lab: Lab, options: dict[str, object]) -> None:
    """A dry run asks nobody and a script is nobody: refused, nothing run."""
    lab.book(BOOK)
    with pytest.raises(UsageError, match="--step-by-step"):
        lab.run(person=Yes(), step_by_step=True, **options)  # type: ignore[arg-type] # what each of them takes
    assert lab.effects == []


def test_at_a_real_terminal(lab: Lab) -> None:
    """Y begins the step, n does not."""
    lab.book(BOOK)
    terminal = lab.terminal("runbook", "book", "--step-by-step")
    terminal.see("lab.work(n=7)")
    terminal.see("Begin it?")
    terminal.type("y\n")
    terminal.see("[b]")
    terminal.see("Begin it?")
    terminal.type("n\n")
    code, _ = terminal.end()
    assert (code, lab.effects) == (5, ["a work", "end work"])
