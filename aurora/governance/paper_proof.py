"""Whether a live session on a paper account was ever green: what real money comes after (trading rule 1)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from aurora.housekeeping.sealed import LIVE, ended_steps, read_events, read_sealed, session_starts, unclean_session

PAPER = "paper"


@dataclass(frozen=True)
class PaperProof:
    """Whether a sealed run has a green live session on a paper account. known: the ledger verifies. run: which."""

    known: bool
    proven: bool
    run: str
    note: str


def find_paper_proof(runs: Path) -> PaperProof:
    """Look for the newest sealed run with a clean live session on a paper account; what can't be read is none."""
    ledger, wrong = read_sealed(runs)
    if ledger is None:
        return PaperProof(False, False, "", wrong)
    for run, event in reversed(ledger.sealed.items()):
        if event.data.get("outcome") not in ("green", "amber"):
            continue
        events = read_events(runs, run)
        if isinstance(events, str) or events[0].data["venue"] != PAPER or events[0].data.get("dry_run"):
            continue
        starts = session_starts(events)
        for step, end in ended_steps(events, (LIVE,)):
            if end.data["status"] == "passed" and not unclean_session(end.data) and starts[step] == 1:
                return PaperProof(True, True, run, f"{run}: {step} was clean")
    return PaperProof(True, False, "", "no sealed run has a clean live session on a paper account")
