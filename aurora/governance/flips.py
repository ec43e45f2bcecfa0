"""Looks at all named checks, and turns one over: only where the sealed runs speak for it, in a sealed run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aurora.engine.graph import Library
from aurora.engine.project import Project
from aurora.engine.values import encode
from aurora.errors import OperatorError
from aurora.governance.standing import Proposal, greens_in_a_row, propose, read_runs
from aurora.governance.table import Check, phase_of, read_table, write_state


@dataclass(frozen=True)
class GovernanceLook:
    """How the named checks stand. phase: the last that is reached. table: a line a check.

    check, to, why, evidence: what is proposed; check is "" where nothing is. others: what else could be proposed.
    """

    phase: int
    table: list[str]
    check: str
    to: str
    why: str
    evidence: list[str]
    others: list[str]


@dataclass(frozen=True)
class Flipped:
    """What was turned over, to what; phase: that is reached now."""

    check: str
    state: str
    phase: int


def look_at_checks(root: Path, wanted: str = "") -> GovernanceLook:
    """Return how the checks stand and what is proposed: for `wanted`, or the first of the table that is ready.

    Raises RunbookError for a wrong table, OperatorError for an unknown check and a ledger that does not verify.
    """
    table = read_table(root)
    if wanted and wanted not in table:
        raise OperatorError(f"There is no check {wanted!r}.", todo=f"name one of: {', '.join(table)}")
    runs = read_runs(
        root / "runs", {check.runbook: _as_shipped(root, check) for check in table.values() if check.runbook}
    )
    lines, proposals = [], list[Proposal]()
    for check in table.values():
        own = runs.get(check.runbook, [])
        greens = len(greens_in_a_row(own))
        done = f"{len(own)} sealed runs, {greens} green in a row" if check.runbook else "in CI only"
        lines.append(f"{check.name}: {check.state}, phase {check.phase}; {done}")
        found = propose(check, own)
        proposals += [found] if found is not None else []
    chosen = next((each for each in proposals if not wanted or each.check == wanted), None)
    others = [f"{each.check} to {each.to}: {each.why}" for each in proposals if each is not chosen]
    if chosen is None:
        return GovernanceLook(phase_of(table), lines, "", "", "", [], others)
    return GovernanceLook(phase_of(table), lines, chosen.check, chosen.to, chosen.why, chosen.evidence, others)


def _as_shipped(root: Path, check: Check) -> dict[str, Any]:
    """Return the parameters that a check's runs have to have: who asks for less has not run the check."""
    draft = Library(Project(root)).load(check.runbook).draft
    if draft is None:
        raise OperatorError(f"{check.name} names the runbook {check.runbook}, which can't be read.", todo="invoke lint")
    return {name: encode(param.default) for name, param in draft.params.items()}


def flip(root: Path, check: str, to: str, by: str) -> Flipped:
    """Turn `check` over to `to` in the table, by the run `by`, if the sealed runs still speak for it.

    One that is turned over already stays so. Raises OperatorError when nothing speaks for it any more.
    """
    table = read_table(root)
    if check in table and table[check].state == to:
        return Flipped(check, to, phase_of(table))
    found = look_at_checks(root, check)
    if (found.check, found.to) != (check, to):
        raise OperatorError(
            f"Nothing speaks for {check} to be {to} any more.",
            means="its runs have changed since they were looked at; nothing was written",
            todo="look again: invoke runbook governance",
        )
    write_state(root, check, to, by)
    return Flipped(check, to, phase_of(read_table(root)))
