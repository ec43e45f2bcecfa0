"""Which steps may start: random runbooks, walked whole, with walks that begin anew in the middle (engine rule 9)."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any, cast

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aurora.engine.document import Document
from aurora.engine.graph import Library, Node, Plan, Scope, build_plan
from aurora.engine.loader import Loaded
from aurora.engine.spec import OnFailure, Runbook, Step
from aurora.engine.state import FAILED, RunState, StepState, outcome_of, stale_finally
from aurora.engine.walk import Walk

ACTIONS = st.sampled_from(["abort", "abort", "abort", "continue", "runbook"])


@st.composite
def steps(draw: st.DrawFn, prefix: str, depth: int, *, most: int = 4) -> tuple[Step, ...]:
    """Draw the steps of a runbook: chains and graphs, sub-runbooks `d1`, `d2` below this one, failure paths."""
    found: list[Step] = []
    for number in range(draw(st.integers(1, most))):
        before = [step.id for step in found]
        needs = (
            draw(st.none() | st.lists(st.sampled_from(before), unique=True))
            if before
            else draw(st.sampled_from([None, []]))
        )
        below = depth < 2 and draw(st.integers(0, 3)) == 0
        action = draw(ACTIONS) if depth < 2 else draw(st.sampled_from(["abort", "continue"]))
        found.append(
            Step(
                f"{prefix}{number}",
                "runbook" if below else "uses",
                (),
                runbook=f"d{depth + 1}" if below else None,
                needs=None if needs is None else tuple(needs),
                on_failure=OnFailure(cast(Any, action), "d2" if action == "runbook" else ""),
            )
        )
    return tuple(found)


class Drawn:
    """A plan that says in a few words what it is, when a test fails with it."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def __repr__(self) -> str:
        nodes = list(self.plan.nodes.values())[:100]
        return "\n".join(f"{node.id}{list(node.needs)} {node.step.on_failure.action}" for node in nodes)


@st.composite
def plans(draw: st.DrawFn) -> Drawn:
    """Draw three runbooks, each of which may run those below it, inlined into one plan."""
    document = Document("t.yaml", "")
    books = {}
    for depth in range(3):
        ends = draw(steps("f", depth, most=2)) if draw(st.booleans()) else ()
        name = f"d{depth}"
        books[name] = Runbook(name, name, document, steps=draw(steps("s", depth)), finally_=ends)

    class Shelf:
        """Holds the runbooks in memory."""

        def load(self, name: str) -> Loaded:
            return Loaded(cast(Any, None), document, books[name], ())

    plan = build_plan(cast(Library, Shelf()), "d0")
    assert not plan.faults
    return Drawn(plan)


@dataclass
class Player:
    """An engine without processes: starts what the walk gives, ends what runs in any order, notes all that it does."""

    plan: Plan
    dice: random.Random
    fails: float
    state: RunState = field(default_factory=RunState)
    began: list[str] = field(default_factory=list)
    running: list[str] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.walk = Walk(self.plan, self.state)

    def restart(self) -> None:
        """Forget everything but the state, as a new process does; what was running is found unsettled."""
        self.running = []
        self.walk = Walk(self.plan, self.state)

    def play(self, most: int = 1_000) -> bool:
        """Go on until so many steps have ended, or to the end of the run; return whether that was reached."""
        while most > 0:
            self.settle()
            node = self.walk.take() if len(self.running) < 4 else None
            if node is not None:
                self.begin(node)
            elif self.running:
                most -= 1
                self.end(self.running.pop(self.dice.randrange(len(self.running))))
            elif self.walk.done:
                return True
            elif self.walk.stopping:
                if not self.walk.next_finally():
                    return True
            else:
                raise AssertionError("nothing to do, and not done")
        return False

    def settle(self) -> None:
        while self.walk.to_omit or self.walk.to_close:
            if self.walk.to_omit:
                node_id, _ = self.walk.to_omit.pop(0)
                if not self.state.step(node_id).over:
                    self.finish(node_id, "omitted")
            else:
                container = self.walk.to_close.pop(0)
                outcome = outcome_of(self.state.step(each) for each in self.plan.scopes[container].nodes)
                self.finish(container, "passed" if outcome == "green" else outcome)

    def begin(self, node: Node) -> None:
        state = self.state.step(node.id)
        if not state.unsettled:
            self.check_start(node)
            self.began.append(node.id)
            state.status = "running"
            if node.step.kind == "runbook":
                self.walk.open_scope(node.id)
                return
        if node.step.kind == "uses":
            self.running.append(node.id)

    def end(self, node_id: str) -> None:
        self.finish(node_id, "red" if self.dice.random() < self.fails else "passed")

    def finish(self, node_id: str, status: str) -> None:
        assert not self.state.step(node_id).over
        self.state.step(node_id).status = status
        self.ends.append(node_id)
        self.walk.over(self.plan.nodes[node_id])

    def check_start(self, node: Node) -> None:
        """Nothing starts before its time: what it needs has passed, and where steps start nothing has failed."""
        for needed in node.needs:
            state, step = self.state.step(needed), self.plan.nodes[needed].step
            assert state.status == "passed" or (state.status in FAILED and step.on_failure.action == "continue")
        for before in node.after:
            assert self.state.step(before).over
        if node.section == "steps":
            assert not self.walk.stopping or self.walk.is_ending(node)
            assert not self.has_failed(node.scope)
        if node.section == "finally" and not self.walk.stopping:
            assert all(self.state.step(each).over for each in self.own(node.scope, "steps"))
        if node.section == "on_failure":
            assert self.state.step(str(node.guards)).status in FAILED
            assert all(self.state.step(each).over for each in self.own(node.scope, "steps"))

    def own(self, scope: Scope, section: str) -> list[str]:
        return [each for each in scope.nodes if self.plan.nodes[each].section == section]

    def has_failed(self, scope: Scope | None) -> bool:
        """Return whether a step has failed in `scope` or around it, up to where that is kept or a `finally` begins."""
        while scope is not None:
            for each in self.own(scope, "steps"):
                if (
                    self.state.step(each).status in FAILED
                    and self.plan.nodes[each].step.on_failure.action != "continue"
                ):
                    return True
            if scope.container is None or self.plan.nodes[scope.container].section != "steps":
                return False
            scope = scope.parent
        return False

    def check_end(self) -> None:
        """Everything has come to its end once; each `finally` and each failure path that was due has run."""
        assert len(self.ends) == len(set(self.ends))
        opened = [
            scope
            for key, scope in self.plan.scopes.items()
            if not key or self.state.step(key).status not in ("pending", "omitted")
        ]
        for scope in opened:
            started = any(self.state.step(each).status not in ("pending", "omitted") for each in scope.nodes)
            for each in scope.nodes:
                node = self.plan.nodes[each]
                if node.section == "on_failure":
                    due = self.state.step(str(node.guards)).status in FAILED
                    assert self.state.step(each).over == due
                else:
                    assert self.state.step(each).over
                if node.section == "finally" and started and not node.needs:
                    assert self.state.step(each).status != "omitted"


ANY = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])


@ANY
@given(plan=plans(), seed=st.integers(0, 1_000_000), fails=st.sampled_from([0.0, 0.15, 0.5]))
def test_every_walk_comes_to_its_end(plan: Drawn, seed: int, fails: float) -> None:
    """Engine rule 9: whatever fails, each step ends once, nothing starts that must not, and every `finally` runs."""
    player = Player(plan.plan, random.Random(seed), fails)
    assert player.play()
    player.check_end()
    if not fails:
        assert {player.state.step(each).status for each in player.ends} == {"passed"}


@ANY
@given(plan=plans(), seed=st.integers(0, 1_000_000), fails=st.sampled_from([0.0, 0.15, 0.5]), every=st.integers(1, 7))
def test_walk_that_begins_anew_is_the_same(plan: Drawn, seed: int, fails: float, every: int) -> None:
    """A walk built from the state in the middle of a run goes on as the one before it would have."""
    player = Player(plan.plan, random.Random(seed), fails)
    while not player.play(every):
        player.restart()
    player.check_end()
    assert len(player.began) == len(set(player.began))


@ANY
@given(plan=plans(), seed=st.integers(0, 1_000_000), fails=st.sampled_from([0.0, 0.2]), stop=st.integers(0, 25))
def test_stopped_walk_ends_and_goes_on(plan: Drawn, seed: int, fails: float, stop: int) -> None:
    """Engine rule 9: a stop lets each `finally` of what had started run; a resume goes on, and runs them again."""
    player = Player(plan.plan, random.Random(seed), fails)
    if player.play(stop):
        return
    player.walk.stop()
    assert player.play()
    early = set(player.ends)
    if player.walk.done:
        player.check_end()
        return
    for step_id in stale_finally(_entries(plan.plan), player.state.steps):
        player.state.steps[step_id] = StepState()
    player.ends = [each for each in player.ends if player.state.step(each).over]
    player.restart()
    assert player.play()
    player.check_end()
    if not fails:  # else what stands inside a `finally` step may be skipped now: the step before it failed this time
        assert early <= set(player.ends)


def _entries(plan: Plan) -> list[dict[str, Any]]:
    return [
        {"id": node.id, "section": node.section, "parent": node.guards or node.scope.container}
        for node in plan.nodes.values()
    ]
