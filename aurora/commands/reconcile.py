"""`reconcile [--dry-run]`: the day's order journal against the venue; 0 when they agree, 3 when they drift."""

from __future__ import annotations

import contextlib
import sys

from aurora.commands.parser import Invocation
from aurora.engine.faults import visible
from aurora.engine.profiles import load_profile
from aurora.engine.project import Project
from aurora.engine.secrets import read_environment
from aurora.execution.reconciliation import Finding, Weight
from aurora.session.reconciling import Reconciled, reconcile_account

_MARKS = {Weight.DRIFT: "✘", Weight.ADVICE: "!", Weight.NOTE: "·"}
DRIFT = 3


def execute(project: Project, invocation: Invocation) -> int:
    """Compare, say each difference with what it means, and lock live out on drift (not with --dry-run)."""
    from aurora.desk import Desk  # noqa: PLC0415 - only what trades builds a desk

    options = invocation.options
    desk = Desk(project.root, load_profile(project.root, options.profile), read_environment(project.root))
    with contextlib.ExitStack() as stack:
        result = reconcile_account(desk, stack, records=not options.dry_run)
    for finding in result.findings:
        _show(finding)
    _sum_up(result)
    return 0 if result.is_clean else DRIFT


def _show(finding: Finding) -> None:
    _say(f"{_MARKS[finding.weight]} {finding.text}")
    if finding.weight is not Weight.NOTE:
        _say(f"    means: {finding.means}")
        _say(f"    to do: {finding.todo}")


def _sum_up(result: Reconciled) -> None:
    for finding in result.passing:
        _say(f"· only one of two reads said so: {finding.text}")
    for note in result.notes:
        _say(f"· {note}")
    drift = [finding for finding in result.findings if finding.weight is Weight.DRIFT]
    about = f"{result.orders} orders, {result.fills} fills, venue {result.venue}, {result.book}"
    if drift:
        _say(f"✘ drift: {len(drift)} finding{'' if len(drift) == 1 else 's'} ({about})")
        if result.is_locked_out:
            _say("  live is locked out; when it is explained: invoke unlock --root-cause TEXT")
    else:
        _say(f"✔ record and venue agree ({about})")


def _say(line: str) -> None:
    sys.stdout.write(f"reconcile: {visible(line)}\n")
