"""`export RUN`: a sealed run's evidence as a DSSE envelope, for tools that read no SSH signatures."""

from __future__ import annotations

import sys

from aurora.commands.parser import Invocation
from aurora.engine.project import Project
from aurora.engine.records import find_run
from aurora.errors import OperatorError
from aurora.evidence.dsse import export
from aurora.evidence.keys import key_path
from aurora.evidence.verification import verify


def execute(project: Project, invocation: Invocation) -> int:
    """Write it beside the evidence; 0 when it is there. A run that does not verify is not exported."""
    folder = find_run(project, invocation.options.run)
    wrong = [finding for finding in verify(project.runs, [folder.name]).findings if not finding.is_note]
    if wrong:
        raise OperatorError(
            f"The run {folder.name} does not verify: {wrong[0].code}, {wrong[0].what}.",
            means="nothing was exported: a second signature over it would make it look better than it is",
            todo=f"look: invoke verify {folder.name}",
        )
    path = export(folder, key_path(project.root))
    sys.stdout.write(f"{project.shown(path)} holds the bytes of evidence.json, signed as DSSE\n")
    return 0
