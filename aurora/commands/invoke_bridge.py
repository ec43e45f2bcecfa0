"""How `invoke …` becomes Aurora's own command line (engine rule 28).

invoke reads some flags wherever they stand (`--dry`, `-e`, `-R`, `-w`), takes a second word for a second task, and
turns a bad number into a traceback. So the words after the command are read here, before invoke reads them; only when
Aurora's parser takes every one of them does the collection get a task that accepts just those words.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence
from typing import Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import task

from aurora.commands.main import dispatch, find_project_once, say_error
from aurora.commands.parser import SHORT, Invocation, parse
from aurora.errors import AuroraError, UsageError

_PROGRAM = "invoke"
_BEFORE = {"-c": 1, "--collection": 1, "-r": 1, "--search-root": 1, "-f": 1, "--config": 1, "-d": 0, "--debug": 0}


def collection(words: Sequence[str] | None = None) -> Collection:
    """Return invoke's collection for this command line: plain tasks for its lists, or the one that was asked for."""
    words = list(sys.argv[1:] if words is None else words)
    try:
        command = _command(words)
        if command is None:
            return _listing()
        invocation = parse(find_project_once, words[command:], _PROGRAM)
    except AuroraError as error:
        say_error(error)
        raise SystemExit(error.exit_code) from None
    only = Collection()
    only.add_task(_task_for(words[command], words[command + 1 :], invocation), name=words[command])
    return only


def _command(words: list[str]) -> int | None:
    """Return where Aurora's command stands; None when invoke is asked for something of its own."""
    position = 0
    while position < len(words) and words[position].startswith("-"):
        flag = words[position].split("=")[0]
        if flag in _BEFORE:
            position += 1 if "=" in words[position] else 1 + _BEFORE[flag]
        elif any(word in SHORT for word in words[position:]) and flag not in ("-l", "--list", "-h", "--help"):
            raise UsageError(
                f"invoke's own flag {flag!r} does nothing for Aurora.",
                means="nothing was run",
                todo="write Aurora's flags after the command; a rehearsal is --dry-run",
            )
        else:
            return None
    if position == len(words):
        return None
    if words[position] not in SHORT:
        parse(find_project_once, words[position:], _PROGRAM)  # says which commands there are
    return position


def _listing() -> Collection:
    tasks = Collection()
    for name, text in SHORT.items():
        tasks.add_task(_named(name, text), name=name)
    return tasks


def _named(name: str, text: str) -> Any:
    def body(_context: Context) -> None:
        raise SystemExit(2)

    body.__doc__ = text[0].upper() + text[1:]
    body.__name__ = name
    return task(body)


def _task_for(name: str, words: list[str], invocation: Invocation) -> Any:
    """Return a task that takes exactly these words, and runs what Aurora made of them."""

    def body(_context: Context, **_words: object) -> None:
        try:
            code = dispatch(invocation)
        except AuroraError as error:
            say_error(error)
            code = error.exit_code
        except KeyboardInterrupt:
            sys.stderr.write("\naurora: interrupted; nothing was running\n")
            code = 7
        raise SystemExit(code)

    body.__name__ = name
    body.__doc__ = SHORT[name]
    parameters = [inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    positional = []
    flags: dict[str, Any] = {}
    expects_value = False
    for number, word in enumerate(words):
        if expects_value:
            expects_value = False
        elif word.startswith("--"):
            flag, equals, _ = word[2:].partition("=")
            following = words[number + 1] if number + 1 < len(words) else None
            takes = bool(equals) or (following is not None and _takes_value(flag, invocation))
            expects_value = takes and not equals
            flags.setdefault(flag.replace("-", "_"), "" if takes else False)
        else:
            positional.append(f"word{number}")
    parameters += [inspect.Parameter(each, inspect.Parameter.POSITIONAL_OR_KEYWORD) for each in positional]
    parameters += [
        inspect.Parameter(flag, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default)
        for flag, default in flags.items()
    ]
    body.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return task(positional=positional, auto_shortflags=False)(body)


def _takes_value(flag: str, invocation: Invocation) -> bool:
    """Return whether Aurora's parser took a value for `--flag`."""
    name = flag.replace("-", "_")
    value = getattr(invocation.options, f"p_{name}", getattr(invocation.options, name, None))
    return value is not None and not isinstance(value, bool)
