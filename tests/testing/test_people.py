from __future__ import annotations

from typing import Any

import pytest

from aurora.engine.prompts import Nobody, Prompt
from aurora.testing.outcomes import RehearsalError
from aurora.testing.people import Answers, no_to, person_of

LINES = ("Lights are off", "Door is locked")
STEPS = {"closing": LINES, "eod/by_hand": ()}
PROMPT = Prompt("closing", "Closing time", LINES, timeout=60)


def answer(answers: Answers, prompt: Prompt = PROMPT) -> Any:
    """Return what a person says at once."""
    return person_of(answers, STEPS).ask(prompt)


@pytest.mark.parametrize(
    ("answers", "accepted", "ticks"),
    [
        ("all yes", True, "yy"),
        ({"closing": "yes"}, True, "yy"),
        ({"closing": "no"}, False, "nn"),
        ({"*": "yes", "closing": "no"}, False, "nn"),
        ({"closing": no_to(2)}, False, "yn"),
        ({"closing": no_to("Lights are off")}, False, "ny"),
        ({"closing": {"Lights are off": "yes"}}, False, "yn"),
        ({"closing": dict.fromkeys(LINES, "yes")}, True, "yy"),
    ],
)
def test_a_script_answers_line_by_line(answers: Answers, accepted: bool, ticks: str) -> None:
    """Every line must be a yes; a line that a map leaves out is a no."""
    found = answer(answers)
    assert found.accepted is accepted
    assert [yes for _, yes in found.answers] == [tick == "y" for tick in ticks]
    assert (found.source, found.reason) == ("scripted", "answered")


def test_a_question_without_lines_is_one_line() -> None:
    """A confirm without a checklist is answered as a whole."""
    prompt = Prompt("eod/by_hand", "Done?")
    assert answer({"eod/*": "yes"}, prompt).accepted
    assert answer({"*": "no"}, prompt).answers == (("Done?", False),)


@pytest.mark.parametrize(("timeout", "reason"), [(60, "timed out"), (None, "end of input")])
def test_silence_is_a_no(timeout: float | None, reason: str) -> None:
    """No answer until the timeout, or until the terminal is gone, is a no."""
    found = answer({"closing": "silence"}, Prompt("closing", "Closing time", LINES, timeout))
    assert (found.accepted, found.reason, found.answers) == (False, reason, ())


def test_nobody_is_there_unless_someone_is() -> None:
    """The person of a rehearsal that names none is no one; a person of the test's own is taken as it is."""
    assert isinstance(person_of("nobody", STEPS), Nobody)
    mine = Nobody("CI")
    assert person_of(mine, STEPS) is mine


def test_a_script_settles_nothing() -> None:
    """What became of a step is no matter of consent: the script leaves it open."""
    assert not answer("all yes", Prompt("closing", "What happened?", purpose="settle")).refused


def test_a_question_that_the_script_does_not_know_ends_the_rehearsal() -> None:
    """An unexpected question is never answered by accident."""
    with pytest.raises(RehearsalError, match="'closing' asks a person, and answers says nothing of it"):
        answer({"eod/by_hand": "yes"})


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ("yes", "'all yes', 'nobody'"),
        ({"closng": "yes"}, r"'closng', which is no step that asks a person; did you mean 'closing'\?"),
        ({"preflight/*": "yes"}, "the steps that ask: closing, eod/by_hand"),
        ({"closing": "maybe"}, "was 'maybe'"),
        ({"closing": no_to("Lights are of")}, r"no line 'Lights are of'; did you mean 'Lights are off'\?"),
        ({"closing": no_to(3)}, "no line 3; it has 2"),
        ({"closing": {"Door": "yes"}}, "no line 'Door'"),
    ],
)
def test_a_script_that_can_not_be_meant_is_refused(answers: Any, said: str) -> None:
    """A misspelt step or line would test nothing, so it ends the rehearsal before it begins."""
    with pytest.raises(RehearsalError, match=said):
        person_of(answers, STEPS)
