"""The line to a venue: what a broker or a quote source may tell of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class LinkState:
    """What is wrong with a line now, in words; empty is well.

    down:    a connection or a data farm that is not there, like `market data farm usfarm`.
    delayed: whose quotes are not real-time, like `SPY, TSLA`.
    """

    down: str = ""
    delayed: str = ""


WELL = LinkState()


@runtime_checkable
class Link(Protocol):
    """What a broker or a quote source has, too, when there is a line that can go down."""

    def link_state(self) -> LinkState:
        """Return what is wrong with the line now; never waits. Raises VenueRefusal when nobody can tell."""


def together(states: Iterable[LinkState]) -> LinkState:
    """Return several lines' states as that of one: what is wrong with any of them, said once."""
    told = list(states)
    downs, delays = dict.fromkeys(each.down for each in told), dict.fromkeys(each.delayed for each in told)
    return LinkState("; ".join(filter(None, downs)), "; ".join(filter(None, delays)))


def link_state_of(part: object) -> LinkState:
    """Return the state of a broker's or a source's line; one that has no line is well."""
    return part.link_state() if isinstance(part, Link) else WELL
