"""`export RUN --dsse`: write a sealed run's evidence in a DSSE envelope, beside it."""

from __future__ import annotations

import sys

from aurora.commands.parser import Invocation
from aurora.engine.project import Project
from aurora.engine.records import find_run
from aurora.errors import RecordError
from aurora.evidence import dsse, statement
from aurora.evidence.keys import key_path
from aurora.evidence.ledger import write_synced
from aurora.evidence.verification import verify


def execute(project: Project, invocation: Invocation) -> int:
    """Write it and say where; only what verifies gets a second signature."""
    folder = find_run(project, invocation.options.run)
    if folder.name not in verify(project.runs, [folder.name], renders=False).whole:
        raise RecordError(
            f"The run {folder.name} is not sealed, or does not verify.",
            means="nothing was signed",
            todo=f"look: invoke verify {folder.name}",
        )
    evidence = (folder / statement.FILE).read_bytes()
    write_synced(folder / dsse.FILE, dsse.envelope(evidence, key_path(project.root)))
    sys.stdout.write(f"{project.shown(folder / dsse.FILE)}\n")
    return 0
