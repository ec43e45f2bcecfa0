"""Waivers: a person lets a run go on past a step that failed; the run is amber at best (engine rule 12)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aurora.consent import waiver
from aurora.engine.faults import did_you_mean, listed
from aurora.engine.graph import Node, Plan
from aurora.engine.policy import Policy, demanded_by
from aurora.engine.signatory import Signatory
from aurora.engine.state import RunState
from aurora.errors import OperatorError, RecordError, ResumeRefused, UsageError

WAIVABLE = ("red", "broken", "timed_out")


def waivers(
    plan: Plan, state: RunState, policy: Policy | None, steps: Sequence[str], reason: str, by: str
) -> list[dict[str, str]]:
    """Return the waivers as `run.resumed` keeps them. Raises UsageError, or ResumeRefused for what policy demands."""
    if not steps:
        return []
    if not reason.strip():
        raise UsageError("--waive needs --reason.", means="nothing was run", todo="say why: --reason TEXT")
    for step_id in steps:
        _require_waivable(plan, state, policy, step_id)
    return [{"step": step_id, "reason": reason, "by": by} for step_id in steps]


def signed_waivers(
    waived: Sequence[dict[str, str]], run: str, head: str, signatory: Signatory | None, *, must: bool
) -> list[dict[str, Any]]:
    """Return the waivers with the signature of the person here; `signature` is None where nobody's key is named.

    head: the SHA-256 of the journal's last line. Raises OperatorError when a named key does not sign, or none is named
    and they `must` be signed.
    """
    if not waived:
        return []
    if signatory is None or (not signatory.is_configured and not must):
        if must:
            raise OperatorError("A waiver on a live profile is signed, and nobody signs here.", means="nothing was run")
        return [{**each, "signature": None} for each in waived]
    try:
        return [
            {**each, "signature": signatory.sign(waiver(run, head, each["step"], each["reason"])).plain()}
            for each in waived
        ]
    except RecordError as error:
        raise OperatorError(
            f"The waiver is not signed. {error.what}", means="nothing was waived, nothing was run", todo=error.todo
        ) from error


def _require_waivable(plan: Plan, state: RunState, policy: Policy | None, step_id: str) -> None:
    failed = waivable(plan, state)
    node = plan.nodes.get(step_id)
    if node is None or step_id not in failed:
        hint = did_you_mean(step_id, failed) if node is None else ""
        why = "is no step of this run" if node is None else _why_not(node, state)
        raise UsageError(
            f"--waive names {step_id!r}, which {why}{'; ' + hint if hint else '.'}",
            means="only a step that is red, broken or timed out can be waived; nothing was run",
            todo=f"steps that can be: {listed(failed) or 'none'}",
        )
    guard = policy and demanded_by(node, policy)
    if guard:
        raise ResumeRefused(
            f"{step_id} can't be waived: policy demands {guard} before orders are opened.",
            means="no reason replaces it; nothing was run",
            todo="put right what it found, and run it again",
        )


def _why_not(node: Node, state: RunState) -> str:
    status = state.step(node.id).status
    if status == "unknown":
        return "nobody knows the outcome of: settle it (--settle)"
    if node.step.kind == "runbook" and status in WAIVABLE:
        return "failed by a step inside it: waive that one"
    return f"is {status.replace('_', ' ')}"


def waivable(plan: Plan, state: RunState) -> list[str]:
    """Return the steps of a run that failed by themselves; a sub-runbook does only by a gate of its own."""
    found = []
    for node in plan.nodes.values():
        step = state.step(node.id)
        own = any(gate["verdict"] == "red" and gate["severity"] == "blocking" for gate in step.gates)
        if step.status in WAIVABLE and (node.step.kind != "runbook" or own):
            found.append(node.id)
    return found
