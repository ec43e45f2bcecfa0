"""`lint [FILE …]`: every fault of runbooks and profiles, in one pass."""

from __future__ import annotations

import sys
from pathlib import Path

from aurora.commands.parser import Invocation
from aurora.engine.faults import Fault, Place, RunbookError
from aurora.engine.functions import FunctionTable
from aurora.engine.lint import lint_names
from aurora.engine.profiles import load_profile, profile_names
from aurora.engine.project import Project
from aurora.errors import ProfileError, UsageError


def execute(project: Project, invocation: Invocation) -> int:
    """Print the faults; 0 when there are none, 2 when there are."""
    files = [Path(name) for name in invocation.options.files]
    names = [_name(project, path) for path in files] or project.names()
    faults: list[Fault] = lint_names(project, names, FunctionTable(project.root))
    checked = f"{len(names)} runbook{'s' if len(names) != 1 else ''}"
    if not files:
        profiles = profile_names(project)
        checked += f" and {len(profiles)} profile{'s' if len(profiles) != 1 else ''}"
        faults = sorted({*faults, *_profile_faults(project, profiles)})
    if faults:
        raise RunbookError(faults)
    sys.stdout.write(f"{checked}: no faults\n")
    return 0


def _name(project: Project, path: Path) -> str:
    """Return the runbook that a file is, or a bare name names."""
    if path.suffix != ".yaml" and str(path) in project.names():
        return str(path)
    resolved = path.resolve()
    if not resolved.is_file():
        raise UsageError(
            f"There is no file {path}.", means="nothing was checked", todo="name runbook files, or nothing for all"
        )
    if resolved.parent != project.runbooks.resolve() or resolved.suffix != ".yaml":
        raise UsageError(
            f"{path} is not a runbook of this project.",
            means="runbooks lie in runbooks/ and end in .yaml",
            todo=f"move it to {project.shown(project.runbooks)}/",
        )
    return resolved.stem


def _profile_faults(project: Project, names: list[str]) -> list[Fault]:
    faults: list[Fault] = []
    for name in names:
        try:
            load_profile(project, name)
        except RunbookError as error:
            faults.extend(error.faults)
        except ProfileError as error:
            faults.append(Fault(Place(f"profiles/{name}.yaml"), error.what))
    return faults
