"""`schema`: print the JSON Schema of runbooks."""

from __future__ import annotations

import sys

from aurora.commands.parser import Invocation
from aurora.engine.project import Project
from aurora.engine.schema import RUNBOOK_SCHEMA


def execute(_project: Project | None, _invocation: Invocation) -> int:
    """Print it."""
    sys.stdout.write(RUNBOOK_SCHEMA.read_text("utf-8"))
    return 0
