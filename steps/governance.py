"""Steps of governance: how the named checks stand, and turning one over."""

from __future__ import annotations

from aurora.engine.context import Context
from aurora.engine.registry import step
from aurora.governance.flips import Flipped, GovernanceLook, look_at_checks
from aurora.governance.flips import flip as turn_over
from aurora.governance.paper_proof import PaperProof, find_paper_proof
from aurora.governance.promotion import Promoted, Promotion, compare_with_promoted, look_at_week
from aurora.session.services import Services


@step(repeat="safe")
def look(context: Context[Services], check: str = "") -> GovernanceLook:
    """Look how the named checks stand, and what their sealed runs speak for: of `check`, or of the first ready one."""
    found = look_at_checks(context.project, check)
    for line in found.table:
        context.log(line)
    if found.check:
        context.log(f"proposed: {found.check} to {found.to}: {found.why}")
    for line in [*(f"  {each}" for each in found.evidence), *(f"also ready: {each}" for each in found.others)]:
        context.log(line)
    return found


@step(repeat="safe", dry_run="skip")
def promotion(context: Context[Services], symbols: list[str]) -> Promotion:
    """Look whether a week of sealed sessions counts for going live with the profile, its model and `symbols`."""
    services = context.services
    model = services.strategy().name
    found = look_at_week(context.project, context.profile, symbols, model, services.clock.now())
    for line in [*found.days, *(f"missing: {each}" for each in found.missing)]:
        context.log(line)
    return found


@step(repeat="safe")
def promoted(context: Context[Services], symbols: list[str], days: int = 30) -> Promoted:
    """Compare what would go live with what was promoted in the last days: symbols, model, code, and looser limits."""
    services, model = context.services, context.services.strategy().name
    found = compare_with_promoted(context.project, context.profile, symbols, model, services.clock.now(), days)
    context.log(found.note)
    return found


@step(repeat="safe")
def proven_on_paper(context: Context[Services]) -> PaperProof:
    """Look whether a live session on a paper account was ever clean, in a sealed run."""
    found = find_paper_proof(context.project / "runs")
    context.log(found.note)
    return found


@step(repeat="safe", dry_run="skip")
def flip(context: Context[Services], check: str, to: str) -> Flipped:
    """Turn `check` over in profiles/governance.yaml, if its sealed runs still speak for it."""
    return turn_over(context.project, check, to, context.run)
