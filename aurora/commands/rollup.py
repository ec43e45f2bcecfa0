"""`rollup`: what the recorded sessions of some days add up to."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from aurora.analytics.period import roll_up_period
from aurora.analytics.tables import rollup_lines
from aurora.clock import SystemClock
from aurora.commands.parser import Invocation
from aurora.engine.faults import visible
from aurora.engine.project import Project
from aurora.errors import UsageError
from aurora.journal import plain

MODES = {"paper": "paper", "canary": "shadow", "live": "live"}
"""The canary is the session in shadow mode: all is computed, nothing is sent."""
UNKNOWN = 3
_MOST_DAYS = 3650


def execute(project: Project, invocation: Invocation) -> int:
    """Print it; 0 when all of it could be read, 3 when there is no session or something is in doubt."""
    options = invocation.options
    if options.days > _MOST_DAYS:
        raise UsageError(f"--days was {options.days}; it is {_MOST_DAYS} at the most.", todo="ask for fewer days")
    rollup = roll_up_period(project.root, MODES[options.mode], SystemClock().now(), options.days)
    if options.format == "json":
        sys.stdout.write(json.dumps(asdict(rollup), default=plain, allow_nan=False, indent=2) + "\n")
    else:
        for line in rollup_lines(rollup, markdown=options.format == "md"):
            sys.stdout.write(visible(line) + "\n")
    return 0 if rollup.known else UNKNOWN
