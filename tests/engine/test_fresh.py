"""Results that are too old are gained again when a run goes on (engine rules 7 and 19)."""

from __future__ import annotations

import pytest

from tests.engine.kit import Lab, Ran, Recorder

MARKET = """
    steps:
      - {id: look, uses: lab.work, fresh: 10m}
      - {id: keep, uses: lab.work}
      - {id: check, gate: steps.look.n == 1}
      - {id: act, uses: lab.work}
"""


def interrupted(lab: Lab, book: str = MARKET, after: str = "act") -> Ran:
    """Return a run that was killed once `after` had started."""
    lab.book(book)
    ran = lab.run()
    ran.cut_after("step.started", after)
    (lab.root / "effects.txt").unlink()
    return ran


def test_what_is_too_old_runs_again_before_what_it_is_for(lab: Lab) -> None:
    """Engine rule 19: an hour later the look of ten minutes is repeated, with its gate; what has no age is not."""
    interrupted(lab)
    ran = lab.resume(later=3600)
    assert ran.outcome == "green"
    assert lab.effects == ["look work", "act work"]
    assert ran.of("run.resumed")[0]["repeat"] == ["look", "check"]
    assert (ran.step("look").attempt, ran.step("keep").attempt) == (2, 1)


def test_what_is_fresh_enough_is_left(lab: Lab) -> None:
    """Engine rule 19: within its time a result stands."""
    interrupted(lab)
    ran = lab.resume(later=300)
    assert lab.effects == ["act work"]
    assert ran.of("run.resumed")[0]["repeat"] == []


def test_a_clock_that_was_set_back_makes_nothing_younger(lab: Lab) -> None:
    """Fail closed: a result from the future has no age to rely on."""
    interrupted(lab)
    lab.resume(later=-3600)
    assert lab.effects == ["look work", "act work"]


def test_what_authorises_nothing_more_is_not_repeated(lab: Lab) -> None:
    """When all that came after it is done, an old result stays as it is."""
    lab.book(MARKET + "      - {id: tail, needs: [], uses: lab.wait_for, with: {name: go}}\n")
    ran = lab.run(listener=Recorder().touch(lab.root / "go", "step.finished", "look", "keep", "check", "act"))
    ran.cut_after("step.finished", "act")
    (lab.root / "effects.txt").unlink()
    assert lab.resume(later=3600).outcome == "green"
    assert lab.effects == ["tail waiting"]


def test_a_run_that_has_failed_repeats_nothing(lab: Lab) -> None:
    """It goes on to its end only, and asks nobody again on the way."""
    book = """
    steps:
      - {id: look, uses: lab.work, fresh: 10m}
      - {id: bad, uses: lab.boom}
      - {id: act, uses: lab.work}
    finally:
      - {id: end, uses: lab.work}
    """
    interrupted(lab, book, after="end")
    assert lab.resume(later=3600).outcome == "broken"
    assert lab.effects == ["end work"]


def test_a_repeated_look_that_is_red_stops_the_run(lab: Lab) -> None:
    """What passed in the morning and does not any more keeps the rest from running."""
    book = """
    steps:
      - {id: look, uses: lab.flaky, with: {good: 1}, fresh: 10m, gate: n == 1}
      - {id: act, uses: lab.work}
    """
    interrupted(lab, book)
    ran = lab.resume(later=3600)
    assert (ran.outcome, ran.step("look").status) == ("red", "red")
    assert "act work" not in lab.effects
    assert ran.step("act").status == "cancelled"  # a safe step that had begun, and is not repeated


def test_a_sub_runbook_is_opened_again_for_the_step_inside_it(lab: Lab) -> None:
    """The check of a preflight that is too old is repeated in its place; the preflight ends anew, its gate decides."""
    lab.book(
        "\n    steps:\n      - {id: look, uses: lab.work, fresh: 10m}\n      - {id: other, uses: lab.work}\n", "pre"
    )
    book = """
    steps:
      - {id: pre, runbook: pre, gate: look.n == 1}
      - {id: act, uses: lab.work}
    """
    interrupted(lab, book)
    ran = lab.resume(later=3600)
    assert ran.outcome == "green"
    assert lab.effects == ["pre/look work", "act work"]
    assert [end["step"] for end in ran.of("step.finished")] == [
        "pre/look",
        "pre/other",
        "pre",
        "pre/look",
        "pre",
        "act",
    ]


def test_a_confirm_that_is_too_old_is_asked_again(lab: Lab) -> None:
    """A yes of the morning is no yes of the afternoon; nobody is there, so it is a no."""
    lab.book("""
    steps:
      - {id: sure, confirm: Flat?, fresh: 15m}
      - {id: act, uses: lab.work}
    """)
    ran = lab.run(answers="sure: yes\n")
    ran.cut_after("step.started", "act")
    again = lab.resume(later=3600)
    assert len(again.of("prompt.opened")) == 2
    assert again.outcome == "green"


POLICY = """
orders.open:
  gates:
    - {uses: lab.work, gate: n == 1}
"""
TRADE = '''
    """A step that opens orders."""
    from aurora.engine.context import Context
    from aurora.engine.registry import step
    from steps.lab import Out, act

    @step(effects=["orders.open"], verify=lambda context: None, dry_run="skip")
    def trade(context: Context) -> Out:
        act(context, f"{context.step} trade")
        return Out()
'''


@pytest.mark.parametrize(
    ("fresh", "later", "repeated"),
    [("", 14 * 60, False), ("", 16 * 60, True), (", fresh: 1h", 16 * 60, False), (", fresh: 1m", 120, True)],
)
def test_policy_guards_are_fresh_for_fifteen_minutes(lab: Lab, fresh: str, later: float, repeated: bool) -> None:
    """Engine rule 19: a T-0 check of 09:25 does not authorise 15:00, unless the runbook says how old it may be."""
    lab.steps("trading", TRADE)
    lab.profile("policy", POLICY)
    book = f"""
    steps:
      - {{id: t0, uses: lab.work, gate: n == 1{fresh}}}
      - {{id: wait, uses: lab.work}}
      - {{id: trade, uses: trading.trade}}
    """
    lab.book(book)
    ran = lab.run()
    ran.cut_after("step.started", "wait")
    (lab.root / "effects.txt").unlink()
    lab.resume(later=later)
    assert ("t0 work" in lab.effects) is repeated
    assert lab.effects[-1] == "trade trade"
