"""The command line, parsed by Aurora itself: exact flags, did-you-mean, and nothing run on a doubt (engine rule 28)."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from aurora.engine.faults import RunbookError, did_you_mean, listed
from aurora.engine.graph import Library
from aurora.engine.loader import value_problem_of
from aurora.engine.project import Project
from aurora.engine.spec import Param, Runbook
from aurora.errors import UsageError

SHORT = {
    "runbook": "run a runbook: runbook NAME [flags]",
    "runs": "list the runs, newest first",
    "show": "show what a run did: show RUN",
    "resume": "go on with an interrupted run: resume RUN",
    "cancel": "end an unfinished run: cancel RUN --reason TEXT",
    "report": "render a run's report again from its journal: report RUN",
    "lint": "check runbooks and profiles: lint [FILE …]",
    "explain": "show a runbook's steps and gates as a tree: explain NAME",
    "schema": "print the JSON Schema of runbooks",
    "new": "write a new runbook or step that lints and runs: new runbook|step NAME",
    "doctor": "look at the set-up: versions, permissions, disk, runbooks, unfinished runs",
}


class _Parser(argparse.ArgumentParser):
    """argparse with exact flags and errors in Aurora's words."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("allow_abbrev", False)
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*args, **kwargs)

    def error(self, message: str) -> NoReturn:
        unknown = re.match(r"unrecognized arguments: (.*)", message)
        if unknown:
            raise _unknown(unknown[1].split(" ")[0], self)
        raise UsageError(f"{self.prog}: {message}.", means="nothing was run", todo=f"see {self.prog} --help")

    def flags(self) -> list[str]:
        """Return every flag that it knows."""
        return sorted(self._option_string_actions)


def _unknown(word: str, parser: _Parser) -> UsageError:
    flag = word.split("=")[0]
    if not flag.startswith("-"):
        return UsageError(
            f"{parser.prog} does not take {word!r}.",
            means="one command at a time; nothing was run",
            todo=f"see {parser.prog} --help",
        )
    hint = did_you_mean(flag, parser.flags())
    starts = [known for known in parser.flags() if flag.startswith("--") and known.startswith(flag)]
    if not hint and len(starts) == 1:
        hint = f"did you mean {starts[0]!r}?"
    return UsageError(
        f"{parser.prog} has no flag {flag!r}{'; ' + hint if hint else ''}.",
        means="flags are never guessed or shortened; nothing was run",
        todo=f"write one of: {listed(parser.flags(), 30)}",
    )


@dataclass(frozen=True)
class Invocation:
    """A command line that is right: the command, its options, and for `runbook` its name and parameters."""

    command: str
    options: argparse.Namespace
    params: dict[str, Any]


def parse(project: Callable[[], Project], words: Sequence[str], program: str = "aurora") -> Invocation:
    """Parse the words after the program's name.

    Raises UsageError for whatever is not exactly right; SystemExit(0) after printing help.
    """
    if not words or words[0] in ("-h", "--help"):
        sys.stdout.write(overview(program) + "\n")
        raise SystemExit(0)
    command = words[0]
    if command not in SHORT:
        hint = did_you_mean(command, SHORT)
        raise UsageError(
            f"There is no command {command!r}{'; ' + hint if hint else ''}.",
            means="nothing was run",
            todo=f"the commands are: {', '.join(SHORT)}",
        )
    if command == "runbook":
        return _runbook(project, words[1:], program)
    parser = _PARSERS[command](f"{program} {command}")
    return Invocation(command, parser.parse_args(list(words[1:])), {})


def overview(program: str) -> str:
    """Return the list of commands."""
    width = max(map(len, SHORT))
    lines = [f"  {name:<{width}}  {text}" for name, text in SHORT.items()]
    return "\n".join([f"usage: {program} COMMAND …", "", *lines, "", f"More on one: {program} COMMAND --help"])


def _runbook(project: Callable[[], Project], words: Sequence[str], program: str) -> Invocation:
    if not words or words[0] in ("-h", "--help"):
        sys.stdout.write(_books(project(), program) + "\n")
        raise SystemExit(0)
    name = words[0]
    if name.startswith("-"):
        raise UsageError(
            f"The runbook's name comes first, before {name!r}.",
            means="nothing was run",
            todo=f"{program} runbook NAME [flags]; the names: {', '.join(project().names())}",
        )
    library = Library(project())
    loaded = library.load(name)
    if loaded.runbook is None:
        raise RunbookError(loaded.faults)
    parser = runbook_parser(loaded.runbook, f"{program} runbook {name}")
    options = parser.parse_args(list(words[1:]))
    return Invocation("runbook", _with(options, name=name), _params(loaded.runbook, options, parser))


def _with(options: argparse.Namespace, **more: Any) -> argparse.Namespace:
    for key, value in more.items():
        setattr(options, key, value)
    return options


def _books(project: Project, program: str) -> str:
    library = Library(project)
    lines = []
    for name in project.names():
        runbook = library.load(name).runbook
        lines.append((name, "(has faults; see lint)" if runbook is None else runbook.title))
    width = max((len(name) for name, _ in lines), default=0)
    shown = [f"  {name:<{width}}  {title}" for name, title in lines] or ["  (none yet)"]
    return "\n".join(
        [
            f"usage: {program} runbook NAME [flags]",
            "",
            "runbooks:",
            *shown,
            "",
            f"Flags of one: {program} runbook NAME --help",
        ]
    )


def runbook_parser(runbook: Runbook, program: str) -> _Parser:
    """Return the parser of one runbook's flags: its parameters, and those that every run has."""
    parser = _Parser(prog=program, description=runbook.title)
    group = parser.add_argument_group("parameters")
    for param in runbook.params.values():
        text = f"{param.help}{' ' if param.help else ''}({_type_text(param)}{_default_text(param)})".replace("%", "%%")
        if param.type == "boolean":
            group.add_argument(
                param.flag, dest=f"p_{param.name}", action=argparse.BooleanOptionalAction, default=None, help=text
            )
        else:
            group.add_argument(param.flag, dest=f"p_{param.name}", metavar=_metavar(param), default=None, help=text)
    run = parser.add_argument_group("the run")
    run.add_argument("--dry-run", action="store_true", help="run what is safe, simulate or skip the rest, ask nobody")
    run.add_argument("--answers", metavar="FILE", help="answers to every question, from a file (simulated venue only)")
    run.add_argument("--json", action="store_true", help="print events as JSON lines, for programs")
    return parser


def _type_text(param: Param) -> str:
    if param.type == "array":
        return f"a list of {param.schema.get('items', {}).get('type', 'string')}, comma-separated"
    words = {"string": "text", "integer": "a whole number", "number": "a number", "boolean": "a switch"}[param.type]
    return f"{words}; one of {', '.join(map(str, param.schema['enum']))}" if "enum" in param.schema else words


def _default_text(param: Param) -> str:
    if param.required:
        return "; required"
    value = param.default
    shown = (
        ",".join(map(str, value))
        if isinstance(value, list)
        else str(value).lower()
        if isinstance(value, bool)
        else str(value)
    )
    return f"; default {shown!r}" if shown == "" else f"; default {shown}"


def _metavar(param: Param) -> str:
    return {"array": "A,B", "integer": "N", "number": "X"}.get(param.type, "TEXT")


def _params(runbook: Runbook, options: argparse.Namespace, parser: _Parser) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for param in runbook.params.values():
        given = getattr(options, f"p_{param.name}")
        if given is None and param.required:
            raise UsageError(
                f"{parser.prog} needs {param.flag}.",
                means="nothing was run",
                todo=f"add {param.flag} {_metavar(param)}",
            )
        values[param.name] = param.default if given is None else _value(param, given, parser)
    return values


def _value(param: Param, given: Any, parser: _Parser) -> Any:
    value: Any = given
    try:
        if param.type == "array":
            kind = param.schema.get("items", {}).get("type", "string")
            value = [_scalar(kind, word.strip()) for word in given.split(",") if word.strip()]
        elif param.type != "boolean":
            value = _scalar(param.type, given)
    except ValueError as error:
        raise UsageError(
            f"{param.flag} must be {_type_text(param)}, was {given!r}.",
            means="nothing was run",
            todo=f"see {parser.prog} --help",
        ) from error
    problem = value_problem_of(value, param.schema)
    if problem:
        raise UsageError(f"{param.flag} {given}: {problem}.", means="nothing was run", todo=f"see {parser.prog} --help")
    return value


def _scalar(kind: str, text: str) -> Any:
    if kind == "integer":
        if not re.fullmatch(r"[-+]?[0-9]{1,30}", text):
            raise ValueError(text)
        return int(text)
    if kind == "number":
        try:
            number = Decimal(text)
        except InvalidOperation as error:
            raise ValueError(text) from error
        if not number.is_finite():
            raise ValueError(text)
        return number
    return text


def _plain(program: str) -> _Parser:
    return _Parser(prog=program, description=SHORT[program.split()[-1]])


def _runs(program: str) -> _Parser:
    parser = _plain(program)
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="how many (default 20)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    return parser


def _one_run(program: str) -> _Parser:
    parser = _plain(program)
    parser.add_argument("run", metavar="RUN", help="a run's id, the end of one, or 'last'")
    return parser


def _show(program: str) -> _Parser:
    parser = _one_run(program)
    parser.add_argument("--json", action="store_true", help="the run's events as JSON lines")
    return parser


def _resume(program: str) -> _Parser:
    parser = _one_run(program)
    parser.add_argument(
        "--accept-changes", action="store_true", help="go on although runbooks, profile or steps have changed"
    )
    parser.add_argument(
        "--settle",
        action="append",
        default=[],
        metavar="STEP=done|not_done",
        help="say what became of a step whose outcome is unknown",
    )
    parser.add_argument("--json", action="store_true", help="print events as JSON lines, for programs")
    return parser


def _cancel(program: str) -> _Parser:
    parser = _one_run(program)
    parser.add_argument("--reason", required=True, metavar="TEXT", help="why; it is recorded")
    parser.add_argument(
        "--accept-changes", action="store_true", help="end it although runbooks, profile or steps have changed"
    )
    parser.add_argument("--json", action="store_true", help="print events as JSON lines, for programs")
    return parser


def _lint(program: str) -> _Parser:
    parser = _plain(program)
    parser.add_argument("files", nargs="*", metavar="FILE", help="runbook files (all of the project unless named)")
    return parser


def _explain(program: str) -> _Parser:
    parser = _plain(program)
    parser.add_argument("name", metavar="NAME", help="the runbook")
    parser.add_argument("--format", choices=("tree", "mermaid"), default="tree", help="tree (default) or mermaid")
    return parser


def _new(program: str) -> _Parser:
    parser = _plain(program)
    parser.add_argument("kind", metavar="runbook|step", choices=("runbook", "step"), help="what to write")
    parser.add_argument("name", metavar="NAME", help="the runbook's name, or MODULE.FUNCTION of a step")
    return parser


_PARSERS: dict[str, Callable[[str], _Parser]] = {
    "runs": _runs,
    "show": _show,
    "resume": _resume,
    "cancel": _cancel,
    "report": _one_run,
    "lint": _lint,
    "explain": _explain,
    "schema": _plain,
    "new": _new,
    "doctor": _plain,
}
