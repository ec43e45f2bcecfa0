"""What the running commands share: who listens, who answers, and the last lines after a run."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from aurora.engine.console import JsonLines, Output, listener_for
from aurora.engine.execute import Desk
from aurora.engine.project import Project
from aurora.engine.prompts import Nobody, person_at
from aurora.evidence.keeper import SigningKeeper


def make_desk(project: Project, *, as_json: bool) -> Desk:
    """Return the desk of this process's terminal. A program that reads JSON lines can't be asked anything."""
    listener = listener_for(as_json=as_json)
    if isinstance(listener, JsonLines):
        keeper = SigningKeeper(project.root, bool, warn=_say_aside)
        return Desk(listener, Nobody("no terminal"), on_end=keeper.closed, keeper=keeper)
    keeper = SigningKeeper(project.root, lambda text: listener.on_log("record", text))
    return Desk(listener, person_at(listener.show, os.environ), on_end=keeper.closed, keeper=keeper)


def _say_aside(text: str) -> None:
    with contextlib.suppress(OSError):  # where nobody listens, verify will say it
        sys.stderr.write(f"record | {text}\n")


def say_end(project: Project, folder: Path, outcome: str, *, as_json: bool) -> None:
    """Say where the report lies, and how to go on with a run that is not finished."""
    if as_json:
        return
    lines = [f"report   {project.shown(folder / 'report.html')}", f"         {project.shown(folder / 'report.md')}"]
    if outcome in ("interrupted", "waiting"):
        lines.append(f"go on    invoke resume {folder.name}")
        lines.append(f"end it   invoke cancel {folder.name} --reason …")
    Output(sys.stdout).write("\n".join(lines) + "\n")
