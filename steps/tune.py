"""Steps of tuning: what recorded sessions propose for a profile, and writing it after a person's yes."""

from __future__ import annotations

from aurora.engine.context import Context
from aurora.engine.registry import step
from aurora.governance.tuned_profile import Tuned, TuningDraft, draft_tuning, write_tuning
from aurora.session.services import Services


@step(repeat="safe", dry_run="skip")
def propose(context: Context[Services], days: int = 30) -> TuningDraft:
    """Propose costs and limits of quotes from the clean sessions of the last days, as a draft of the profile."""
    found = draft_tuning(context.project, context.profile, context.services.clock.now(), days, context.artifacts)
    for line in [*found.lines, *(f"stays: {each}" for each in found.stays)]:
        context.log(line)
    for line in [*found.diff.splitlines(), *(f"rests on {each}" for each in found.sessions)]:
        context.log(line)
    for line in found.left_out:
        context.log(f"left out: {line}")
    return found


@step(repeat="safe", dry_run="skip")
def write(context: Context[Services], draft: str, before: str, after: str) -> Tuned:
    """Put the draft into use, if it and the profile are what was shown."""
    return write_tuning(context.project, context.profile, draft, before, after)
