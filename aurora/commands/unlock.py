"""`unlock --root-cause TEXT [--issue N]`: lift the lockout of live mode; a person does it, and it is on record."""

from __future__ import annotations

import sys

from aurora.clock import SystemClock
from aurora.commands.acts import enter
from aurora.commands.parser import Invocation
from aurora.commands.person import require_person
from aurora.engine.faults import visible
from aurora.engine.project import Project
from aurora.errors import UsageError
from aurora.risk.lockout import FOLDER, RECORD, Lockout


def execute(project: Project, invocation: Invocation) -> int:
    """Lift it; 0 when it is gone."""
    options = invocation.options
    root_cause = options.root_cause.strip()
    if not root_cause:
        raise UsageError("The root cause was empty.", means="the lockout stands", todo="say what was wrong, and is not")
    by = require_person("Only a person lifts a lockout")
    lifted = Lockout(project.root, "live").lift(root_cause, options.issue, by, SystemClock())
    reasons = [anomaly.reason for anomaly in lifted]
    enter(project, "unlocked", {"root_cause": root_cause, "issue": options.issue, "by": by, "was": reasons})
    for anomaly in lifted:
        sys.stdout.write(f"  was locked out since {anomaly.at or '(unknown)'}: {visible(anomaly.reason)}\n")
    sys.stdout.write(f"The mode live is unlocked; who and why is on record in {FOLDER}/{RECORD}.\n")
    return 0
