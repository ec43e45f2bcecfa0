"""Gives the run's grant to steps that open orders, or says what is missing (engine rules 13 and 14)."""

from __future__ import annotations

from aurora.engine.graph import Node, Plan
from aurora.engine.policy import Policy, guard_steps
from aurora.engine.state import RunState
from aurora.engine.values import TypeMismatch
from aurora.grant import Grant
from aurora.profile import Profile


class NoGrant(TypeMismatch):
    """A guard that policy demands has not passed in this run, so its step may not open orders."""


def grant(plan: Plan, state: RunState, policy: Policy | None, node: Node, token: str, profile: Profile) -> Grant:
    """Return the grant of an attempt. Raises NoGrant, whatever lint has proven: a waiver or a sample is no pass."""
    if policy is None:
        raise NoGrant(f"{node.id} opens orders, and this project has no policy")
    found = guard_steps(plan, node, policy)
    for guard in policy.guards:
        step_id = found.get(guard)
        if step_id is None:
            raise NoGrant(f"policy demands {guard} before {node.id}, and no step of this run is that")
        step = state.step(step_id)
        if step.status != "passed" or step.simulated:
            how = "was simulated" if step.simulated else f"is {step.status}"
            raise NoGrant(f"policy demands {guard} before {node.id}, and {step_id} {how}")
    guards = {str(guard): step_id for guard, step_id in found.items()}
    return Grant(token, profile.digest, str(profile.values.get("venue")), guards)
