"""Steps that take a profile back: what would change, the files of a commit, models off."""

from __future__ import annotations

from aurora.engine.context import Context
from aurora.engine.registry import step
from aurora.housekeeping.rollback import Change, Restored, plan_rollback
from aurora.housekeeping.rollback import models_off as switch_models_off
from aurora.housekeeping.rollback import restore as restore_files
from aurora.session.services import Services


@step(repeat="safe")
def plan(context: Context[Services], profile: str, commit: str = "") -> Change:
    """Find the commit to go back to (the last green run's, unless one is named), and what would change."""
    found = plan_rollback(context.project, profile, commit)
    context.log(found.diff or f"{', '.join(found.files)}: as in {found.commit[:12]} already")
    return found


@step(repeat="safe", dry_run="skip")
def restore(context: Context[Services], profile: str, commit: str) -> Restored:
    """Write the profile's files as they are in `commit`."""
    return restore_files(context.project, profile, commit)


@step(repeat="safe", dry_run="skip")
def models_off(context: Context[Services], profile: str) -> Restored:
    """Switch the models off in the profile's own file; a session that is going keeps what it began with."""
    return switch_models_off(context.project, profile)
