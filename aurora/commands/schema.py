"""`schema`: print the JSON Schema of runbooks, or of a line of a session's record."""

from __future__ import annotations

import sys

from aurora.commands.parser import Invocation
from aurora.engine.project import Project
from aurora.engine.schema import RUNBOOK_SCHEMA

SCHEMAS = {"runbook": RUNBOOK_SCHEMA, "session": RUNBOOK_SCHEMA.with_name("session.schema.json")}


def execute(_project: Project | None, invocation: Invocation) -> int:
    """Print it."""
    sys.stdout.write(SCHEMAS[invocation.options.kind].read_text("utf-8"))
    return 0
