"""How `invoke …` becomes Aurora's own command line (engine rule 28).

invoke reads some flags wherever they stand (`--dry`, `-e`, `-R`, `-w`), takes a second word for a second task, and
turns a bad number into a traceback. So the words after the command are read here, before invoke reads them. Only when
Aurora's parser takes every one of them does the collection get a task: one that swallows exactly as many words as
invoke will make of them, whatever they are, and does what Aurora read.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from invoke.collection import Collection
from invoke.tasks import task

from aurora.commands.main import asks_to_complete, dispatch, find_project_once, guarded, main
from aurora.commands.parser import SHORT, overview, parse
from aurora.errors import UsageError

_PROGRAM = "invoke"
_VALUES = {"-c": 1, "--collection": 1, "-r": 1, "--search-root": 1, "-f": 1, "--config": 1, "-d": 0, "--debug": 0}
"""Flags of invoke that may stand before the command, with the number of words behind them."""


def collection(words: Sequence[str] | None = None) -> Collection:
    """Return invoke's collection for this command line: plain tasks for its lists, or the one that was asked for."""
    if words is None:
        words = sys.argv[1:] if "invoke.main" in sys.modules else ["--list"]  # else somebody only imports tasks.py
    return _collection(list(words))


def _collection(words: list[str]) -> Collection:
    made: list[Collection] = []

    def read() -> int:
        made.append(_read(words))
        return 0

    code = guarded(read)
    if not made:
        raise SystemExit(code)
    return made[0]


def _read(words: list[str]) -> Collection:
    if not words:
        sys.stdout.write(overview(_PROGRAM) + "\n")
        raise SystemExit(0)
    if asks_to_complete(words):
        raise SystemExit(0)
    if words[0] in ("-h", "--help") and len(words) == 2:
        words = words[::-1]
    position, root = _command(words)
    if position is None:
        return _listing()
    name, rest = words[position], words[position + 1 :]
    find = partial(find_project_once, None if root is None else Path(root))
    invocation = parse(find, words[position:], _PROGRAM)
    only = Collection()
    only.add_task(_task(name, lambda: dispatch(invocation, find), _tokens(rest)), name=name)
    return only


def _command(words: list[str]) -> tuple[int | None, str | None]:
    """Return where Aurora's command stands (None when invoke is asked for something of its own), and invoke's root."""
    position, root = 0, None
    while position < len(words) and words[position].startswith("-"):
        flag, equals, value = words[position].partition("=")
        if flag in _VALUES:
            if flag in ("-r", "--search-root"):
                root = value if equals else "".join(words[position + 1 : position + 2])
            position += 1 if equals else 1 + _VALUES[flag]
        elif any(word in SHORT for word in words[position:]) and flag not in ("-l", "--list", "--complete"):
            raise UsageError(
                f"invoke's own flag {flag!r} does nothing for Aurora.",
                means="nothing was run",
                todo="write Aurora's flags after the command; a rehearsal is --dry-run",
            )
        else:
            return None, root
    return (None if position >= len(words) else position), root


def _listing() -> Collection:
    tasks = Collection()
    for name in SHORT:
        tasks.add_task(_task(name, partial(main, [name], _PROGRAM), 0), name=name)
    return tasks


def _task(name: str, action: Any, count: int) -> Any:
    """Return a task that swallows `count` words and does `action`."""

    def body(*_: object, **__: object) -> None:
        raise SystemExit(guarded(action))

    body.__name__ = name
    body.__doc__ = SHORT[name][0].upper() + SHORT[name][1:]
    words = [f"word{number}" for number in range(count)]
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    body.__signature__ = inspect.Signature(  # type: ignore[attr-defined] # what invoke reads a task's words from
        [inspect.Parameter(each, kind) for each in ("context", *words)]
    )
    return task(positional=words, auto_shortflags=False)(body)


def _tokens(words: Iterable[str]) -> int:
    """Return how many tokens invoke will make of `words`: it cuts `--a=b` in two, and `-abc` into `-a -b -c`."""
    count = 0
    waiting = list(words)[::-1]
    while waiting:
        word = waiting.pop()
        if word == "--":
            break
        count += 1
        if word.startswith("-") and "=" in word:
            waiting.append(word.partition("=")[2])
        elif word.startswith("-") and not word.startswith("--"):
            waiting.extend(f"-{letter}" for letter in word[:1:-1])
    return count
