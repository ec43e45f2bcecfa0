"""What a person signs: her word as lines of text, one meaning each, which stock tools can write again from the record.

The first line says what kind of word it is, and in which form; each line after it is `name: value`, the value as JSON.
So no text of a runbook, whatever it holds, can begin a line of its own, and no word counts as one of another kind.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aurora.errors import SigningFailed


@dataclass(frozen=True)
class Signed:
    """A signature that holds: whose it is, of which key (its fingerprint), and the SSHSIG itself."""

    principal: str
    key: str
    sshsig: str

    def plain(self) -> dict[str, str]:
        """Return it as records keep it."""
        return {"principal": self.principal, "key": self.key, "sshsig": self.sshsig}


def confirmation(run: str, head: str, asked: Mapping[str, Any], answered: Mapping[str, Any]) -> bytes:
    """Return the six lines of an answer to a question of a run.

    head:     the SHA-256 of the journal's line that holds the question: it stands for all that was on record then.
    asked:    the data of `prompt.opened`.
    answered: that of `prompt.answered`, of which `accepted` and `answers` count.
    """
    ticks = [[each["line"], each["answer"]] for each in answered["answers"]]
    word = "yes" if answered["accepted"] else "no"
    return _lines(
        "confirm",
        {
            "run": run,
            "step": asked["step"],
            "journal-head": head,
            "prompt": asked["prompt"],
            "answer": [word, ticks],
        },
    )


def waiver(run: str, head: str, step: str, reason: str) -> bytes:
    """Return the lines of a waiver. `head` is the SHA-256 of the journal's last line before the run goes on."""
    return _lines("waive", {"run": run, "step": step, "journal-head": head, "reason": reason})


def unlocking(act: Mapping[str, Any]) -> bytes:
    """Return the lines of a lockout's lifting, from the act's data: `at` and the anomalies are those of no other."""
    anomalies = [[each["reason"], each["session"], each["at"]] for each in act["anomalies"]]
    return _lines(
        "unlock",
        {
            "mode": act["mode"],
            "anomalies": anomalies,
            "root-cause": act["root_cause"],
            "issue": act["issue"],
            "at": act["at"],
        },
        _ascii,
    )


def clearing(act: Mapping[str, Any]) -> bytes:
    """Return the lines of a kill flag's clearing: what was in the flag, why it goes, and when."""
    return _lines("kill-clear", {"flag": act["flag"], "reason": act["reason"], "at": act["at"]}, _ascii)


def readiness(run: str, at: str) -> bytes:
    """Return the lines that prove a key before anything needs it; no record holds them, and they consent to nothing."""
    return _lines("ready", {"run": run, "at": at})


def answers_of(lines: Sequence[str], ticks: Sequence[bool]) -> list[dict[str, str]]:
    """Return the answer to each line of a question as `prompt.answered` has it."""
    return [{"line": line, "answer": "yes" if yes else "no"} for line, yes in zip(lines, ticks, strict=False)]


def _lines(kind: str, values: Mapping[str, Any], form: Callable[[Any], str] | None = None) -> bytes:
    form = form or _json
    shown = [f"aurora-{kind}/1", *(f"{name}: {form(value)}" for name, value in values.items())]
    return "".join(f"{line}\n" for line in shown).encode()


def _ascii(value: Any) -> str:
    """Return JSON for texts that nobody here chose, such as a venue's: whatever they hold, a lockout can be lifted."""
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # versions of jq differ in how they write DEL, and half a surrogate pair is no text
    if "\x7f" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise SigningFailed(
            f"A text holds a character that can't be signed: {text[:200]!r}.",
            means="two tools would write it in two ways",
            todo="take the control character out of it",
        )
    return text
