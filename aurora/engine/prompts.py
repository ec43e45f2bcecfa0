"""People: who is asked, how, and why silence is a no (engine rules 22, 26)."""

from __future__ import annotations

import contextlib
import os
import pwd
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from aurora.consent import Signed
from aurora.engine.document import read_document
from aurora.engine.faults import Fault, RunbookError, visible
from aurora.errors import UsageError

ELSEWHERE = "answered elsewhere"
"""Why a question is closed here that a person answered in another process."""
_ASKING = {"consent": "  [y/n] ", "begin": "  Begin it?  [y/n] ", "settle": "  Does it count as done?  [y/n] "}
YES = frozenset(["y", "yes"])
NO = frozenset(["n", "no"])


@dataclass(frozen=True)
class Prompt:
    """A question to a person: `lines` are ticked one by one.

    purpose: `consent` to what a step asks; `begin`, whether a step may begin; `settle`, what became of one.
    """

    step: str
    text: str
    lines: tuple[str, ...] = ()
    timeout: float | None = None
    purpose: Literal["consent", "begin", "settle"] = "consent"


@dataclass(frozen=True)
class Answer:
    """What came of a prompt: accepted only when every line was ticked with a yes."""

    accepted: bool
    by: str
    source: str
    reason: str
    answers: tuple[tuple[str, bool], ...] = ()
    refused: bool = False
    """Someone said no in so many words (for `settle`: it did not happen)."""
    signed: Signed | None = None
    unsigned: str = ""
    """Why an answer has no signature that should have one."""


class Person(Protocol):
    """Whoever is asked. One question is open at a time."""

    def ask(self, prompt: Prompt) -> Answer | None:
        """Open a question; an Answer at once, or None when it will come through `read`."""

    def descriptors(self) -> Sequence[int]:
        """Return what becomes readable when the person has typed something."""

    def read(self) -> Answer | None:
        """Take what was typed; the Answer once the question is decided."""

    def close(self, reason: str) -> Answer:
        """Close the open question without an answer: that is a no."""


class Nobody:
    """No person is there, and no one answers: cron, CI, a closed or redirected standard input."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def ask(self, prompt: Prompt) -> Answer | None:
        """Answer no at once."""
        return self.close(self.reason)

    def descriptors(self) -> Sequence[int]:
        """Return nothing to wait for."""
        return ()

    def read(self) -> Answer | None:
        """Return nothing."""
        return None

    def close(self, reason: str) -> Answer:
        """Return the no."""
        return Answer(False, "nobody", "none", reason)


class Scripted:
    """Answers read from a file, for rehearsals on a simulated venue; the report marks each as scripted.

    The file maps a step's id to `yes`, `no`, or a map of checklist lines to yes or no. What is not in it is a no.
    """

    def __init__(self, answers: Mapping[str, Any], name: str) -> None:
        self._answers = answers
        self._by = f"script {name}"

    def ask(self, prompt: Prompt) -> Answer | None:
        """Answer at once, from the script."""
        if prompt.step not in self._answers or prompt.purpose != "consent":
            return Answer(False, self._by, "scripted", "not scripted")
        given = self._answers[prompt.step]
        if isinstance(given, Mapping):
            ticked = tuple((line, given.get(line) == "yes") for line in prompt.lines or (prompt.text,))
        else:
            ticked = tuple((line, given == "yes") for line in prompt.lines or (prompt.text,))
        return Answer(all(yes for _, yes in ticked), self._by, "scripted", "answered", ticked, refused=True)

    def descriptors(self) -> Sequence[int]:
        """Return nothing to wait for."""
        return ()

    def read(self) -> Answer | None:
        """Return nothing."""
        return None

    def close(self, reason: str) -> Answer:
        """Return a no."""
        return Answer(False, self._by, "scripted", reason)


@dataclass
class Terminal:
    """The person at the terminal: each line is typed as y or n; anything else asks again, twice, and is then a no."""

    show: Callable[[str], None]
    descriptor: int = 0
    _prompt: Prompt | None = None
    _ticked: list[tuple[str, bool]] = field(default_factory=list)
    _strikes: int = 0
    _buffer: bytes = b""
    _lost: bool = False

    def ask(self, prompt: Prompt) -> Answer | None:
        """Show the question and its first line."""
        self._prompt, self._ticked, self._strikes = prompt, [], 0
        limit = f" (answer within {prompt.timeout:g} s; no answer is a no)" if prompt.timeout else ""
        self.show(f"\n[{prompt.step}] {visible(prompt.text)}{limit}\n")
        self._next()
        return None

    def _lines(self) -> tuple[str, ...]:
        assert self._prompt is not None
        return self._prompt.lines or (self._prompt.text,)

    def _next(self) -> None:
        assert self._prompt is not None
        self._discard_typed_ahead()
        number, lines = len(self._ticked), self._lines()
        if self._prompt.lines:
            self.show(f"  {number + 1}/{len(lines)}  {visible(lines[number])}  [y/n] ")
        else:
            self.show(_ASKING[self._prompt.purpose])

    def _discard_typed_ahead(self) -> None:
        """Throw away what was typed before the question was shown: nobody agrees to what she has not read."""
        import termios  # noqa: PLC0415 - only a terminal has it

        self._buffer = b""
        with contextlib.suppress(termios.error):
            termios.tcflush(self.descriptor, termios.TCIFLUSH)

    def descriptors(self) -> Sequence[int]:
        """Return the terminal while a question is open."""
        return () if self._prompt is None else (self.descriptor,)

    def read(self) -> Answer | None:
        """Take what was typed."""
        try:
            data = os.read(self.descriptor, 4096)
        except OSError:
            data = b""
        if not data:
            return self._end_of_input()
        self._buffer += data
        if b"\n" not in self._buffer:
            return None
        typed = self._buffer.split(b"\n")[0].decode("utf-8", "replace").strip().lower()
        self._buffer = b""
        return self._typed(typed)

    def _end_of_input(self) -> Answer | None:
        """Tell Ctrl-D, which is a no, from a terminal that is gone, which stops the run: its SIGHUP may come later."""
        try:
            os.tcgetpgrp(self.descriptor)
        except OSError:
            if not self._lost:
                self._lost = True
                signal.raise_signal(signal.SIGHUP)
                return None
        return self.close("end of input")

    def _typed(self, typed: str) -> Answer | None:
        line = self._lines()[len(self._ticked)]
        if typed not in YES | NO:
            self._strikes += 1
            if self._strikes < 3:
                self.show("  Type y or n: ")
                self._discard_typed_ahead()
                return None
        self._ticked.append((line, typed in YES))
        if typed not in YES:
            return self._end(False, "answered", refused=typed in NO)
        if len(self._ticked) == len(self._lines()):
            return self._end(True, "answered")
        self._next()
        return None

    def close(self, reason: str) -> Answer:
        """Close the question: that is a no."""
        said = "Answered from another terminal." if reason == ELSEWHERE else f"No answer ({reason}): that is a no."
        self.show(f"\n  {said}\n")
        return self._end(False, reason)

    def _end(self, accepted: bool, reason: str, *, refused: bool = False) -> Answer:
        self._prompt = None
        return Answer(accepted, os_user(), "terminal", reason, tuple(self._ticked), refused)


def os_user() -> str:
    """Return who this process belongs to, by the system's own account of it: `USER=alice` proves nothing."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def person_at(show: Callable[[str], None], environment: Mapping[str, str]) -> Person:
    """Return the person at this process's terminal, or Nobody with the reason why there is none."""
    if environment.get("CI", "").lower() not in ("", "0", "false", "no"):
        return Nobody("CI")
    try:
        if sys.stdin is None or not os.isatty(0) or not os.isatty(1):
            return Nobody("no terminal")
    except OSError:
        return Nobody("no terminal")
    return Terminal(show)


def read_answers(path: Path) -> Mapping[str, Any]:
    """Read a file of scripted answers. Raises UsageError or RunbookError."""
    if not path.is_file():
        raise UsageError(
            f"There is no answers file {path}.", means="nothing was run", todo="name the file after --answers"
        )
    document = read_document(path, str(path))
    faults: list[Fault] = list(document.faults)
    data = document.data
    if not faults and not isinstance(data, dict):
        faults.append(document.fault((), "an answers file maps step ids to yes, no, or a map of lines"))
    for step, given in data.items() if isinstance(data, dict) else ():
        values = given.values() if isinstance(given, dict) else [given]
        if any(value not in ("yes", "no") for value in values):
            faults.append(document.fault((step,), "an answer is yes or no", "or a map of checklist lines to yes or no"))
    if faults:
        raise RunbookError(faults)
    answers: Mapping[str, Any] = data
    return answers
