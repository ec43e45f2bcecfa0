"""What is wrong with a run, from its journal: the head of its report, the steps that failed, and a fingerprint."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aurora.alerts.github import Occurrence
from aurora.journal import Event

BAD = frozenset(["red", "broken", "timed_out", "declined", "unknown"])
LONGEST = 500
_LENGTH = 16


def occurrence_of(events: Sequence[Event]) -> Occurrence | None:
    """Return what went wrong so far in the run with these events; None when nothing did.

    The fingerprint is of the runbook, the steps and the gates, not of their values: they differ each day.
    """
    opened = events[0].data
    ends: dict[str, Mapping[str, Any]] = {}
    for event in events:
        if event.type == "step.finished":
            ends[event.data["step"]] = event.data
    bad = [end for end in ends.values() if end["status"] in BAD]
    steps = [
        _step(end) for end in bad if not any(str(other["step"]).startswith(f"{end['step']}/") for other in bad)
    ]  # a sub-runbook is red for what is red in it
    if not steps:
        return None
    words = [str(opened["runbook"])]
    for step in sorted(steps, key=lambda each: str(each["step"])):
        words += [step["step"], step["status"], *(gate["check"] for gate in step["gates"])]
    fingerprint = hashlib.sha256("\n".join(words).encode()).hexdigest()[:_LENGTH]
    names = ", ".join(str(step["step"]) for step in steps)
    facts = {name: opened[name] for name in ("runbook", "run", "mode", "venue")}
    facts |= {"profile": opened["profile"]["name"], "opened": events[0].ts, "steps": steps}
    return Occurrence(fingerprint, str(opened["run"]), f"{opened['runbook']}: {names} not green", facts)


def _step(end: Mapping[str, Any]) -> dict[str, Any]:
    error = end.get("error")
    words = error.get("message", "") if isinstance(error, Mapping) else error or end.get("reason") or ""
    return {"step": end["step"], "status": end["status"], "error": str(words)[:LONGEST], "gates": list(_gates(end))}


def _gates(end: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for gate in end["gates"]:
        if gate["verdict"] != "pass" and gate["severity"] == "blocking":
            values = [(name, _plain(value)) for name, value in gate["values"].items()]
            said = gate.get("error") or gate.get("message") or ""
            yield {"check": _plain(gate["check"]), "verdict": gate["verdict"], "message": said, "seen": values}


def _plain(text: object) -> str:
    """Return a text that ends no line and no code span of Markdown."""
    return " ".join(str(text).split()).replace("`", "'")[:LONGEST]
