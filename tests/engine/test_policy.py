"""Policy: a runbook that could open orders on any way without its guards does not load (engine rule 13)."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from aurora.engine.functions import FunctionTable
from aurora.engine.graph import Library, build_plan
from aurora.engine.lint import lint_names
from aurora.engine.policy import Guard, guard_steps, load_policy
from aurora.engine.project import Project

ROOT = Path(__file__).resolve().parents[2]
STEPS = """
from dataclasses import dataclass
from aurora.engine.registry import step

@dataclass(frozen=True)
class Look:
    ok: bool

@step(repeat="safe")
def look() -> Look:
    return Look(True)

@step(effects=("orders.open", "orders.reduce"))
def buy() -> None:
    pass

@step(effects=("orders.reduce",))
def sell() -> None:
    pass
"""
POLICY = """
orders.open:
  gates: [{uses: desk.look, gate: ok}]
  confirms: [Shall we?]
"""
LOOK = {"id": "look", "uses": "desk.look", "gate": "ok"}
ASK = {"id": "ask", "confirm": "Shall we?"}
BUY = {"id": "buy", "uses": "desk.buy"}


@pytest.fixture
def lint(tmp_path: Path) -> Callable[..., str]:
    """Return a function that lints a runbook of given steps, and others it may use, under the policy above."""

    def check(steps: list[dict[str, Any]], policy: str | None = POLICY, **others: list[dict[str, Any]]) -> str:
        for name in ("runbooks", "steps", "profiles"):
            (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / "steps/desk.py").write_text(STEPS)
        if policy is not None:
            (tmp_path / "profiles/policy.yaml").write_text(policy)
        books: dict[str, dict[str, Any]] = {"main": {"runbook": "main", "steps": steps}}
        for name, value in others.items():
            if name == "ending":
                books["main"]["finally"] = value
            else:
                books[name] = {"runbook": name, "steps": value}
        for name, book in books.items():
            (tmp_path / f"runbooks/{name}.yaml").write_text(yaml.safe_dump(book))
        project = Project(tmp_path)
        return "\n".join(map(str, lint_names(project, ["main"], FunctionTable(tmp_path))))

    return check


def test_guards_before_an_opening_step_satisfy_policy(lint: Callable[..., str]) -> None:
    """Engine rule 13: gate and confirm above the step, both unconditional: no fault."""
    assert lint([LOOK, ASK, BUY]) == ""


def test_without_a_policy_nothing_may_open(lint: Callable[..., str]) -> None:
    """A project without policy.yaml can't open orders: missing is never green."""
    assert "there is no profiles/policy.yaml" in lint([LOOK, ASK, BUY], policy=None)


def test_stopping_needs_no_guard(lint: Callable[..., str]) -> None:
    """Engine rule 13: orders.reduce is always allowed."""
    assert lint([{"id": "sell", "uses": "desk.sell"}], policy=None) == ""


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"if": "run.dry_run"}, "may be skipped"),
        ({"on_failure": "continue"}, "on_failure: continue"),
        ({"gate": [{"check": "ok", "severity": "advisory"}]}, "only advisory"),
        ({"gate": "not ok"}, "does not ask for"),
        ({"gate": "ok or true"}, "does not ask for"),
        ({"dry_run": "skip"}, "dry_run"),
        ({"foreach": ["a"], "as": "x"}, "may be empty"),
    ],
)
def test_a_guard_that_may_not_hold_does_not_count(lint: Callable[..., str], change: dict[str, Any], why: str) -> None:
    """Engine rule 13: a conditional, continuing, advisory, weakened or simulated guard is none; lint says why."""
    found = lint([{**LOOK, **change}, ASK, BUY])
    assert "opens orders without the gate 'ok' of desk.look" in found
    assert why in found


def test_a_gate_joined_with_and_counts(lint: Callable[..., str]) -> None:
    """A stricter gate is still the guard."""
    assert lint([{**LOOK, "gate": "ok and status == 'passed'"}, ASK, BUY]) == ""


def test_a_guard_beside_the_step_does_not_count(lint: Callable[..., str]) -> None:
    """A guard dominates: a branch that the step does not wait for is no guard, and the way is shown."""
    found = lint([LOOK, {**ASK, "needs": []}, {**BUY, "needs": ["ask"]}])
    assert "main › ask → buy opens orders without the gate 'ok' of desk.look" in found
    assert "add it to needs" in found


def test_a_guard_inside_a_sub_runbook_counts_unless_that_is_conditional(lint: Callable[..., str]) -> None:
    """A sub-runbook that must pass passes on its inner guards; one with an `if` does not."""
    sub = {"id": "checks", "runbook": "checks"}
    assert lint([sub, ASK, BUY], checks=[LOOK]) == ""
    assert "without the gate" in lint([{**sub, "if": "run.dry_run"}, ASK, BUY], checks=[LOOK])


def test_an_opening_step_inside_a_sub_runbook_is_seen(lint: Callable[..., str]) -> None:
    """Policy looks through sub-runbooks: guards around the sub-runbook count, their absence is a fault there."""
    sub = {"id": "trade", "runbook": "trade"}
    assert lint([LOOK, ASK, sub], trade=[BUY]) == ""
    assert "main › ask → trade › buy opens orders without the gate" in lint([ASK, sub], trade=[BUY])


def test_a_failure_path_that_opens_is_refused(lint: Callable[..., str]) -> None:
    """A failure path has the guards of what failed, not the failed step: buying after a failed look is refused."""
    found = lint([{**LOOK, "on_failure": {"runbook": "panic"}}], panic=[BUY])
    assert "a failure of look ⇢ panic › buy opens orders without the gate" in found


def test_finally_that_opens_is_refused(lint: Callable[..., str]) -> None:
    """`finally` runs whatever failed: what stands above it guards nothing there."""
    assert "finally: buy opens orders without" in lint([LOOK, ASK], ending=[BUY])


def test_a_policy_file_with_faults_is_refused(lint: Callable[..., str]) -> None:
    """A policy that can't be read is a fault with its place, never an empty policy."""
    found = lint([LOOK, ASK, BUY], policy="orders.open:\n  gate: []\n")
    assert "profiles/policy.yaml:2:3: unknown key 'gate'" in found


def shipped(tmp_path: Path) -> Project:
    """Return a copy of the shipped project."""
    for name in ("runbooks", "steps", "profiles"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return Project(tmp_path, calendars="aurora.market.calendar:CALENDARS")


def test_the_shipped_runbooks_are_proven(tmp_path: Path) -> None:
    """Every shipped runbook satisfies the shipped policy, and each guard of go-live is a step of it."""
    project = shipped(tmp_path)
    policy = load_policy(project)
    assert policy is not None
    assert not lint_names(project, project.names(), FunctionTable(tmp_path))
    plan = build_plan(Library(project), "go-live")
    assert set(guard_steps(plan, plan.nodes["live"], policy)) == set(policy.guards)


def _guards() -> list[Guard]:
    policy = load_policy(Project(ROOT))
    assert policy is not None
    return list(policy.guards)


@pytest.mark.parametrize("guard", _guards(), ids=str)
def test_each_shipped_guard_is_needed(tmp_path: Path, guard: Guard) -> None:
    """Taking any one guard out of the shipped runbooks makes lint refuse go-live, naming the guard and the way."""
    project = shipped(tmp_path)
    for path in project.runbooks.glob("*.yaml"):
        book = yaml.safe_load(path.read_text())
        for step in list(book["steps"]):
            if guard.uses and step.get("uses") == guard.uses:
                step.pop("gate")
            if guard.confirm and step.get("confirm") == guard.confirm:
                step["confirm"] = "Something else"
        path.write_text(yaml.safe_dump(book, sort_keys=False))
    found = "\n".join(map(str, lint_names(project, ["go-live"], FunctionTable(tmp_path))))
    assert f"opens orders without {guard}" in found
    assert "go-live › " in found


@pytest.mark.parametrize("name", ["preflight", "warmup"])
def test_each_shipped_piece_of_evidence_is_needed(tmp_path: Path, name: str) -> None:
    """Taking a `requires` out of go-live makes lint refuse it."""
    project = shipped(tmp_path)
    path = project.runbooks / "go-live.yaml"
    book = yaml.safe_load(path.read_text())
    book["requires"] = [each for each in book["requires"] if each["runbook"] != name]
    path.write_text(yaml.safe_dump(book, sort_keys=False))
    found = "\n".join(map(str, lint_names(project, ["go-live"], FunctionTable(tmp_path))))
    assert f"without evidence of {name}" in found
