"""A runbook's parameters as flags of the command line: `poll_sec` is `--poll-sec`, a list is `A,B`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import Any

from aurora.commands.exact import ExactParser
from aurora.engine.document import INTEGER, MAX_DIGITS, NUMBER
from aurora.engine.faults import visible
from aurora.engine.params import value_problem_of
from aurora.engine.spec import Param, Runbook
from aurora.errors import UsageError
from aurora.written_number import read_number


def read_flags(runbook: Runbook, words: Sequence[str], program: str) -> tuple[argparse.Namespace, dict[str, Any]]:
    """Return the options of a run and the values of all parameters. Raises UsageError; SystemExit(0) after help."""
    parser = runbook_parser(runbook, program)
    options = parser.read(words)
    values: dict[str, Any] = {}
    for param in runbook.params.values():
        given = getattr(options, f"p_{param.name}")
        if given is None and param.required:
            raise UsageError(
                f"{program} needs {param.flag}.",
                means="nothing was run",
                todo=f"add {param.flag}{'' if param.type == 'boolean' else ' ' + _metavar(param)}",
            )
        values[param.name] = param.default if given is None else _value(param, given, program)
    return options, values


def runbook_parser(runbook: Runbook, program: str) -> ExactParser:
    """Return the parser of one runbook's flags: its parameters, and those that every run has."""
    parser = ExactParser(prog=program, description=visible(runbook.title).replace("%", "%%"))
    group = parser.add_argument_group("parameters")
    for param in runbook.params.values():
        words = f"{visible(param.help)}{' ' if param.help else ''}({_type_text(param)}{_default_text(param)})"
        text, name = words.replace("%", "%%"), f"p_{param.name}"
        if param.type == "boolean":
            switch = argparse.BooleanOptionalAction
            group.add_argument(param.flag, dest=name, action=switch, default=None, help=text)
        else:
            group.add_argument(param.flag, dest=name, metavar=_metavar(param), default=None, help=text)
    run = parser.add_argument_group("the run")
    run.add_argument("--dry-run", action="store_true", help="run what is safe, simulate or skip the rest, ask nobody")
    run.add_argument("--step-by-step", action="store_true", help="ask at the terminal before each step")
    run.add_argument("--answers", metavar="FILE", help="answers to every question, from a file (simulated venue only)")
    run.add_argument("--json", action="store_true", help="print events as JSON lines, for programs")
    return parser


_WORDS = {"string": "text", "integer": "a whole number", "number": "a number", "boolean": "a switch"}
_MANY = {"string": "text", "integer": "whole numbers", "number": "numbers"}


def _plain_type(param: Param) -> str:
    if param.type == "array":
        return f"a list of {_MANY.get(param.schema.get('items', {}).get('type', 'string'), 'text')}, comma-separated"
    return _WORDS[param.type]


def _type_text(param: Param) -> str:
    text = _plain_type(param)
    if "enum" in param.schema:
        text += f"; one of {', '.join(map(str, param.schema['enum']))}"
    for word, limit in (("at least", "minimum"), ("at most", "maximum")):
        text += f"; {word} {param.schema[limit]}" if limit in param.schema else ""
    return text


def _default_text(param: Param) -> str:
    if param.required:
        return "; required"
    value = param.default
    if isinstance(value, list):
        shown = ",".join(map(str, value))
    else:
        shown = str(value).lower() if isinstance(value, bool) else str(value)
    return f"; default {visible(shown)}" if shown else "; default ''"


def _metavar(param: Param) -> str:
    return {"array": "A,B", "integer": "N", "number": "X"}.get(param.type, "TEXT")


def _value(param: Param, given: Any, program: str) -> Any:
    value: Any = given
    try:
        if param.type == "array":
            kind = param.schema.get("items", {}).get("type", "string")
            value = [_scalar(kind, word.strip()) for word in given.split(",")] if given.strip() else []
            if "" in value:
                raise ValueError(given)
        elif param.type != "boolean":
            value = _scalar(param.type, given)
    except ValueError as error:
        raise UsageError(
            f"{param.flag} must be {_plain_type(param)}, was {given!r}.",
            means="nothing was run",
            todo=f"see {program} --help",
        ) from error
    problem = value_problem_of(value, param.schema)
    if problem:
        raise UsageError(f"{param.flag} {problem}.", means="nothing was run", todo=f"see {program} --help")
    return value


def _scalar(kind: str, text: str) -> Any:
    """Return `text` as the parameter's type, by the rules of a runbook's own scalars. Raises ValueError."""
    if kind == "string":
        return text
    pattern: re.Pattern[str] = INTEGER if kind == "integer" else NUMBER
    if len(text) > MAX_DIGITS or not pattern.fullmatch(text):
        raise ValueError(text)
    number = read_number(text, MAX_DIGITS)
    if number is None:
        raise ValueError(text)
    return int(text) if kind == "integer" else number
