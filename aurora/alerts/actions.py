"""What GitHub Actions knows: the names of its secrets and variables, and how long a check took on a branch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from aurora.alerts.github import Unreachable, ask_github

if TYPE_CHECKING:
    from github.Repository import Repository


@dataclass(frozen=True)
class ActionsSecrets:
    """Which names Actions has. known: GitHub answered. missing: those that are neither; exposed: secrets as variables.

    GitHub never tells a value, so that it is the right one stays open.
    """

    known: bool
    missing: list[str]
    exposed: list[str]
    note: str


@dataclass(frozen=True)
class CheckTime:
    """How long a check took, the last time. known: GitHub answered, and it ran to a good end. took_s: in seconds."""

    known: bool
    took_s: Decimal
    note: str


def read_actions_secrets(
    environment: Mapping[str, str], secrets: Sequence[str], others: Sequence[str]
) -> ActionsSecrets:
    """Look whether each of `secrets` is a secret of Actions, and each of `others` a secret or a variable."""
    wanted = sorted({*secrets, *others})
    try:
        return ask_github(environment, lambda repository: _secrets(repository, secrets, wanted))
    except Unreachable as why:
        return ActionsSecrets(False, wanted, [], str(why))


def read_check_time(environment: Mapping[str, str], branch: str, check: str) -> CheckTime:
    """Return how long the last run of `check` on `branch` took."""
    try:
        return ask_github(environment, lambda repository: _check_time(repository, branch, check))
    except Unreachable as why:
        return CheckTime(False, Decimal(0), str(why))


def _secrets(repository: Repository, secrets: Sequence[str], wanted: Sequence[str]) -> ActionsSecrets:
    held = {secret.name for secret in repository.get_secrets("actions")}
    open_ones = {variable.name for variable in repository.get_variables()}
    exposed = [name for name in sorted(secrets) if name in open_ones]
    missing = [name for name in wanted if name not in held and (name in secrets or name not in open_ones)]
    return ActionsSecrets(True, missing, exposed, f"{len(held)} secrets and {len(open_ones)} variables in Actions")


def _check_time(repository: Repository, name: str, check: str) -> CheckTime:
    branch = repository.get_branch(name)
    at = f"branch {name} at {branch.commit.sha[:12]}"
    for run in branch.commit.get_check_runs(filter="latest"):
        if run.name in _names(check):
            if run.conclusion != "success":
                return CheckTime(False, Decimal(0), f"{check} ended {run.conclusion}, {at}")
            started, ended = _instant(run.started_at), _instant(run.completed_at)
            if started is None or ended is None or ended < started:
                return CheckTime(False, Decimal(0), f"GitHub does not say how long {check} took, {at}")
            took = Decimal(str((ended - started).total_seconds()))
            return CheckTime(True, took, f"{check} took {took} s, {at}")
    return CheckTime(False, Decimal(0), f"{check} has no run, {at}")


def _instant(found: object) -> datetime | None:
    return found if isinstance(found, datetime) else None  # the library's types promise more than GitHub sends


def _names(check: str) -> Iterator[str]:
    yield check
    yield check.rpartition(" / ")[2]
