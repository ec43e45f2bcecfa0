"""`show RUN`: what a run did, from its journal."""

from __future__ import annotations

from aurora.commands.parser import Invocation
from aurora.commands.terminal import say_end
from aurora.engine.console import JsonLines, PlainLines
from aurora.engine.project import Project
from aurora.engine.records import find_run, read_record


def execute(project: Project, invocation: Invocation) -> int:
    """Print the run's events as lines."""
    record = read_record(find_run(project, invocation.options.run))
    listener = JsonLines() if invocation.options.json else PlainLines()
    for event in record.text.events:
        listener.on_event(event)
    outcome = "interrupted" if record.state.outcome is None else record.state.outcome
    say_end(project, record.folder, outcome, as_json=invocation.options.json)
    return 0
