"""`unlock --root-cause TEXT [--issue N]`: lift the lockout of live mode; a person does, and signs it."""

from __future__ import annotations

import sys
from typing import Any

from aurora.clock import SystemClock, iso
from aurora.commands.acts import enter
from aurora.commands.parser import Invocation
from aurora.commands.person import require_person, signed_act, signer_in_words
from aurora.consent import unlocking
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
    lockout, clock = Lockout(project.root, "live"), SystemClock()
    proof = _signed(project, lockout, root_cause, options.issue, clock) if lockout.stands else None
    lifted = lockout.lift(root_cause, options.issue, by, clock, proof)
    reasons = [anomaly.reason for anomaly in lifted]
    data = {"root_cause": root_cause, "issue": options.issue, "by": by, "was": reasons}
    enter(project, "unlocked", {**data, "mode": lockout.mode, **(proof or {})})
    for anomaly in lifted:
        sys.stdout.write(f"  was locked out since {anomaly.at or '(unknown)'}: {visible(anomaly.reason)}\n")
    sys.stdout.write(f"The mode live is unlocked; who and why is on record in {FOLDER}/{RECORD}.\n")
    if proof is not None:
        sys.stdout.write(f"  {signer_in_words(proof)}\n")
    return 0


def _signed(
    project: Project, lockout: Lockout, root_cause: str, issue: int | None, clock: SystemClock
) -> dict[str, Any]:
    """Return the act with a person's signature; only a lock that rehearsals alone have set needs none."""
    anomalies = [vars(anomaly) for anomaly in lockout.anomalies()]
    act = {"anomalies": anomalies, "at": iso(clock.now())}
    words = {**act, "mode": lockout.mode, "root_cause": root_cause, "issue": issue}
    must = not lockout.is_rehearsed
    return {**act, **signed_act(project, lambda: unlocking(words), must=must, stays="the lockout stands")}
