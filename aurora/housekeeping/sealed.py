"""Reads what sealed runs say, in their folders and archives: only what the ledger sealed and what verifies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from aurora.errors import AuroraError
from aurora.evidence.archive import sealed_folder
from aurora.evidence.ledger import LedgerText, read_ledger_text
from aurora.evidence.verification import verify
from aurora.journal import Event, read_journal

LIVE = "session.live"
SESSIONS = ("session.paper", "session.shadow", LIVE)


def read_sealed(runs: Path) -> tuple[LedgerText | None, str]:
    """Return the ledger, or None and why nothing in it is evidence."""
    try:
        if not (runs / "ledger.jsonl").exists():
            return None, "there are no records yet"
        found = [finding for finding in verify(runs, ()).findings if not finding.is_note]
        return (None, f"the ledger does not verify: {found[0].what}") if found else (read_ledger_text(runs), "")
    except AuroraError as error:
        return None, f"the ledger can't be verified: {error.what}"


def read_events(runs: Path, run: str) -> Sequence[Event] | str:
    """Return the journal of a run that verifies, or why it can't be leant on."""
    try:
        wrong = [finding for finding in verify(runs, [run], renders=False).findings if not finding.is_note]
        if wrong:
            return f"it does not verify: {wrong[0].what}"
        with sealed_folder(runs, run) as folder:
            return read_journal(folder / "journal.jsonl").events
    except (AuroraError, OSError) as error:
        return f"it can't be read: {error.what if isinstance(error, AuroraError) else error.strerror}"


def root_cause_of(ledger: LedgerText, run: str) -> str:
    """Return what the newest person to review a sealed run noted, and who; "" when nobody did.

    Of a run that verifies: there the ledger's word on a review has the person's own signature beside it.
    """
    sealed = ledger.sealed[run].data.get("evidence")
    for event in reversed(ledger.events):
        data = event.data
        is_it = (data.get("act"), data.get("run"), data.get("evidence")) == ("reviewed", run, sealed)
        if is_it and str(data.get("note") or "").strip():
            return f"{data.get('principal')}: {data['note']}"
    return ""


def ended_steps(events: Sequence[Event], uses: Sequence[str]) -> Iterator[tuple[str, Event]]:
    """Yield the steps that call one of the functions `uses`, as each ended last and was not left out."""
    ours = {entry["id"] for entry in events[0].data["plan"] if entry.get("uses") in uses}
    last = {event.data["step"]: event for event in events if event.type == "step.finished"}
    for step, end in last.items():
        if step in ours and end.data["status"] not in ("skipped", "omitted") and not end.data.get("simulated"):
            yield step, end


def live_steps(events: Sequence[Event]) -> set[str]:
    """Return the steps of a run that are live sessions."""
    return {entry["id"] for entry in events[0].data["plan"] if entry.get("uses") == LIVE}


def session_starts(events: Sequence[Event]) -> Counter[str]:
    """Return how often each session of a run was begun; one that was cut off and resumed was begun twice."""
    ours = {entry["id"] for entry in events[0].data["plan"] if entry.get("uses") in SESSIONS}
    return Counter(
        event.data["step"] for event in events if event.type == "step.started" and event.data["step"] in ours
    )


def unclean_session(end: Mapping[str, Any]) -> str:
    """Return why a session, by the data of its step's end, was not clean; "" when it was."""
    outputs = end.get("outputs")
    if not isinstance(outputs, Mapping) or not {"anomalies", "fallbacks", "flat"} <= outputs.keys():
        return f"{end['status']}, and what it came to is not known"
    said = [f"{len(outputs['anomalies'])} anomalies: {outputs['anomalies'][0]}"] if outputs["anomalies"] else []
    said += [f"{outputs['fallbacks']} fallbacks"] if outputs["fallbacks"] != 0 else []
    said += ["it did not end flat"] if outputs["flat"] is not True else []
    return "; ".join(said) or ("" if end["status"] == "passed" else f"it was {end['status']}")
