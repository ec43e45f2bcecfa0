"""What persons sign: lines that no text can shift, and that stock tools write the same."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurora.consent import answers_of, clearing, confirmation, readiness, unlocking, waiver
from aurora.errors import SigningFailed

HOSTILE = 'Ready?"\nanswer: ["yes",[]]\r\njournal-head: "0"\u2028\u0085\x0b\t\\ 😀 é </script>'
SIGNABLE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x7f"))


def answered(*lines: str, yes: bool = True) -> dict[str, Any]:
    """Return an answer to some lines."""
    return {"accepted": yes, "answers": answers_of(lines, [yes] * len(lines))}


def test_confirmation_is_six_lines() -> None:
    """Form and version, run, step, journal-head, prompt, answer: one line each, in that order."""
    text = confirmation("RUN", "ab" * 32, {"step": "sure", "prompt": "Ready?"}, answered("Flat", "Awake"))
    assert text.decode().splitlines() == [
        "aurora-confirm/1",
        'run: "RUN"',
        'step: "sure"',
        f'journal-head: "{"ab" * 32}"',
        'prompt: "Ready?"',
        'answer: ["yes",[["Flat","yes"],["Awake","yes"]]]',
    ]


@given(SIGNABLE, SIGNABLE, SIGNABLE, st.booleans())
@settings(max_examples=200, deadline=None)
def test_no_text_shifts_a_line(step: str, prompt: str, line: str, yes: bool) -> None:
    """Whatever run, step, prompt and checklist hold: six lines, and each value comes back as it was."""
    text = confirmation("RUN", "h", {"step": step, "prompt": prompt}, answered(line, yes=yes)).decode()
    kind, *rest, end = text.split("\n")
    assert (kind, len(rest), end) == ("aurora-confirm/1", 5, "")
    names, values = zip(*(each.split(": ", 1) for each in rest), strict=True)
    assert names == ("run", "step", "journal-head", "prompt", "answer")
    word = "yes" if yes else "no"
    assert [json.loads(value) for value in values] == ["RUN", step, "h", prompt, [word, [[line, word]]]]


def test_jq_writes_the_same_values() -> None:
    """An auditor's jq turns the journal's values into the very bytes that were signed, hostile ones among them."""
    if shutil.which("jq") is None:
        pytest.skip("jq is not installed here; an auditor has it, and CI installs it")
    data = {"step": HOSTILE, "prompt": HOSTILE}
    text = confirmation("RUN", "h", data, answered(HOSTILE)).decode()
    line = json.dumps(data).encode()  # as a journal holds it
    words = ["jq", "-r", '"step: \\(.step|tojson)", "prompt: \\(.prompt|tojson)"']
    made = subprocess.run(words, input=line, capture_output=True, check=True).stdout.decode()
    assert made in text.replace('journal-head: "h"\n', "")


@pytest.mark.parametrize("text", ["\x7f", "a\ud800b"])
def test_text_that_tools_write_differently_is_not_signed(text: str) -> None:
    """DEL, and half a character, have no one form: nothing is signed rather than something ambiguous."""
    with pytest.raises(SigningFailed, match="can't be signed"):
        waiver("RUN", "h", "step", text)


def test_lockout_can_be_lifted_whatever_a_venue_said() -> None:
    """A venue's words are signed with whatever is in them: no character of theirs keeps a lockout standing."""
    anomaly = {"reason": 'reject\x7f\ud800\nmode: "paper"', "session": "s", "at": "t"}
    act = {"mode": "live", "anomalies": [anomaly], "root_cause": "x", "issue": 7, "at": "now"}
    lines = unlocking(act).decode("ascii").split("\n")
    assert [line.split(":")[0] for line in lines] == [
        "aurora-unlock/1", "mode", "anomalies", "root-cause", "issue", "at", "",
    ]  # fmt: skip
    assert json.loads(lines[2].removeprefix("anomalies: ")) == [[anomaly["reason"], "s", "t"]]


def test_words_of_one_kind_are_none_of_another() -> None:
    """The first line tells the kinds apart, so a signature under one says nothing under another."""
    act: dict[str, Any] = {"mode": "live", "anomalies": [], "root_cause": "x", "issue": None, "at": "now"}
    act |= {"flag": "", "reason": "x"}
    words = [
        confirmation("RUN", "h", {"step": "s", "prompt": "p"}, answered("p")),
        waiver("RUN", "h", "s", "p"),
        unlocking(act),
        clearing(act),
        readiness("RUN", "now"),
    ]
    assert len({text.split(b"\n")[0] for text in words}) == len(words)
