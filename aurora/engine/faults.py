"""Faults that lint finds: where, what, and a picture of the place; all of them, not the first."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aurora.errors import OperatorError


@dataclass(frozen=True, order=True)
class Place:
    """A place in a file: `file` as shown to people, `line` and `column` from 1."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, order=True)
class Fault:
    """One fault: its place, a sentence, the source line, and a hint (may be empty)."""

    place: Place
    message: str
    excerpt: str = ""
    hint: str = ""

    def __str__(self) -> str:
        lines = [f"{self.place}: {visible(self.message)}"]
        if self.excerpt:
            shown, caret = _window(self.excerpt, self.place.column)
            lines += [f"    {shown}", f"    {' ' * caret}^"]
        if self.hint:
            lines.append(f"    {visible(self.hint)}")
        return "\n".join(lines)


class RunbookError(OperatorError):
    """One or more faults in runbooks or profiles; carries them all, in file order."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(sorted(set(faults)))
        count = len(self.faults)
        super().__init__(
            "\n".join(str(fault) for fault in self.faults),
            means=f"{count} fault{'s' if count != 1 else ''} found; nothing was run",
            todo="mend the file and run `invoke lint` again",
        )


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `did you mean 'x'?` for the known word nearest to `word`, or the empty string."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else ""


def listed(words: Sequence[str], most: int = 12) -> str:
    """Return `a, b, c` with the rest counted, for messages."""
    shown = ", ".join(words[:most])
    return f"{shown} … and {len(words) - most} more" if len(words) > most else shown


_ACTING = frozenset(["Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"])
"""Categories of characters that act on a terminal, hide, turn the text around, end a line, or are none at all."""


def visible(text: str) -> str:
    """Return `text` with control, line-ending and direction-changing characters made visible."""
    if text.isprintable():
        return text  # as nearly all text is; to look at each character takes fifty times as long
    return "".join(
        character if unicodedata.category(character) not in _ACTING else f"\\u{ord(character):04x}"
        for character in text
    )


def _window(source: str, column: int, width: int = 100) -> tuple[str, int]:
    """Cut a long source line around `column`; return it and the caret's offset in it."""
    start = max(0, column - 1 - width // 2) if len(source) > width else 0
    piece = source[start : start + width]
    before = visible(piece[: column - 1 - start].replace("\t", " "))
    rest = visible(piece[column - 1 - start :].replace("\t", " "))
    lead = "… " if start else ""
    tail = " …" if start + width < len(source) else ""
    return f"{lead}{before}{rest}{tail}", len(lead) + sum(map(_cells, before))


def _cells(character: str) -> int:
    """Return how many columns of a terminal a character takes."""
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
