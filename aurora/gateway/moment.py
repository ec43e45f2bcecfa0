"""The moment at which a scenario's rule acts: what just happened, or is about to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aurora.gateway.bends import Bend
from aurora.gateway.gateway import Gateway
from aurora.gateway.orders import VenueOrder
from aurora.gateway.session import Session


@dataclass
class Moment:
    """What an action may look at and change.

    order_id, symbol: of the order that the event is about (0 and empty when there is none).
    handle: serves the request; an action that takes the request away sets `taken`.
    """

    gateway: Gateway
    bends: list[Bend]
    session: Session | None = None
    order_id: int = 0
    symbol: str = ""
    order_of: Callable[[], VenueOrder | None] = lambda: None
    handle: Callable[[], None] = lambda: None
    taken: bool = False
