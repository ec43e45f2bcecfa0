"""`runs`: list the runs, newest first."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Mapping

from aurora.commands.parser import Invocation
from aurora.engine.faults import visible
from aurora.engine.project import Project
from aurora.engine.records import records
from aurora.errors import AuroraError


def execute(project: Project, invocation: Invocation) -> int:
    """Print them."""
    found = list(itertools.islice(records(project), invocation.options.limit))
    for run_id, record in found:
        if isinstance(record, AuroraError):
            line = {"run": run_id, "status": "unreadable", "error": record.what}
        else:
            opened = record.state.opened
            line = {
                "run": run_id,
                "status": record.status,
                "runbook": opened["runbook"],
                "profile": opened["profile"]["name"],
                "mode": opened["mode"],
                "venue": opened["venue"],
                "dry_run": opened["dry_run"],
            }
        sys.stdout.write(json.dumps(line) + "\n" if invocation.options.json else visible(_text(line)) + "\n")
    if not found and not invocation.options.json:
        sys.stdout.write("No runs yet. Start with a rehearsal: make rehearse\n")
    return 0


def _text(line: Mapping[str, object]) -> str:
    if "error" in line:
        return f"{line['run']:<40}  {line['status']:<11}  {line['error']}"
    dry = "  dry run" if line["dry_run"] else ""
    return f"{line['run']:<40}  {line['status']:<11}  {line['mode']} on {line['venue']}  profile {line['profile']}{dry}"
