"""`report RUN`: render a run's reports again from its journal."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from aurora.commands.parser import Invocation
from aurora.engine.project import Project
from aurora.engine.records import find_run, read_record
from aurora.errors import RecordError
from aurora.evidence.files import render_reports, write_reports
from aurora.evidence.ledger import read_ledger_text
from aurora.evidence.statement import FILE, subjects_of


def execute(project: Project, invocation: Invocation) -> int:
    """Render them and say where they are."""
    folder = read_record(find_run(project, invocation.options.run)).folder
    if folder.name in read_ledger_text(project.runs).sealed:
        _refuse_other_bytes(folder)
    write_reports(folder)
    sys.stdout.write(f"{project.shown(folder / 'report.html')}\n{project.shown(folder / 'report.md')}\n")
    if invocation.options.open:
        _show(folder / "report.html")
    return 0


def _show(page: Path) -> None:
    import webbrowser  # noqa: PLC0415 - only for whoever asks for it

    if not webbrowser.open(page.as_uri()):
        sys.stdout.write("No browser could be started here; open the page above yourself.\n")


def _refuse_other_bytes(folder: Path) -> None:
    """Refuse to write over a sealed report what is not the same: that would break the seal."""
    try:
        sealed = subjects_of((folder / FILE).read_bytes())
    except (OSError, ValueError) as error:
        raise RecordError(f"The run {folder.name} is sealed, and its evidence can't be read.") from error
    for name, text in render_reports(folder).items():
        if hashlib.sha256(text.encode()).hexdigest() != sealed.get(f"{folder.name}/{name}"):
            raise RecordError(
                f"The run {folder.name} is sealed, and its {name} would be another one now.",
                means="another version of Aurora wrote it, or its journal or a figure was changed; nothing was written",
                todo=f"look: invoke verify {folder.name}",
            )
