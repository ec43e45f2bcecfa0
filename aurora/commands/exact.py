"""argparse made exact: no abbreviations, nothing given twice, and errors that say what to type (engine rule 28)."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NoReturn

from aurora.engine.faults import did_you_mean, listed
from aurora.errors import UsageError

_INVOKES_OWN = {
    "-R": "--dry-run",
    "--dry": "--dry-run",
    **dict.fromkeys("-c -d -D -e -f -F -l -p -r -T -V -w --collection --command-timeout --config --debug".split(), ""),
    **dict.fromkeys(
        "--echo --hide --list --no-dedupe --pty --search-root --version --warn-only --write-pyc".split(), ""
    ),
}


class ExactParser(argparse.ArgumentParser):
    """argparse with exact flags and errors in Aurora's words."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("allow_abbrev", False)
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*args, **kwargs)

    def read(self, words: Sequence[str]) -> argparse.Namespace:
        """Return the options in `words`. Raises UsageError; SystemExit(0) after printing help."""
        for word in words:
            if not word.isprintable() and any("\ud800" <= character <= "\udfff" for character in word):
                raise UsageError(f"{word!r} is not UTF-8 text.", means="nothing was run", todo="write it in UTF-8")
        if "--" in words:
            raise UsageError(f"{self.prog} takes nothing behind '--'.", means="nothing was run", todo="leave it out")
        self._refuse_repeated(words)
        options, rest = self.parse_known_args(list(words))
        if rest:
            raise self._unknown(rest[0])
        return options

    def _refuse_repeated(self, words: Sequence[str]) -> None:
        seen: dict[str, str] = {}
        for word in words:
            flag = word.split("=")[0]
            action = self._option_string_actions.get(flag)
            if action is None or isinstance(action, argparse._AppendAction | argparse._HelpAction):
                continue
            if action.dest in seen:
                both = flag if seen[action.dest] == flag else f"{seen[action.dest]} and {flag}"
                hint = "; a list is written A,B" if action.metavar == "A,B" else ""
                raise UsageError(
                    f"{self.prog}: {both} {'was given twice' if both == flag else 'contradict each other'}.",
                    means="Aurora does not choose between them; nothing was run",
                    todo=f"write it once{hint}",
                )
            seen[action.dest] = flag

    def error(self, message: str) -> NoReturn:
        """Raise argparse's complaint as a UsageError."""
        what, todo = f"{self.prog}: {message}", f"see {self.prog} --help"
        if match := re.fullmatch(r"argument (\S+): ignored explicit argument '?(.*?)'?", message):
            flag = match[1].split("/")[0]
            what, todo = f"{flag} takes no value, it was given {match[2]!r}", f"write {flag}, or leave it out"
            if (off := f"--no-{flag.removeprefix('--')}") in self._option_string_actions:
                todo = f"write {flag}, or {off}"
        elif match := re.fullmatch(r"argument (\S+): expected one argument", message):
            flag = match[1].split("/")[-1]
            what, todo = f"{flag} needs a value", f"write {flag}=VALUE; with '=' it may also begin with '-'"
        elif match := re.fullmatch(r"the following arguments are required: (.*)", message):
            what = f"{self.prog} needs {match[1]}"
        elif match := re.match(r"argument (\S+): invalid choice: '(.*?)'", message):
            action = next(each for each in self._actions if match[1] in (each.metavar, *each.option_strings))
            options = [str(each) for each in action.choices or ()]
            near = did_you_mean(match[2], options)
            what = f"{match[1]} is one of {', '.join(options)}; was {match[2]!r}{'; ' + near if near else ''}"
        elif match := re.fullmatch(r"argument (\S+): (.*)", message):
            what = f"{match[1]} {match[2]}"
        raise UsageError(what if what.endswith("?") else f"{what}.", means="nothing was run", todo=todo)

    def flags(self) -> list[str]:
        """Return every flag that it knows."""
        return sorted(self._option_string_actions)

    def flags_left(self, words: Sequence[str]) -> list[str]:
        """Return the long flags that may still be given after `words`."""
        used = [self._option_string_actions.get(word.partition("=")[0]) for word in words]
        gone = {action.dest for action in used if action and not isinstance(action, argparse._AppendAction)}
        return [
            flag
            for flag, action in sorted(self._option_string_actions.items())
            if flag.startswith("--") and action.dest not in gone
        ]

    def so_far(self, words: Sequence[str]) -> tuple[int, argparse.Action | None]:
        """Return how many of `words` stand at a place of their own, and the flag that waits for its value, if any."""
        places, waiting = 0, None
        for word in words:
            flag, equals, _ = word.partition("=")
            action = self._option_string_actions.get(flag)
            if waiting is not None:
                waiting = None
            elif action is not None:
                waiting = None if equals or action.nargs == 0 else action
            else:
                places += 1
        return places, waiting

    def next_place(self, count: int) -> argparse.Action | None:
        """Return the argument without a flag that comes after `count` of them, or None."""
        places = [action for action in self._actions if not action.option_strings]
        if places and places[-1].nargs == "*":
            return places[min(count, len(places) - 1)]
        return places[count] if count < len(places) else None

    def _unknown(self, word: str) -> UsageError:
        flag = word.split("=")[0]
        if not flag.startswith("-"):
            return UsageError(
                f"{self.prog} does not take {word!r}.",
                means="one command at a time, and a value stands behind its flag; nothing was run",
                todo=f"see {self.prog} --help",
            )
        near = _INVOKES_OWN.get(flag, "")
        hint = f"did you mean {near!r}?" if near in self.flags() else did_you_mean(flag, self.flags())
        starts = [known for known in self.flags() if flag.startswith("--") and known.startswith(flag)]
        if not hint and len(starts) == 1:
            hint = f"did you mean {starts[0]!r}?"
        own = "; it is a flag of invoke, which does nothing here" if flag in _INVOKES_OWN else ""
        return UsageError(
            f"{self.prog} has no flag {flag!r}{own}{'; ' + hint if hint else '.'}",
            means="flags are never guessed or shortened; nothing was run",
            todo=f"write one of: {listed(self.flags(), 30)}",
        )


def whole_number(text: str) -> int:
    """Return a count from the command line. Raises ArgumentTypeError."""
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise argparse.ArgumentTypeError(f"must be a whole number, was {text!r}")
    return int(text)


def plain_number(text: str) -> Decimal:
    """Return a number from the command line, like 5 or 0.5. Raises ArgumentTypeError."""
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", text):
        raise argparse.ArgumentTypeError(f"must be a number like 5 or 0.5, was {text!r}")
    return Decimal(text)
