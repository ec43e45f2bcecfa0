"""One question at a time, and the clock before the person (engine rule 22)."""

from __future__ import annotations

import os
import selectors
from datetime import UTC, datetime
from typing import cast

import pytest

from aurora.clock import ManualClock
from aurora.engine.graph import Node
from aurora.engine.prompts import Answer, Prompt, Terminal
from aurora.engine.questions import Questions
from aurora.engine.timers import Timers
from aurora.journal import Event


@pytest.mark.parametrize(("waited", "accepted", "reason"), [(9.9, True, "answered"), (10.0, False, "timed out")])
def test_yes_that_came_with_the_timeout(waited: float, accepted: bool, reason: str) -> None:
    """A loop that finds a yes and the end of its time at once takes the time: what comes after it is no answer."""
    clock, answers = ManualClock(datetime(2026, 1, 2, tzinfo=UTC)), list[Answer]()
    reading, writing = os.pipe()
    with selectors.DefaultSelector() as selector, os.fdopen(reading), os.fdopen(writing, "wb", 0) as keyboard:
        questions = Questions(
            Terminal(lambda _: None, reading),
            selector,
            lambda type_, data: Event(1, "", type_, data),
            Timers(clock),
            lambda node, prompt, answer: answers.append(answer),
        )
        questions.add(cast("Node", None), Prompt("sure", "Sure?", timeout=10))
        assert questions.ask_next()
        keyboard.write(b"y\n")
        clock.advance(waited)
        assert [key.fd for key, _ in selector.select(0)] == [reading]
        questions.hear()
    assert [(answer.accepted, answer.reason) for answer in answers] == [(accepted, reason)]
    assert questions.open is None
