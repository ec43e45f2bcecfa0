"""Steps that speak to GitHub: an issue for what is wrong, and what protects the branch."""

from __future__ import annotations

from aurora.alerts.actions import ActionsSecrets, CheckTime, read_actions_secrets, read_check_time
from aurora.alerts.github import Filed, Protection
from aurora.alerts.github import file_issue as file
from aurora.alerts.github import read_protection as read
from aurora.alerts.occurrence import occurrence_of
from aurora.engine.context import Context
from aurora.engine.registry import step
from aurora.engine.secrets import Masker, secrets_of
from aurora.journal import read_journal
from aurora.session.services import Services


@step(repeat="safe", dry_run="skip")
def file_issue(context: Context[Services]) -> Filed:
    """File what is not green in this run so far: a new issue, or a comment on the open one of the same fingerprint."""
    found = occurrence_of(read_journal(context.project / "runs" / context.run / "journal.jsonl").events)
    if found is None:
        return Filed(False, "none", None, "nothing is wrong in this run; there is nothing to file")
    environment = context.services.environment
    names = [*context.profile.secrets, "GITHUB_TOKEN"]
    filed = file(environment, found, Masker(secrets_of(names, environment)).text)
    context.log(filed.note)
    return filed


@step(repeat="safe", dry_run="skip")
def branch_protection(context: Context[Services], checks: list[str], branch: str = "main") -> Protection:
    """Look whether `branch` requires `checks`, and whether their last runs were green."""
    found = read(context.services.environment, branch, checks)
    context.log(found.note)
    return found


@step(repeat="safe", dry_run="skip")
def actions_secrets(context: Context[Services]) -> ActionsSecrets:
    """Look whether Actions has each variable that the profile names, the secrets among its secrets; never a value."""
    profile = context.profile
    found = read_actions_secrets(context.services.environment, profile.secrets, profile.environment)
    context.log(found.note)
    return found


@step(repeat="safe", dry_run="skip")
def check_time(context: Context[Services], check: str, branch: str = "main") -> CheckTime:
    """Look how long `check` took on `branch`, the last time."""
    found = read_check_time(context.services.environment, branch, check)
    context.log(found.note)
    return found
