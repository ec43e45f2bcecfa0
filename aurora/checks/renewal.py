"""Makes the golden session and the golden predictions anew: drafts first, which a person looks at."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from aurora.checks.golden import read_record
from aurora.checks.model_eval import golden_cases
from aurora.errors import OperatorError
from aurora.housekeeping.rollback import replace_file
from aurora.market.mode import Mode
from aurora.session.services import Services
from aurora.session.settings import SessionRequest

if TYPE_CHECKING:
    from aurora.session.run import Attempt

PREDICTIONS = "predictions.json"


@dataclass(frozen=True)
class GoldenDraft:
    """A golden session and its predictions, not in use yet. recording, predictions: where they are."""

    recording: str
    predictions: str
    polls: int
    decided: int
    fills: int
    anomalies: list[str]


@dataclass(frozen=True)
class GoldenKept:
    """Which files are in use now."""

    files: list[str]


def draft_golden(
    services: Services, quotes: str, symbols: tuple[str, ...], steps: int, attempt: Attempt
) -> GoldenDraft:
    """Run a paper session on `quotes`, and ask the profile's model about each of its bars."""
    from aurora.session import run  # noqa: PLC0415 - lint imports this module, only workers need the loop

    result = run.run_session(services, SessionRequest(Mode.PAPER, symbols, quotes, steps=steps), attempt)
    cases = golden_cases(services.strategy(), attempt.folder / run.RECORDING, result.recording)
    path = attempt.folder / PREDICTIONS
    path.write_text(json.dumps(cases, indent=0) + "\n", "utf-8")
    where = str(Path(result.recording).parent / PREDICTIONS)
    return GoldenDraft(result.recording, where, result.polls, result.bars_decided, result.fills, result.anomalies)


def keep_golden(root: Path, drafts: dict[str, str]) -> GoldenKept:
    """Put each draft (its place of use → where it is, relative to `root`) into use, each whole or not at all."""
    texts = {}
    for place, draft in drafts.items():
        if not (root / place).parent.resolve().is_relative_to(root.resolve()):
            raise OperatorError(f"{place} is outside of the project.", means="nothing was written")
        if draft.endswith(".jsonl"):
            read_record(root / draft, draft)
        texts[place] = (root / draft).read_text("utf-8")
    for place, text in texts.items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        replace_file(root / place, text)
    return GoldenKept(sorted(texts))
