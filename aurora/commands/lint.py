"""`lint [FILE …]`: every fault of runbooks and profiles, in one pass."""

from __future__ import annotations

import sys
from pathlib import Path

from aurora.commands.parser import Invocation
from aurora.engine.faults import Fault, Place, RunbookError
from aurora.engine.functions import FunctionTable
from aurora.engine.lint import lint_names
from aurora.engine.policy import FILE as POLICY
from aurora.engine.policy import load_policy
from aurora.engine.profiles import load_profile, profile_names
from aurora.engine.project import Project
from aurora.errors import ProfileError, UsageError


def execute(project: Project, invocation: Invocation) -> int:
    """Print the faults; 0 when there are none, 2 when there are."""
    files = [_found(project, Path(name)) for name in invocation.options.files]
    if files:
        books = [path.stem for path in files if path.parent.name == project.runbooks.name]
        profiles = [path.stem for path in files if path.parent.name == project.profiles.name]
    else:
        books, profiles = project.names(), profile_names(project)
    faults = {*lint_names(project, books, FunctionTable(project.root)), *_profile_faults(project, profiles)}
    if faults:
        raise RunbookError(faults)
    checked = [f"{len(books)} runbook{'s' if len(books) != 1 else ''}"] if books or not profiles else []
    checked += [f"{len(profiles)} profile{'s' if len(profiles) != 1 else ''}"] if profiles else []
    sys.stdout.write(f"{' and '.join(checked)}: no faults\n")
    return 0


def _found(project: Project, path: Path) -> Path:
    """Return the runbook or profile that a file is, or the runbook that a bare name names. Raises UsageError."""
    if path.suffix != ".yaml" and str(path) in project.names():
        return project.path_of(str(path))
    resolved = path.resolve()
    if not resolved.exists():
        raise UsageError(
            f"There is no file {path}.", means="nothing was checked", todo="name runbook files, or nothing for all"
        )
    folders = [folder.resolve() for folder in (project.runbooks, project.profiles)]
    if resolved.parent not in folders or resolved.suffix != ".yaml":
        raise UsageError(
            f"{path} is no runbook or profile of this project.",
            means="runbooks lie in runbooks/, profiles in profiles/, and both end in .yaml; nothing was checked",
            todo=f"move it to {project.shown(project.runbooks)}/",
        )
    return resolved


def _profile_faults(project: Project, names: list[str]) -> list[Fault]:
    faults: list[Fault] = []
    for name in names:
        try:
            if name == Path(POLICY).stem:
                load_policy(project)
            else:
                load_profile(project, name)
        except RunbookError as error:
            faults.extend(error.faults)
        except ProfileError as error:
            faults.append(Fault(Place(f"profiles/{name}.yaml"), error.what, "", error.todo))
    return faults
