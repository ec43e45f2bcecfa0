"""`cancel RUN --reason TEXT`: end an unfinished run; its `finally` runs, nothing else."""

from __future__ import annotations

import sys
import time

from aurora.commands.parser import Invocation
from aurora.commands.terminal import make_desk, say_end
from aurora.engine.console import Output
from aurora.engine.execute import GoingOn, engine_of, resume_run
from aurora.engine.inbox import send
from aurora.engine.project import Project
from aurora.engine.records import Record, find_run, read_record

LOOK_S = 0.1


def execute(project: Project, invocation: Invocation) -> int:
    """End it; 0 when it is cancelled and its `finally` was green."""
    options = invocation.options
    record = read_record(find_run(project, options.run))
    if record.state.outcome is None and engine_of(project, record.id):
        record = _ask(project, record, options.reason)
        if record.state.outcome is not None:
            outcome, code = record.state.outcome, record.state.exit_code or 0
            say_end(project, record.folder, outcome, as_json=options.json)
            return 0 if outcome == "cancelled" else code
    desk = make_desk(project, as_json=options.json)
    how = GoingOn(accept_changes=options.accept_changes, cancel=f"cancelled: {options.reason}")
    folder, outcome, code = resume_run(project, record.id, desk, how)
    say_end(project, folder, outcome, as_json=options.json)
    return 0 if outcome == "cancelled" else code


def _ask(project: Project, record: Record, reason: str) -> Record:
    """Ask the engine that has the run to end it, wait until it lets go of it, and return what is on record then."""
    process = engine_of(project, record.id)
    send(record.folder, "cancel", {"reason": reason})
    say = Output(sys.stderr)
    say.write(f"The run {record.id} goes on in process {process}; it is asked to end. Waiting for it …\n")
    while engine_of(project, record.id):
        time.sleep(LOOK_S)
    return read_record(record.folder)
