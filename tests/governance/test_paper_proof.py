"""Real money comes after a green live session on a paper account (trading rule 1)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aurora.evidence.keys import ensure_key
from aurora.governance.paper_proof import find_paper_proof
from tests.engine.kit import bound_steps
from tests.evidence.sealed import Records

STEPS = """
    import json
    from dataclasses import dataclass
    from aurora.engine.context import Context
    from aurora.engine.registry import step

    @dataclass(frozen=True)
    class Result:
        anomalies: list[str]
        fallbacks: int
        flat: bool

    @step(repeat="safe")
    def live(context: Context[None]) -> Result:
        return Result(**json.loads((context.project / "said.json").read_text()))

    shadow = live
"""
BOOK = """
    params:
      profile: {type: string, default: paper}
    steps:
      - {id: session, uses: session.USES, gate: "anomalies == []"}
"""
CLEAN: dict[str, Any] = {"anomalies": [], "fallbacks": 0, "flat": True}


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    """Return a project with sealed records, whose session ends as it is told to."""
    with bound_steps():
        made = Records(tmp_path / "project", BOOK.replace("USES", "live"))
        made.lab.steps("session", STEPS)
        ensure_key(made.lab.root, made.runs)
        yield made


def session(records: Records, venue: str = "paper", *, dry_run: bool = False, **outputs: Any) -> Path:
    """Run a live session on `venue`, and seal it."""
    records.lab.profile("paper", f"mode: live\nvenue: {venue}\nsecrets: []\n")
    (records.lab.root / "said.json").write_text(json.dumps({**CLEAN, **outputs}))
    return records.run(dry_run=dry_run)


def test_clean_live_session_on_paper_proves(records: Records) -> None:
    """The newest clean one is named, and what came after it takes nothing from it."""
    run = session(records)
    session(records, venue="simulated")
    found = find_paper_proof(records.runs)
    assert (found.known, found.proven, found.run) == (True, True, run.name)


@pytest.mark.parametrize(
    "given",
    [
        {"venue": "simulated"},
        {"venue": "live"},
        {"dry_run": True},
        {"anomalies": ["UNKNOWN order"]},
        {"fallbacks": 1},
        {"flat": False},
    ],
)
def test_other_sessions_prove_nothing(records: Records, given: dict[str, Any]) -> None:
    """Another venue, a dry run, and a session that was not clean are no proof."""
    session(records, **given)
    found = find_paper_proof(records.runs)
    assert (found.known, found.proven) == (True, False)
    assert "no sealed run has a clean live session" in found.note


def test_shadow_session_proves_nothing(records: Records) -> None:
    """What sends nothing shows nothing of sending."""
    records.lab.book(BOOK.replace("USES", "shadow"))
    session(records)
    assert not find_paper_proof(records.runs).proven


def test_tampered_run_proves_nothing_and_no_ledger_is_unknown(records: Records) -> None:
    """A run that does not verify is no proof; without records nobody knows."""
    assert (found := find_paper_proof(records.runs)).known is False, found
    run = session(records)
    journal = run / "journal.jsonl"
    journal.write_text(journal.read_text().replace('"live"', '"Live"'))
    assert not find_paper_proof(records.runs).proven
