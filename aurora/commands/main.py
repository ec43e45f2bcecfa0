"""The program: parse, run the command, and turn every error into words and an exit code."""

from __future__ import annotations

import functools
import importlib
import os
import sys
import traceback
from collections.abc import Sequence

from aurora.commands.parser import Invocation, parse
from aurora.engine.project import Project, find_project
from aurora.errors import AuroraError, InternalError

_MODULES = {"runbook": "run", "report": "report"}


def main(words: Sequence[str] | None = None, program: str = "aurora") -> int:
    """Run one command and return its exit code."""
    try:
        return dispatch(parse(find_project_once, list(sys.argv[1:] if words is None else words), program))
    except AuroraError as error:
        say_error(error)
        return error.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("\naurora: interrupted; nothing was running\n")
        return 7
    except BrokenPipeError:
        return 1


def dispatch(invocation: Invocation) -> int:
    """Run a parsed command. Raises AuroraError: a bug of Aurora's own comes as InternalError, its trace in a file."""
    name = _MODULES.get(invocation.command, invocation.command)
    project = find_project_once()
    try:
        module = importlib.import_module(f"aurora.commands.{name}")
        code: int = module.execute(project, invocation)
    except (AuroraError, BrokenPipeError):
        raise
    except Exception as error:
        raise _bug(project, error) from error
    return code


def _bug(project: Project, error: Exception) -> InternalError:
    trace = traceback.format_exc()
    path = project.runs / f"bug-{os.getpid()}.txt"
    try:
        path.write_text(trace, "utf-8")
        where = f"with the file {project.shown(path)}"
    except OSError:
        sys.stderr.write(trace)
        where = "with the lines above"
    return InternalError(
        f"{type(error).__name__}: {str(error)[:300]}",
        means="a bug in Aurora; a run that was going on is on record and can be resumed",
        todo=f"report it {where}",
    )


def say_error(error: AuroraError) -> None:
    """Print an error's diagnostics to standard error."""
    sys.stderr.write(f"aurora: {error.diagnostics()}\n")


find_project_once = functools.cache(find_project)


def entry() -> None:
    """Run as a console script."""
    sys.exit(main())
