"""`report RUN`: render a run's reports again from its journal."""

from __future__ import annotations

import sys

from aurora.commands.parser import Invocation
from aurora.engine.project import Project
from aurora.engine.records import find_run, read_record
from aurora.evidence.files import write_reports


def execute(project: Project, invocation: Invocation) -> int:
    """Render them and say where they are."""
    folder = read_record(find_run(project, invocation.options.run)).folder
    write_reports(folder)
    sys.stdout.write(f"{project.shown(folder / 'report.html')}\n{project.shown(folder / 'report.md')}\n")
    return 0
