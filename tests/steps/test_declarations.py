"""What every trading step declares, so that lint, dry runs and resumes can rely on it."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from aurora.engine.functions import FunctionTable, StepFunction
from aurora.engine.registry import step_info
from aurora.engine.values import decode, encode
from tests.trading import ROOT

MODULES = (
    "session", "venue", "machine", "limits", "quotes", "rollup", "housekeeping", "maintenance", "github", "checks",
    "governance", "tune",
)  # fmt: skip
USES = [
    f"{module}.{name}"
    for module in MODULES
    for name, value in vars(importlib.import_module(f"steps.{module}")).items()
    if callable(value) and step_info(value)
]


@pytest.fixture(scope="module")
def table() -> FunctionTable:
    """Return the engine's view of the project's steps."""
    return FunctionTable(ROOT)


def test_the_steps_are_known() -> None:
    """These are the trading steps that runbooks may use; a new one is added here, a lost one breaks runbooks."""
    assert sorted(USES) == [
        "checks.datasanity",
        "checks.draft",
        "checks.drift",
        "checks.golden",
        "checks.keep",
        "checks.model_eval",
        "checks.security",
        "checks.smoke",
        "github.actions_secrets",
        "github.branch_protection",
        "github.check_time",
        "github.file_issue",
        "governance.flip",
        "governance.look",
        "governance.promoted",
        "governance.promotion",
        "governance.proven_on_paper",
        "housekeeping.look",
        "housekeeping.tidy",
        "limits.caps",
        "machine.clock_sync",
        "machine.code",
        "machine.disk",
        "machine.drift",
        "machine.environment",
        "machine.kill_flag",
        "machine.lockout",
        "machine.locks",
        "machine.port",
        "machine.secrets",
        "machine.utc",
        "machine.warmed_up",
        "machine.week",
        "maintenance.missed",
        "maintenance.share",
        "maintenance.summary",
        "quotes.look",
        "rollup.figures",
        "rollup.period",
        "rollup.period_figures",
        "rollup.period_slo",
        "rollup.session",
        "rollup.slo",
        "session.live",
        "session.paper",
        "session.rehearse_kill_switch",
        "session.shadow",
        "session.validate",
        "tune.propose",
        "tune.write",
        "venue.clock",
        "venue.market_data",
        "venue.orders_taken",
        "venue.positions_and_cash",
        "venue.reach",
        "venue.terms",
    ]


@pytest.mark.parametrize("uses", USES)
def test_engine_understands_each_step(table: FunctionTable, uses: str) -> None:
    """Each step's arguments and outputs have hints that the engine can read, and none is untyped."""
    step: StepFunction = table.find(uses)
    assert step.returns is not None
    assert step.output_hints()
    assert step.function.__doc__


@pytest.mark.parametrize("uses", USES)
def test_samples_are_what_the_step_returns(table: FunctionTable, uses: str) -> None:
    """A dry run's sample outputs have exactly the step's outputs and types."""
    step = table.find(uses)
    if step.info.sample is not None:
        assert decode(encode(step.info.sample), step.returns) == step.info.sample


def test_only_live_sends_orders(table: FunctionTable) -> None:
    """One step opens positions; it is never repeated, talks to a venue, and is simulated in a dry run."""
    senders = [uses for uses in USES if table.find(uses).info.effects]
    assert senders == ["session.live"]
    info = table.find("session.live").info
    assert info.effects == ("orders.open", "orders.reduce")
    assert (info.repeat, info.venue, info.dry_run) == ("never", True, "simulate")


def test_checks_may_be_repeated(table: FunctionTable) -> None:
    """Every step that only looks is safe to repeat; the rehearsal, which writes the flag, is not."""
    once = [uses for uses in USES if table.find(uses).info.repeat == "never"]
    assert once == ["session.live", "session.rehearse_kill_switch"]


def test_sessions_have_time_to_leave(table: FunctionTable) -> None:
    """A session that is asked to stop has the time that its flatten may take."""
    for uses in ("session.live", "session.paper", "session.shadow"):
        assert table.find(uses).info.stop_grace >= 60


def test_step_modules_import_fast() -> None:
    """Lint imports every step module: none pulls in the session loop, NumPy or the like."""
    heavy = ("aurora.session.loop", "aurora.desk", "numpy", "jsonschema", "rich", "duckdb", "matplotlib", "ib_async")
    imports = ", ".join(f"steps.{module}" for module in MODULES)
    script = f"import sys, {imports}; print([name for name in {heavy!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", script], cwd=Path(ROOT), capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
