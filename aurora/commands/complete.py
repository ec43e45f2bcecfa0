"""What may come next on a command line: `PROGRAM --complete -- WORDS…`, which the scripts of `completion` ask."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterable, Mapping, Sequence

from aurora.commands.flags import runbook_parser
from aurora.commands.parser import SHORT, command_parser
from aurora.engine.graph import Library
from aurora.engine.profiles import profile_names
from aurora.engine.project import Project, find_project
from aurora.engine.records import run_ids
from aurora.engine.spec import Param


def complete(words: Sequence[str]) -> None:
    """Print the candidates for the last of `words` (the program's name is the first), one a line.

    It reads, starts nothing, and is silent about whatever is wrong: a person who is typing asked for no report.
    """
    with contextlib.suppress(Exception):
        sys.stdout.write("".join(f"{each}\n" for each in candidates(words) if each.isprintable()))
        sys.stdout.flush()


def candidates(words: Sequence[str]) -> list[str]:
    """Return what the last of `words` may become. Raises AuroraError outside of a project and the like."""
    # bash makes three words of --profile=sim, and asks for the value alone; other shells ask for the whole word
    *before, current = list(words[1:]) or [""]
    if current == "=":
        current = ""
    before = [word for word in before if word != "="]
    start = ""
    if current.startswith("--") and "=" in current:
        flag, _, current = current.partition("=")
        before, start = [*before, flag], f"{flag}="
    return [start + each for each in _after(before, current.startswith("-")) if each.startswith(current)]


def _after(before: list[str], flag_begun: bool) -> Iterable[str]:
    if not before:
        return SHORT
    command, rest = before[0], before[1:]
    project = find_project()
    params: Mapping[str, Param] = {}
    if command == "runbook":
        if not rest:
            return project.names()
        runbook = Library(project).load(rest.pop(0)).runbook
        if runbook is None:
            return []
        params = runbook.params
        parser = runbook_parser(runbook, "")
    else:
        parser = command_parser(command, command)
    given, open_flag = parser.so_far(rest)
    if open_flag is not None:
        return _values(project, open_flag, params)
    place = parser.next_place(given)
    if place is None or flag_begun:
        return parser.flags_left(rest)
    return _places(project, place)


def _values(project: Project, flag: argparse.Action, params: Mapping[str, Param]) -> Iterable[str]:
    if "--profile" in flag.option_strings:
        return profile_names(project)
    param = params.get(flag.dest.removeprefix("p_"))
    return map(str, flag.choices or (param.schema.get("enum", ()) if param is not None else ()))


def _places(project: Project, place: argparse.Action) -> Iterable[str]:
    """Return what may stand at a place: nothing where it is a new name, or a file, which the shell knows best."""
    if place.metavar == "RUN":
        ids = run_ids(project)
        return ["last", *reversed(ids)] if ids else []
    if place.metavar == "RUNBOOK":
        return project.names()
    return map(str, place.choices or ())
