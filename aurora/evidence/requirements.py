"""`requires:` of a runbook, looked up: which sealed run answers to it, or which came nearest and why it does not do."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from aurora.errors import RecordError
from aurora.evidence import statement
from aurora.evidence.archive import sealed_folder
from aurora.evidence.ledger import LedgerText, read_ledger
from aurora.evidence.verification import verify

_LOOKED_AT = 50
"""How many candidates are read, newest first; what is older is not what anybody waits for."""


@dataclass(frozen=True)
class Asking:
    """The run that asks: its parameters (as a journal has them), its profile's digest, and what it is itself."""

    params: Mapping[str, Any]
    profile_digest: str
    simulated: bool
    dry_run: bool
    now: datetime


@dataclass(frozen=True)
class Candidate:
    """A sealed run of the runbook asked for, or a part of one, and all reasons why it does not do."""

    run: str
    reasons: tuple[str, ...]
    is_read: bool = True
    """Whether its evidence was looked at: what nobody read is nearer than nothing, and than nothing else."""

    @property
    def distance(self) -> tuple[bool, int]:
        """Return how far it is from what was asked for."""
        return not self.is_read, len(self.reasons)


def check_requirements(runs: Path, asked: Sequence[Mapping[str, Any]], asking: Asking) -> list[dict[str, Any]]:
    """Return for each requirement its `verdict` (met, not checked, missing), the `reason`, and the `run` that meets it.

    asked: {`runbook`, `outcome`, `within`, `within_s` (seconds, None for any age), `same`} each.
    Raises SigningFailed when a record can't be verified.
    """
    ledger, broken = _ledger(runs, asked)
    return [_verdict(runs, ledger, broken, each, asking) for each in asked]


def _ledger(runs: Path, asked: Sequence[Mapping[str, Any]]) -> tuple[LedgerText, str]:
    """Return the ledger, and what is wrong with it: nothing in a ledger that does not verify is evidence."""
    if not asked or not (runs / "ledger.jsonl").exists():
        return LedgerText(), ""
    found = [finding for finding in verify(runs, ()).findings if not finding.is_note]
    if found:
        return LedgerText(), f"the ledger does not verify: {found[0].code}, {found[0].what}"
    return LedgerText.of(read_ledger(runs)[0], runs / "ledger.jsonl"), ""


def _verdict(runs: Path, ledger: LedgerText, broken: str, asked: Mapping[str, Any], asking: Asking) -> dict[str, Any]:
    nearest: Candidate | None = None
    for candidate in _candidates(runs, ledger, asked, asking):
        if not candidate.reasons:
            reason = f"{candidate.run} is sealed and verifies"
            return {"verdict": "met", "reason": reason, "run": candidate.run}
        if nearest is None or candidate.distance < nearest.distance:
            nearest = candidate
    if broken:
        reason = broken
    elif nearest is None:
        reason = f"no run of {asked['runbook']} is sealed"
    else:
        reason = f"{nearest.run} came nearest: {'; '.join(nearest.reasons)}"
    if asking.simulated:
        return {"verdict": "not checked", "reason": f"a simulated venue asks for no evidence ({reason})", "run": None}
    return {"verdict": "missing", "reason": reason, "run": None}


def _candidates(runs: Path, ledger: LedgerText, asked: Mapping[str, Any], asking: Asking) -> Iterator[Candidate]:
    sealed = [run for run, event in ledger.sealed.items() if asked["runbook"] in event.data.get("runbooks", ())]
    for run in sealed[: -_LOOKED_AT - 1 : -1]:
        try:
            with sealed_folder(runs, run) as folder:
                said = statement.read_statement((folder / statement.FILE).read_bytes())["predicate"]
            parts = list(_parts(said, str(asked["runbook"])))
            reasons = min((list(_misfits(part, said, asked, asking)) for part in parts), key=len)
        except (OSError, ValueError, KeyError, TypeError, RecordError) as error:
            yield Candidate(run, (f"its evidence can't be read ({error})",), is_read=False)
            continue
        if not reasons:
            reasons = [f"{finding.code}, {finding.what}" for finding in _wrong(runs, run)]
        yield Candidate(run, tuple(reasons))


def _wrong(runs: Path, run: str) -> Iterator[Any]:
    for finding in verify(runs, [run], renders=False).findings:  # what its reports look like today proves nothing
        if not finding.is_note:
            yield finding


def _parts(said: Mapping[str, Any], runbook: str) -> Iterator[Mapping[str, Any]]:
    """Yield the run, and the sub-runbooks in it, that are runs of `runbook`."""
    definition = said["runDefinition"]
    whole = {
        "outcome": said["outcome"],
        "parameters": definition["parameters"],
        "finishedOn": said["runDetails"]["metadata"]["finishedOn"],
    }
    if definition["runbook"] == runbook:
        yield whole
    for part in said["runbooks"]:
        if part["runbook"] == runbook:
            yield {**part, "parameters": {"profile": definition["profile"]["name"], **part["parameters"]}}


def _misfits(
    part: Mapping[str, Any], said: Mapping[str, Any], asked: Mapping[str, Any], asking: Asking
) -> Iterator[str]:
    """Yield every reason why a part of a run does not answer to what is asked."""
    definition = said["runDefinition"]
    if part["outcome"] != asked["outcome"]:
        yield f"it was {part['outcome']}, not {asked['outcome']}"
    age = asking.now - datetime.fromisoformat(part["finishedOn"])
    if asked["within_s"] is not None and not 0 <= age.total_seconds() <= asked["within_s"]:
        yield f"it ended {_ago(age)}, and counts for {asked['within']}"
    for name in asked["same"]:
        yield from _differs(str(name), part, definition, asking)
    if definition["dryRun"] and not asking.dry_run:
        yield "it was a dry run"
    if not asking.simulated and definition["scripted"]:
        yield "its answers came from a script"
    if not asking.simulated and definition["simulated"]:
        yield "it ran on a simulated venue"


def _differs(name: str, part: Mapping[str, Any], definition: Mapping[str, Any], asking: Asking) -> Iterator[str]:
    """Yield how a parameter differs; profiles are compared by what they resolve to, not by name (engine rule 25)."""
    theirs, ours = part["parameters"].get(name), asking.params.get(name)
    if name != "profile":
        if theirs != ours:
            yield f"its {name} was {json.dumps(theirs)}, not {json.dumps(ours)}"
        return
    of_run = definition["profile"]
    if theirs is not None and theirs != of_run["name"]:
        yield f"it took the profile {theirs} inside a run with {of_run['name']}"
    elif of_run["digest"] != asking.profile_digest:
        yield f"its profile {of_run['name']} had other values"


def _ago(age: timedelta) -> str:
    seconds = age.total_seconds()
    if seconds < 0:
        return "in the future"
    for unit, size in (("days", 172_800), ("h", 7200), ("min", 120)):
        if seconds >= size:
            return f"{seconds / {'days': 86_400, 'h': 3600, 'min': 60}[unit]:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"
