"""`schema`: print the JSON Schema of runbooks."""

from __future__ import annotations

import json
import sys

from aurora.commands.parser import Invocation
from aurora.engine.project import Project
from aurora.engine.schema import runbook_schema


def execute(_project: Project, _invocation: Invocation) -> int:
    """Print it."""
    sys.stdout.write(json.dumps(runbook_schema(), indent=2) + "\n")
    return 0
