"""`resume RUN`: go on with a run that was interrupted, killed, or waits for a person."""

from __future__ import annotations

from aurora.commands.parser import Invocation
from aurora.commands.terminal import make_desk, say_end
from aurora.engine.execute import GoingOn, resume_run
from aurora.engine.project import Project
from aurora.errors import UsageError


def execute(project: Project, invocation: Invocation) -> int:
    """Go on; the exit code is the run's."""
    options = invocation.options
    settle = dict(_settled(word) for word in options.settle)
    desk = make_desk(project, as_json=options.json)
    how = GoingOn(options.accept_changes, settle, options.waive, options.reason)
    folder, outcome, code = resume_run(project, options.run, desk, how)
    say_end(project, folder, outcome, as_json=options.json)
    return code


def _settled(word: str) -> tuple[str, str]:
    step, _, answer = word.rpartition("=")
    if not step or answer not in ("done", "not_done"):
        raise UsageError(
            f"--settle {word!r} says nothing.",
            means="nothing was run",
            todo="write --settle STEP=done or STEP=not_done",
        )
    return step, answer
