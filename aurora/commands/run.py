"""`runbook NAME`: run a runbook from its start."""

from __future__ import annotations

from pathlib import Path

from aurora.commands.parser import Invocation
from aurora.commands.terminal import make_desk, say_end
from aurora.engine.execute import start_run
from aurora.engine.project import Project
from aurora.engine.secrets import read_environment
from aurora.engine.workers import LocalWorkers


def execute(project: Project, invocation: Invocation) -> int:
    """Run it; the exit code is the run's."""
    options = invocation.options
    workers = LocalWorkers(project.root, project.services, read_environment(project.root))
    try:
        workers.warm()  # it starts while the runbook is linted
        desk = make_desk(project, as_json=options.json)
        answers = Path(options.answers) if options.answers else None
        folder, outcome, code = start_run(
            project,
            options.name,
            invocation.params,
            desk,
            dry_run=options.dry_run,
            step_by_step=options.step_by_step,
            answers=answers,
            workers=workers,
        )
    finally:
        workers.close()
    say_end(project, folder, outcome, as_json=options.json)
    return code
