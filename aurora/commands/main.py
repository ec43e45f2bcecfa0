"""The program: parse, run the command, and turn every error into words and an exit code."""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import os
import sys
import traceback
from collections.abc import Callable, Sequence

from aurora.commands.parser import Invocation, parse
from aurora.engine.faults import visible
from aurora.engine.project import Project, find_project
from aurora.errors import AuroraError, InternalError

_MODULES = {"runbook": "run"}
_ANYWHERE = ("schema", "completion")


def main(words: Sequence[str] | None = None, program: str = "aurora") -> int:
    """Run one command and return its exit code."""
    given = list(sys.argv[1:] if words is None else words)
    if asks_to_complete(given):
        return 0
    return guarded(lambda: dispatch(parse(find_project_once, given, program), find_project_once))


def asks_to_complete(words: Sequence[str]) -> bool:
    """Return whether a shell asks what may come next; it was told."""
    if list(words[:2]) != ["--complete", "--"]:
        return False
    from aurora.commands.complete import complete  # noqa: PLC0415 - no other command pays for it

    complete(words[2:])
    return True


def guarded(action: Callable[[], int]) -> int:
    """Return the exit code of `action`; an error of Aurora's is said on standard error, without a traceback."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that knows no ✔ is no reason to fail
    try:
        code = action()
        if sys.stdout is not None:  # it is, when nobody gave this process any
            sys.stdout.flush()
    except AuroraError as error:
        say_error(error)
        return error.exit_code
    except KeyboardInterrupt:
        _say("\naurora: interrupted; nothing was running\n")
        return 7
    except BrokenPipeError:
        # whoever read the output has gone; Python would complain of it once more at its own end
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    return code


def dispatch(invocation: Invocation, project: Callable[[], Project]) -> int:
    """Run a parsed command. Raises AuroraError: a bug of Aurora's own comes as InternalError, its trace in a file."""
    name = _MODULES.get(invocation.command, invocation.command)
    module = importlib.import_module(f"aurora.commands.{name}")
    if name in _ANYWHERE:
        return int(module.execute(None, invocation))
    here = project()
    try:
        return int(module.execute(here, invocation))
    except (AuroraError, BrokenPipeError):
        raise
    except Exception as error:
        raise _bug(here, error) from error


def _bug(project: Project, error: Exception) -> InternalError:
    trace = traceback.format_exc()
    path = project.runs / f"bug-{os.getpid()}.txt"
    try:
        path.write_text(trace, "utf-8")
        where = f"with the file {project.shown(path)}"
    except OSError:
        _say(trace)
        where = "with the lines above"
    return InternalError(
        f"{type(error).__name__}: {str(error)[:300]}",
        means="a bug in Aurora; a run that was going on is on record and can be resumed",
        todo=f"report it {where}",
    )


def say_error(error: AuroraError) -> None:
    """Print an error's diagnostics to standard error."""
    lines = [visible(line) for line in error.diagnostics().split("\n")]  # they may quote a file or another program
    _say("aurora: " + "\n".join(lines) + "\n")


def _say(text: str) -> None:
    with contextlib.suppress(OSError, AttributeError):  # where nobody listens, the exit code says it
        sys.stderr.write(text)


find_project_once = functools.cache(find_project)


def entry() -> None:
    """Run as a console script."""
    sys.exit(main())
