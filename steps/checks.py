"""Steps of the named checks: whether this code, its models and the recorded data are fit to trade on."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from aurora.checks.datasanity import Sanity, SanityLimits, look_at_data
from aurora.checks.golden import GoldenReplay, replay_golden
from aurora.checks.model_drift import ModelDrift, look_for_drift
from aurora.checks.model_eval import ModelEval, evaluate
from aurora.checks.renewal import GoldenDraft, GoldenKept, draft_golden, keep_golden
from aurora.checks.security import Security, look_at_security
from aurora.checks.smoke import Smoked
from aurora.checks.smoke import smoke as run_smoke
from aurora.engine.context import Context
from aurora.engine.registry import step
from aurora.session.services import Services

if TYPE_CHECKING:
    from aurora.session.run import Attempt


@step(repeat="safe", dry_run="skip")
def smoke(context: Context[Services], parts: list[str]) -> Smoked:
    """Run `parts` of the whole system in a desk beside this one, on a simulated gateway."""
    return run_smoke(context.project, context.artifacts / context.token, parts, context.services.clock, context.log)


@step(repeat="safe", dry_run="skip")
def datasanity(
    context: Context[Services],
    paths: list[str],
    max_gap_s: Decimal = Decimal(60),
    max_jump_pct: Decimal = Decimal(5),
) -> Sanity:
    """Look at recorded quotes and bars row by row: gaps, duplicates, time zone, negative, crossed, outliers."""
    found = look_at_data(context.project, paths, SanityLimits(max_gap_s, max_jump_pct))
    for line in found.findings:
        context.log(line)
    return found


@step(repeat="safe", dry_run="skip")
def golden(context: Context[Services], recording: str) -> GoldenReplay:
    """Run a recorded paper or shadow session again on its own quotes, and compare what was decided."""
    found = replay_golden(context.services, recording, _attempt(context))
    for line in found.differences:
        context.log(line)
    return found


@step(repeat="safe", dry_run="skip")
def model_eval(context: Context[Services], predictions: str, recording: str) -> ModelEval:
    """Hold the profile's model against its golden predictions, and ask it about each bar of a recorded session."""
    root, services = context.project, context.services
    found = evaluate(services.strategy(), root / predictions, root / recording, services.clock, recording)
    for line in found.wrong:
        context.log(line)
    return found


@step(repeat="safe", dry_run="skip")
def drift(context: Context[Services], symbols: list[str]) -> ModelDrift:
    """Hold the features that recent sessions recorded against the reference of the profile's model, by PSI."""
    found = look_for_drift(context.project, context.profile, symbols, context.services.clock.now())
    for line in [*found.failed, *found.warned, *found.unknown, *found.left_out]:
        context.log(line)
    return found


@step(repeat="safe", dry_run="skip")
def draft(context: Context[Services], quotes: str, symbols: list[str], steps: int) -> GoldenDraft:
    """Make a golden session and golden predictions anew, as drafts."""
    return draft_golden(context.services, quotes, tuple(symbols), steps, _attempt(context))


@step(repeat="safe", dry_run="skip")
def keep(
    context: Context[Services], drafted_recording: str, drafted_predictions: str, recording: str, predictions: str
) -> GoldenKept:
    """Put the drafts into use, as `recording` and `predictions`."""
    return keep_golden(context.project, {recording: drafted_recording, predictions: drafted_predictions})


@step(repeat="safe", dry_run="skip")
def security(context: Context[Services], paths: list[str], lock: str, service: str) -> Security:
    """Scan the code with bandit, and ask an OSV service about each locked dependency."""
    found = look_at_security(context.project, paths, lock, service)
    for line in [*found.notes, *found.findings, *found.vulnerable]:
        context.log(line)
    return found


def _attempt(context: Context[Services]) -> Attempt:
    from aurora.session import run  # noqa: PLC0415 - lint imports this module, only workers need the loop

    return run.Attempt(context.token, context.artifacts, context.progress, lambda: context.stopping)
