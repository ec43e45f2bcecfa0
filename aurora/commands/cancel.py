"""`cancel RUN --reason TEXT`: end an unfinished run; its `finally` runs, nothing else."""

from __future__ import annotations

from aurora.commands.parser import Invocation
from aurora.commands.terminal import make_desk, say_end
from aurora.engine.execute import resume_run
from aurora.engine.project import Project


def execute(project: Project, invocation: Invocation) -> int:
    """End it; 0 when it is cancelled and its `finally` was green."""
    options = invocation.options
    desk = make_desk(project, as_json=options.json)
    folder, outcome, code = resume_run(
        project, options.run, desk, accept_changes=options.accept_changes, cancel=f"cancelled: {options.reason}"
    )
    say_end(project, folder, outcome, as_json=options.json)
    return 0 if outcome == "cancelled" else code
