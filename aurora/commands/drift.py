"""`drift [look|fit]`: the model's features against its reference; 0 steady, 1 drifted, 3 when nobody can tell."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from aurora.analytics.drift import FeatureDrift
from aurora.analytics.tables import shown, table
from aurora.clock import SystemClock
from aurora.commands.parser import Invocation
from aurora.engine.faults import visible
from aurora.engine.profiles import load_profile
from aurora.engine.project import Project
from aurora.journal import plain
from aurora.profile import Profile
from aurora.session.models import REGISTRY

DRIFTED, UNKNOWN = 1, 3
_HEADS = ("feature", "verdict", "values", "PSI", "missing %", "outside %")


def execute(project: Project, invocation: Invocation) -> int:
    """Look, or fit the reference anew from recorded sessions."""
    options = invocation.options
    profile = load_profile(project.root, options.profile)
    if options.act == "fit":
        return _fit(project, profile, options.days or int(profile.models.drift.window_days))
    from aurora.checks.model_drift import look_for_drift  # noqa: PLC0415 - only this command needs it

    symbols = tuple(filter(None, (each.strip().upper() for each in (options.symbols or "").split(","))))
    found = look_for_drift(project.root, profile, symbols, SystemClock().now())
    if options.json:
        sys.stdout.write(json.dumps(asdict(found), default=plain, allow_nan=False, indent=2) + "\n")
    else:
        _say(f"model {found.model}: {len(found.sessions)} sessions pooled, {found.own} of them the reference's own")
        for line in table(_HEADS, [_row(each) for each in found.features], markdown=False) if found.features else ():
            _say(line)
        marks = {"✘ drifted": found.failed, "! warning": found.warned, "✘ UNKNOWN": found.unknown}
        for mark, lines in marks.items():
            for line in lines:
                _say(f"{mark}: {line}")
        for line in found.left_out:
            _say(f"· left out: {line}")
        if found.known and not found.failed:
            _say("✔ no feature has drifted")
    return DRIFTED if found.failed else 0 if found.known else UNKNOWN


def _fit(project: Project, profile: Profile, days: int) -> int:
    from aurora.checks.drift_reference import write_reference  # noqa: PLC0415 - only this command needs it
    from aurora.checks.model_drift import fit  # noqa: PLC0415 - the same

    reference = fit(project.root, profile, SystemClock().now(), days)
    name, sha256 = write_reference(project.root, str(profile.models.name), reference)
    quotes = (
        "real-time quotes" if reference.realtime else "generated or recorded quotes: good for a simulated venue only"
    )
    for feature, bins in reference.features.items():
        _say(f"{feature}: {sum(bins.counts)} values in {len(bins.counts)} bins, {bins.low} to {bins.high}")
    count, symbols = len(reference.sessions), ", ".join(reference.symbols)
    _say(f"{count} sessions of {symbols}, bars of {reference.poll_sec} s, {quotes}")
    _say(f"✔ {name} is written; {REGISTRY} names it, with its sha256 {sha256[:12]}…: look at it, and commit both")
    return 0


def _row(found: FeatureDrift) -> tuple[str, ...]:
    figures = (found.psi, found.missing_pct, found.outside_pct)
    return (found.feature, str(found.verdict), str(found.samples), *(shown(figure) for figure in figures))


def _say(line: str) -> None:
    sys.stdout.write(f"drift: {visible(line)}\n")
