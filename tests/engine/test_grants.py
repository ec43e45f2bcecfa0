"""The run's grant: a step that opens orders gets it once every guard of the policy has passed (rules 13, 14)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aurora.engine.grants import NoGrant, grant
from aurora.engine.graph import Library, build_plan
from aurora.engine.policy import load_policy
from aurora.engine.state import RunState, StepState
from aurora.grant import Grant, objection
from aurora.profile import Profile, Section
from tests.engine.kit import Lab

POLICY = """
orders.open:
  gates:
    - {uses: lab.work, gate: n == 1}
  confirms: [Sure?]
"""
SHOW = '''
    """Steps that tell the grant that they were given."""
    from dataclasses import dataclass
    from aurora.engine.context import Context
    from aurora.engine.registry import step

    @dataclass(frozen=True)
    class Seen:
        token: str
        mine: str
        venue: str
        guards: dict[str, str]

    @step(effects=["orders.open"], dry_run="skip")
    def trade(context: Context) -> Seen:
        grant = context.grant
        return Seen(grant.token, context.token, grant.venue, dict(grant.guards))

    @step(repeat="safe", effects=["orders.reduce"], dry_run="skip")
    def leave(context: Context) -> None:
        assert context.grant is None
'''
BOOK = """
    steps:
      - {id: look, uses: lab.work, gate: n == 1}
      - {id: sure, confirm: Sure?}
      - {id: trade, uses: show.trade}
    finally:
      - {id: leave, uses: show.leave}
"""


def desk(lab: Lab) -> Lab:
    """Return a project with a policy, and a runbook that meets it."""
    lab.steps("show", SHOW)
    lab.profile("policy", POLICY)
    lab.book(BOOK)
    return lab


def test_a_step_that_opens_orders_is_given_what_its_run_has_shown(lab: Lab) -> None:
    """Engine rule 14: the grant is this attempt's own, and names the step that met each guard; others get none."""
    ran = desk(lab).run(answers="sure: yes\n")
    assert ran.outcome == "green", ran.of("step.finished")
    seen = ran.end("trade")["outputs"]
    assert seen["token"] == seen["mine"]
    assert seen["venue"] == "simulated"
    assert seen["guards"] == {"the gate 'n == 1' of lab.work": "look", "the confirm 'Sure?'": "sure"}


@pytest.mark.parametrize(
    ("state", "says"),
    [
        (StepState("waived"), "look is waived"),
        (StepState("red"), "look is red"),
        (StepState("skipped"), "look is skipped"),
        (StepState("pending"), "look is pending"),
        (StepState("passed", simulated=True), "look was simulated"),
    ],
)
def test_no_guard_no_grant(lab: Lab, state: StepState, says: str) -> None:
    """Engine rule 13: only a real pass counts, whatever the walk let through."""
    plan = build_plan(Library(desk(lab).project), "book")
    steps = {"look": state, "sure": StepState("passed")}
    profile = Profile("base", Section({"venue": "simulated"}))
    with pytest.raises(NoGrant, match=says):
        grant(plan, RunState(steps=steps), load_policy(lab.project), plan.nodes["trade"], "t", profile)


def test_without_a_policy_there_is_no_grant(lab: Lab) -> None:
    """Fail closed: a project that names no guards has none that could have passed."""
    plan = build_plan(Library(desk(lab).project), "book")
    with pytest.raises(NoGrant, match="no policy"):
        grant(plan, RunState(), None, plan.nodes["trade"], "t", Profile("base", Section({})))


PAPER = Profile("paper", Section({"venue": "paper"}))
GOOD = Grant("t", PAPER.digest, "paper", {})


@pytest.mark.parametrize(
    ("given", "profile", "says"),
    [
        (GOOD, PAPER, ""),
        (None, PAPER, "no grant"),
        (None, Profile("sim", Section({"venue": "simulated"})), ""),
        (replace(GOOD, token="other"), PAPER, "another attempt"),
        (replace(GOOD, venue="live"), PAPER, "another profile"),
        (GOOD, Profile("paper", Section({"venue": "paper", "caps": 9})), "another profile"),
    ],
)
def test_a_grant_holds_for_one_attempt_profile_and_venue(given: Grant | None, profile: Profile, says: str) -> None:
    """Engine rule 14: a grant of another attempt, another profile or another venue opens nothing."""
    said = objection(given, "t", profile)
    assert (said == "") == (says == "")
    assert says in said
