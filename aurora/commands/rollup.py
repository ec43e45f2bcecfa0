"""`rollup`: what the recorded sessions of some days add up to, held against a profile's SLOs."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from aurora.analytics.period import PeriodRollup, roll_up_period
from aurora.analytics.slo import judge, period_findings
from aurora.analytics.tables import rollup_lines, slo_lines
from aurora.clock import SystemClock
from aurora.commands.parser import Invocation
from aurora.engine.faults import visible
from aurora.engine.profiles import load_profile, profile_names
from aurora.engine.project import Project
from aurora.errors import UsageError
from aurora.journal import plain
from aurora.profile import Profile

MODES = {"paper": "paper", "canary": "shadow", "live": "live"}
"""The canary is the session in shadow mode: all is computed, nothing is sent."""
UNKNOWN = 3
_MOST_DAYS = 3650


def execute(project: Project, invocation: Invocation) -> int:
    """Print it; 0 when all could be read and no promise that blocks was missed; 3 otherwise, also without a session."""
    options = invocation.options
    if options.days > _MOST_DAYS:
        raise UsageError(f"--days was {options.days}; it is {_MOST_DAYS} at the most.", todo="ask for fewer days")
    rollup = roll_up_period(project.root, MODES[options.mode], SystemClock().now(), options.days)
    profile = _profile(project, options.profile, rollup)
    verdict = judge(period_findings(rollup, profile))
    if options.format == "json":
        data = {**asdict(rollup), "slo": {"profile": profile.name, **asdict(verdict)}}
        sys.stdout.write(json.dumps(data, default=plain, allow_nan=False, indent=2) + "\n")
    else:
        markdown = options.format == "md"
        lines = (
            *rollup_lines(rollup, markdown=markdown),
            *slo_lines(verdict.findings, profile.name, markdown=markdown),
        )
        for line in lines:
            sys.stdout.write(visible(line) + "\n")
    return 0 if rollup.known and not verdict.missed and not verdict.unknown else UNKNOWN


def _profile(project: Project, named: str | None, rollup: PeriodRollup) -> Profile:
    """Return the profile that was asked for, else the newest session's if it is still there, else the base."""
    there = profile_names(project)
    newest = next((name for name in rollup.profiles if name in there), "base")
    return load_profile(project, named or newest)
