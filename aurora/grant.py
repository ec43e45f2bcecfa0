"""The run's grant: what lets one attempt of one step open orders (engine rule 14).

The engine gives it to a step that declares `orders.open`, once each guard that the policy demands has passed in the
same run; the router asks for it before anything opens. It keeps mistakes from opening orders, not code that forges one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aurora.profile import Profile

SIMULATED = "simulated"


@dataclass(frozen=True)
class Grant:
    """For the attempt with this `token`, under the profile with this digest, on this venue.

    guards: what policy demands, each with the step that met it.
    """

    token: str
    profile: str
    venue: str
    guards: Mapping[str, str]


def objection(grant: Grant | None, token: str, profile: Profile) -> str:
    """Return why the attempt `token` may not open orders, or nothing; a simulated venue asks for no grant."""
    venue = str(profile.values.get("venue"))
    if grant is None:
        return "" if venue == SIMULATED else f"on the venue {venue} only a runbook's run may open orders: no grant"
    if grant.token != token:
        return f"the grant is for another attempt: {grant.token}"
    if (grant.profile, grant.venue) != (profile.digest, venue):
        return f"the grant is for another profile, on the venue {grant.venue}"
    return ""
