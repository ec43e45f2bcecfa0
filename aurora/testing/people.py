"""The person of a rehearsal: a script that says yes, no, or nothing, to whole questions or to single lines."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from aurora.consent import Signed
from aurora.engine.faults import did_you_mean, listed
from aurora.engine.prompts import Answer, Nobody, Person, Prompt
from aurora.testing.addresses import chosen, fits
from aurora.testing.outcomes import RehearsalError

BY = "the script of the test"


@dataclass(frozen=True)
class NoTo:
    """Yes to every line of a checklist but these: their texts, or their numbers from 1."""

    lines: tuple[str | int, ...]


def no_to(*lines: str | int) -> NoTo:
    """Answer a checklist with yes but for `lines`: their exact texts, or their numbers from 1."""
    return NoTo(lines)


Reply = Literal["yes", "no", "silence"] | NoTo | Mapping[str, Literal["yes", "no"]]
"""To one question: yes, no, no answer until its timeout, or line by line (a line that is not in the map is a no)."""

Answers = Literal["all yes", "nobody"] | Mapping[str, Reply] | Person
"""To all questions: yes, nobody there, by step id (or a pattern such as `*`), or a Person of the test's own."""


def person_of(answers: Answers, steps: Mapping[str, Sequence[str]]) -> Person:
    """Return who answers. `steps` maps the id of each step that asks to its checklist. Raises RehearsalError."""
    if answers == "nobody":
        return Nobody("no terminal")
    if answers == "all yes":
        return Scripted({"*": "yes"})
    if isinstance(answers, Mapping):
        _check(answers, steps)
        return Scripted(answers)
    if isinstance(answers, str):
        raise RehearsalError(f"answers was {answers!r}; it is 'all yes', 'nobody', a map of step ids, or a Person.")
    return answers


def _check(answers: Mapping[str, Reply], steps: Mapping[str, Sequence[str]]) -> None:
    for step, reply in answers.items():
        asking = [each for each in steps if fits(step, each)]
        if not asking:
            hint = did_you_mean(step, steps) or f"the steps that ask: {listed(list(steps)) or 'none'}"
            raise RehearsalError(f"answers names {step!r}, which is no step that asks a person; {hint}.")
        if isinstance(reply, str) and reply not in ("yes", "no", "silence"):
            raise RehearsalError(
                f"the answer to {step!r} was {reply!r}; it is 'yes', 'no', 'silence' or a map of lines."
            )
        named = reply.lines if isinstance(reply, NoTo) else () if isinstance(reply, str) else reply
        for each in asking:
            _check_lines(each, named, steps[each])


def _check_lines(step: str, named: Iterable[str | int], lines: Sequence[str]) -> None:
    for line in named:
        if line not in lines and not (isinstance(line, int) and 1 <= line <= len(lines)):
            hint = did_you_mean(line, lines) if isinstance(line, str) else f"it has {len(lines)}"
            raise RehearsalError(f"{step!r} has no line {line!r}{'; ' + hint if hint else ''}.")


class Scripted:
    """Answers at once, from a map of step ids or patterns."""

    def __init__(self, answers: Mapping[str, Reply]) -> None:
        self._answers = answers

    def ask(self, prompt: Prompt) -> Answer | None:
        """Answer. Raises RehearsalError for a question that the script does not know."""
        if prompt.purpose == "settle":
            return self.close("not scripted")
        reply = self._reply(prompt.step)
        if reply == "silence":
            return self.close("timed out" if prompt.timeout is not None else "end of input")
        lines = prompt.lines or (prompt.text,)
        ticked = tuple((line, _says_yes(reply, number, line)) for number, line in enumerate(lines, start=1))
        return Answer(all(yes for _, yes in ticked), BY, "scripted", "answered", ticked, refused=True)

    def _reply(self, step: str) -> Reply:
        name = chosen(step, self._answers)
        if name is not None:
            return self._answers[name]
        raise RehearsalError(f"{step!r} asks a person, and answers says nothing of it; add it, or '*': 'yes'.")

    def descriptors(self) -> Sequence[int]:
        """Return nothing to wait for."""
        return ()

    def read(self) -> Answer | None:
        """Return nothing."""
        return None

    def close(self, reason: str) -> Answer:
        """Return a no."""
        return Answer(False, BY, "scripted", reason)


def _says_yes(reply: Reply, number: int, line: str) -> bool:
    if isinstance(reply, NoTo):
        return line not in reply.lines and number not in reply.lines
    return reply == "yes" if isinstance(reply, str) else reply.get(line) == "yes"


class PretendedSignatory:
    """Signs nothing, at once: a rehearsal on a live profile needs no person's key, and its record proves nothing."""

    is_configured = True
    _SIGNED = Signed(BY, "", "")

    def ready(self, run: str, at: datetime) -> Signed:
        """Return the script."""
        return self._SIGNED

    def sign(self, text: bytes) -> Signed:
        """Return the script."""
        return self._SIGNED

    def begin_sign(self, text: bytes) -> PretendedErrand:
        """Return what has ended already."""
        return PretendedErrand(self._SIGNED)

    def begin_check(self, text: bytes, sshsig: str) -> PretendedErrand:
        """Return what has ended already."""
        return PretendedErrand(self._SIGNED)


class PretendedErrand:
    """Has ended when it begins."""

    def __init__(self, signed: Signed) -> None:
        self.descriptor, end = os.pipe()
        os.close(end)
        self._signed = signed

    def result(self) -> Signed:
        """Return it."""
        self.stop()
        return self._signed

    def stop(self) -> None:
        """Give the pipe back."""
        os.close(self.descriptor)
