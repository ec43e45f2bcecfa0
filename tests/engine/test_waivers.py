"""Waivers: `resume RUN --waive STEP --reason TEXT` (engine rule 12)."""

from __future__ import annotations

import pytest

from aurora.errors import OperatorError, ResumeRefused, UsageError
from tests.engine.kit import Lab
from tests.engine.test_fresh import POLICY, TRADE

RED = """
    steps:
      - {id: a, uses: lab.work}
      - {id: b, uses: lab.work, gate: n == 2}
      - {id: c, uses: lab.work, with: {n: "{{ steps.b.n }}"}}
    finally:
      - {id: end, uses: lab.work}
"""


def test_a_waiver_goes_on_past_a_red_gate_and_the_run_is_amber(lab: Lab) -> None:
    """Engine rule 12: what was done stays done, what the red step kept back runs, `finally` once more, never green."""
    lab.book(RED)
    assert lab.run().outcome == "red"
    ran = lab.resume(waive=["b"], reason="the desk knows")
    assert (ran.outcome, ran.code) == ("amber", 0)
    assert ran.statuses == {"a": "passed", "b": "waived", "c": "passed", "end": "passed"}
    assert lab.effects == ["a work", "b work", "end work", "c work", "end work"]
    (resumed,) = ran.of("run.resumed")
    assert [each["reason"] for each in resumed["waivers"]] == ["the desk knows"]
    assert resumed["waivers"][0]["by"] == resumed["operator"]["os_user"]


def test_a_waiver_without_a_reason_is_refused(lab: Lab) -> None:
    """Engine rule 12: someone has to say why, and it is on record."""
    lab.book(RED)
    lab.run()
    for reason in ("", "  "):
        with pytest.raises(UsageError, match="--reason"):
            lab.resume(waive=["b"], reason=reason)
    assert lab.last().state.outcome == "red"


@pytest.mark.parametrize(("step", "says"), [("a", "is passed"), ("c", "is omitted"), ("bb", "did you mean 'b'")])
def test_only_what_failed_can_be_waived(lab: Lab, step: str, says: str) -> None:
    """A step that passed, or that never ran, has nothing to waive; a slip is told."""
    lab.book(RED)
    lab.run()
    with pytest.raises(UsageError, match=says):
        lab.resume(waive=[step], reason="x")


def test_a_finished_run_stays_as_it_is_without_a_waiver(lab: Lab) -> None:
    """A red run is a record; the message names both ways on. A green one can't be taken up at all."""
    lab.book(RED)
    lab.run()
    with pytest.raises(ResumeRefused) as told:
        lab.resume()
    assert "--waive" in told.value.todo
    lab.book("\n    steps:\n      - {id: a, uses: lab.work}\n", "fine")
    lab.run(book="fine")
    with pytest.raises(ResumeRefused):
        lab.resume(waive=["a"], reason="x")


def test_what_still_fails_after_a_waiver_is_red(lab: Lab) -> None:
    """A waiver covers the steps that it names: another red one keeps the run red, and needs a waiver of its own."""
    lab.book("""
    steps:
      - {id: a, needs: [], uses: lab.work, gate: n == 2}
      - {id: b, needs: [], uses: lab.work, gate: n == 3}
      - {id: c, needs: [a, b], uses: lab.work}
    """)
    lab.run()
    ran = lab.resume(waive=["a"], reason="x")
    assert (ran.outcome, ran.step("c").status) == ("red", "omitted")
    ran = lab.resume(waive=["b"], reason="y")
    assert (ran.outcome, ran.step("c").status) == ("amber", "passed")


def test_a_step_inside_a_sub_runbook_is_waived_in_its_place(lab: Lab) -> None:
    """The sub-runbook is opened again, goes on behind the waived step, and ends; it itself can't be waived for it."""
    lab.book("\n    steps:\n      - {id: x, uses: lab.work, gate: n == 2}\n      - {id: y, uses: lab.work}\n", "inner")
    lab.book("""
    steps:
      - {id: sub, runbook: inner}
      - {id: after, uses: lab.work}
    """)
    lab.run()
    with pytest.raises(UsageError, match="inside it"):
        lab.resume(waive=["sub"], reason="x")
    ran = lab.resume(waive=["sub/x"], reason="x")
    assert (ran.outcome, ran.step("sub").status, ran.step("sub/y").status) == ("amber", "passed", "passed")
    assert lab.effects == ["sub/x work", "sub/y work", "after work"]


def test_the_failure_path_of_a_waived_step_is_not_walked_again(lab: Lab) -> None:
    """What was done because of the failure stays on record, and is not done twice."""
    lab.book("\n    steps:\n      - {id: tell, uses: lab.work}\n", "alarm")
    lab.book("""
    steps:
      - {id: a, uses: lab.work, gate: n == 2, on_failure: {runbook: alarm}}
      - {id: b, uses: lab.work}
    """)
    assert lab.run().outcome == "red"
    ran = lab.resume(waive=["a"], reason="x")
    assert ran.outcome == "amber"
    assert lab.effects == ["a work", "a/on_failure/tell work", "b work"]


def test_a_killed_resume_keeps_its_waiver(lab: Lab) -> None:
    """The waiver is on record before anything follows from it."""
    lab.book(RED)
    lab.run()
    ran = lab.resume(waive=["b"], reason="x")
    ran.cut_after("step.started", "c")
    again = lab.resume()
    assert (again.outcome, again.step("b").status) == ("amber", "waived")


def test_policy_guards_can_not_be_waived(lab: Lab) -> None:
    """Engine rule 12: no reason replaces a gate that policy demands before orders are opened."""
    lab.steps("trading", TRADE)
    lab.profile("policy", POLICY)
    lab.book("""
    steps:
      - {id: t0, uses: lab.flaky, with: {good: 1}, gate: n == 7}
      - {id: guard, uses: lab.work, with: {n: 2}, gate: n == 1}
      - {id: trade, uses: trading.trade}
    """)
    assert lab.run().step("t0").status == "red"
    assert lab.resume(waive=["t0"], reason="known").step("guard").status == "red"
    with pytest.raises(ResumeRefused, match="policy demands"):
        lab.resume(waive=["guard"], reason="known")
    assert not any("trade" in line for line in lab.effects)


def test_an_unknown_outcome_is_settled_not_waived(lab: Lab) -> None:
    """Nobody knows what the step did: that is a question of fact, not of consent."""
    lab.steps(
        "dies",
        '''
        """A step whose worker dies."""
        import os, signal
        from aurora.engine.registry import step

        @step()
        def dies() -> None:
            os.kill(os.getpid(), signal.SIGKILL)
        ''',
    )
    lab.book("\n    steps:\n      - {id: a, uses: dies.dies}\n")
    assert lab.run().step("a").status == "unknown"
    with pytest.raises(OperatorError, match="settle"):
        lab.resume(waive=["a"], reason="x")


def test_from_the_command_line_and_in_the_report(lab: Lab) -> None:
    """Both commands are typed as the message says; the report names who waived what, and why."""
    lab.book(RED)
    assert lab.command("runbook", "book").returncode == 3
    refused = lab.command("resume", "last", "--waive", "b")
    assert (refused.returncode, "--reason" in refused.stderr) == (2, True)
    done = lab.command("resume", "last", "--waive", "b", "--reason", "the *desk* knows")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "b waived by" in done.stdout
    report = (lab.last().folder / "report.html").read_text()
    assert "the *desk* knows" in report
    assert "amber" in report.lower()
