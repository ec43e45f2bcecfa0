"""What the running commands share: who listens, who answers, and the last lines after a run."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from aurora.commands.announcing import Announcer
from aurora.commands.session_pane import SessionTerminal
from aurora.engine.console import JsonLines, Output, listener_for
from aurora.engine.leg import Desk
from aurora.engine.project import Project
from aurora.engine.prompts import Nobody, Person, person_at
from aurora.engine.records import read_record
from aurora.evidence.keeper import SigningKeeper
from aurora.evidence.persons import PersonSignatory


def make_desk(project: Project, *, as_json: bool) -> Desk:
    """Return the desk of this process's terminal. A program that reads JSON lines can't be asked anything."""
    listener = listener_for(as_json=as_json, terminal=lambda: SessionTerminal(project.runs))
    person: Person = Nobody("no terminal")
    if isinstance(listener, JsonLines):
        keeper = SigningKeeper(project.root, bool, warn=_say_aside, announce=Announcer(project, _say_aside))
    else:

        def say(text: str) -> None:
            listener.on_log("record", text)

        keeper = SigningKeeper(project.root, say, announce=Announcer(project, say))
        person = person_at(listener.show, os.environ)
    signatory = PersonSignatory(project.root, project.runs)
    return Desk(listener, person, on_end=keeper.closed, on_lost=_tell, keeper=keeper, signatory=signatory)


def _say_aside(text: str) -> None:
    Output(sys.stderr).write(f"record | {text}\n")  # where nobody listens, verify will say it


def _tell(folder: Path, text: str) -> None:
    """Say on standard error, and to whoever the profile's alerts reach, that a run goes on without a record."""
    Output(sys.stderr).write(f"aurora: {text}\n")
    try:
        from aurora.desk import notify_of  # noqa: PLC0415 - only a run that lost its journal pays for it

        profile = read_record(folder).state.opened["profile"]["name"]
        delivery = notify_of(folder.parent.parent, profile, f"{folder.name} goes on without a record", text)
    except Exception as error:  # noqa: BLE001 - an alert that fails must not stop what stops a position
        Output(sys.stderr).write(f"aurora: no alert went out: {type(error).__name__}: {error}\n")
    else:
        Output(sys.stderr).write(f"aurora: alert: {delivery.detail}\n")


def say_end(project: Project, folder: Path, outcome: str, *, as_json: bool) -> None:
    """Say where the report lies, and how to go on with a run that is not finished."""
    if as_json:
        return
    lines = [f"report   {project.shown(folder / 'report.html')}", f"         {project.shown(folder / 'report.md')}"]
    if outcome in ("interrupted", "waiting"):
        lines.append(f"go on    invoke resume {folder.name}")
        lines.append(f"end it   invoke cancel {folder.name} --reason …")
    Output(sys.stdout).write("\n".join(lines) + "\n")
