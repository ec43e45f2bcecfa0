"""How each named check has done, by its sealed runs; and which of them is ready to be turned over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from aurora.errors import AuroraError, OperatorError
from aurora.evidence import statement
from aurora.evidence.archive import sealed_folder
from aurora.evidence.ledger import LedgerText, read_ledger_text
from aurora.evidence.verification import verify
from aurora.governance.table import ADVISORY, BLOCKING, Check
from aurora.market.hours import exchange_day

MOST = 60
"""Newest runs of a check that are read; what is older turns nothing over."""


@dataclass(frozen=True)
class CheckRun:
    """One sealed run of a check. outcome: `unknown` where it can't be leant on. commit: "" where it is not known."""

    run: str
    at: datetime
    outcome: str
    commit: str


@dataclass(frozen=True)
class Proposal:
    """To turn `check` over to `to`. why: in a line. evidence: a line for each run that speaks for it."""

    check: str
    to: str
    why: str
    evidence: list[str]


def read_runs(runs: Path, runbooks: Mapping[str, Mapping[str, Any]]) -> dict[str, list[CheckRun]]:
    """Return the sealed runs of each runbook, oldest first; dry runs are none.

    runbooks: by name, the parameters (as a journal has them) that a run of it had to have, to be one of the check.
    Raises OperatorError when the ledger does not verify: then nothing in it is evidence.
    """
    ledger = _ledger(runs)
    return {runbook: list(_runs_of(runs, ledger, runbook, params)) for runbook, params in runbooks.items()}


def _ledger(runs: Path) -> LedgerText:
    if not (runs / "ledger.jsonl").exists():
        return LedgerText()
    found = [finding for finding in verify(runs, ()).findings if not finding.is_note]
    if found:
        raise OperatorError(
            f"The ledger does not verify: {found[0].what}.",
            means="nothing in it is evidence; no check can be turned over",
            todo="see: invoke verify",
        )
    return read_ledger_text(runs)


def _runs_of(runs: Path, ledger: LedgerText, runbook: str, params: Mapping[str, Any]) -> Iterator[CheckRun]:
    sealed = [(run, event) for run, event in ledger.sealed.items() if runbook in event.data.get("runbooks", ())]
    for run, event in sealed[-MOST:]:
        at = datetime.fromisoformat(event.ts)
        try:
            wrong = [finding for finding in verify(runs, [run], renders=False).findings if not finding.is_note]
            with sealed_folder(runs, run) as folder:
                said = statement.read_statement((folder / statement.FILE).read_bytes())["predicate"]
            definition = said["runDefinition"]
            if definition["runbook"] != runbook or definition["dryRun"] or definition["parameters"] != params:
                continue
            yield CheckRun(run, at, "unknown" if wrong else str(said["outcome"]), _commit(definition))
        except (OSError, ValueError, KeyError, TypeError, AuroraError):
            yield CheckRun(run, at, "unknown", "")


def _commit(definition: Mapping[str, Any]) -> str:
    """Return the commit that a run's code was exactly, or ""."""
    code = next((each for each in definition["resolvedDependencies"] if each["name"] == "code"), None)
    return "" if code is None or code["annotations"]["dirty"] else str(code["digest"]["gitCommit"])


def propose(check: Check, runs: Sequence[CheckRun]) -> Proposal | None:
    """Return what the runs of a check (oldest first) speak for; None when for leaving it as it is."""
    return _demotion(check, runs) if check.blocks else _promotion(check, runs)


def greens_in_a_row(runs: Sequence[CheckRun]) -> list[CheckRun]:
    """Return the newest runs that were green, back to the first that was not; amber and unknown end it, too."""
    found = []
    for run in reversed(runs):
        if run.outcome != "green":
            break
        found.append(run)
    return found[::-1]


def flaky_reds(runs: Sequence[CheckRun]) -> list[CheckRun]:
    """Return the runs that failed although the same commit was green in another of them."""
    green = {run.commit for run in runs if run.outcome == "green"} - {""}
    return [run for run in runs if run.outcome in ("red", "broken") and run.commit in green]


def _promotion(check: Check, runs: Sequence[CheckRun]) -> Proposal | None:
    greens = greens_in_a_row(runs)
    days = {exchange_day(run.at) for run in greens}
    if not check.greens or len(greens) < check.greens or len(days) < check.days:
        return None
    asked = f"asked for were {check.greens} on {check.days}"
    why = f"{len(greens)} sealed greens in a row on {len(days)} exchange days; {asked}"
    return Proposal(check.name, BLOCKING, why, [_shown(run) for run in greens])


def _demotion(check: Check, runs: Sequence[CheckRun]) -> Proposal | None:
    newest = runs[-check.of :] if check.of else []
    reds = flaky_reds(newest)
    if not check.flaky_reds or len(reds) < check.flaky_reds:
        return None
    why = f"{len(reds)} of its newest {len(newest)} runs failed on a commit on which it was green, too: it is flaky"
    commits = {red.commit for red in reds}
    return Proposal(check.name, ADVISORY, why, [_shown(run) for run in newest if run.commit in commits])


def _shown(run: CheckRun) -> str:
    return f"{run.run}: {run.outcome}{f' on {run.commit[:12]}' if run.commit else ''}"
