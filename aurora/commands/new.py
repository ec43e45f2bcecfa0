"""`new runbook|step NAME`: write a file that lints and runs as it is."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from aurora.commands.parser import Invocation
from aurora.engine.project import Project
from aurora.errors import UsageError

RUNBOOK = """\
# yaml-language-server: $schema={schema}
runbook: {name}
title: {title}
params:
  place: {{type: string, default: here, help: where to look}}
steps:
  - id: look
    title: What is there?
    uses: {module}.look
    with: {{place: "{{{{ params.place }}}}"}}
    gate: problems == []
  - id: sure
    confirm: A person looked, too
    timeout: 10m
"""

STEP = '''\
"""Steps about {module}."""

from __future__ import annotations

from dataclasses import dataclass

from aurora.engine.context import Context
from aurora.engine.registry import step


@dataclass(frozen=True)
class {result}:
    """What gates may name."""

    problems: list[str]


@step(repeat="safe")  # it may run again after a crash; without this it never does
def {function}(context: Context[object], place: str = "here") -> {result}:
    """Look at `place`."""
    context.log(f"looking at {{place}}")
    return {result}(problems=[])
'''


def execute(project: Project, invocation: Invocation) -> int:
    """Write the files; nothing that exists is touched."""
    name = invocation.options.name
    written = new_runbook(project, name) if invocation.options.kind == "runbook" else [new_step(project, name)]
    for path in written:
        sys.stdout.write(f"wrote {project.shown(path)}\n")
    if invocation.options.kind == "runbook":
        sys.stdout.write(f"try it: invoke lint runbooks/{name}.yaml   and   invoke runbook {name} --dry-run\n")
    else:
        sys.stdout.write(f"name it in a runbook: uses: {name}\n")
    return 0


def new_runbook(project: Project, name: str) -> list[Path]:
    """Write `runbooks/NAME.yaml`, and the step module that it uses. Raises UsageError for a bad or taken name."""
    if not re.fullmatch(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*", name):
        raise UsageError(
            f"{name!r} is no name for a runbook.", means="nothing was written", todo="use a-z, 0-9, - and _"
        )
    module = name.replace("-", "_")
    path = project.runbooks / f"{name}.yaml"
    step = project.root / "steps" / f"{module}.py"
    for each in (path, step):
        _free(project, each)
    shipped = project.root / "aurora" / "schemas" / "runbook.schema.json"
    schema = "../aurora/schemas/runbook.schema.json" if shipped.is_file() else "../runbook.schema.json"
    title = name.replace("-", " ").replace("_", " ").capitalize()
    return [
        _write(path, RUNBOOK.format(schema=schema, name=name, title=title, module=module)),
        _write(step, _step_text(module, "look")),
    ]


def new_step(project: Project, name: str) -> Path:
    """Write `steps/MODULE.py` with the step FUNCTION. Raises UsageError for a bad or taken name."""
    module, dot, function = name.rpartition(".")
    if not dot or not all(re.fullmatch(r"[a-z][a-z0-9_]*", part) for part in (module, function)):
        raise UsageError(
            f"{name!r} is no name for a step.",
            means="nothing was written",
            todo="write MODULE.FUNCTION, such as weather.look",
        )
    path = project.root / "steps" / f"{module}.py"
    _free(project, path)
    return _write(path, _step_text(module, function))


def _step_text(module: str, function: str) -> str:
    result = "".join(part.capitalize() for part in function.split("_")) + "Result"
    return STEP.format(module=module.replace("_", " "), function=function, result=result)


def _free(project: Project, path: Path) -> None:
    if path.exists():
        raise UsageError(
            f"{project.shown(path)} is there already.",
            means="nothing was written",
            todo="choose another name, or edit it",
        )


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, "utf-8")
    return path
