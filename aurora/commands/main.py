"""The program: parse, run the command, and turn every error into words and an exit code."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Sequence

from aurora.commands.parser import Invocation, parse
from aurora.engine.project import find_project
from aurora.errors import AuroraError

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
    """Run a parsed command. Raises AuroraError."""
    name = _MODULES.get(invocation.command, invocation.command)
    module = importlib.import_module(f"aurora.commands.{name}")
    code: int = module.execute(find_project_once(), invocation)
    return code


def say_error(error: AuroraError) -> None:
    """Print an error's diagnostics to standard error."""
    sys.stderr.write(f"aurora: {error.diagnostics()}\n")


find_project_once = functools.cache(find_project)


def entry() -> None:
    """Run as a console script."""
    sys.exit(main())
