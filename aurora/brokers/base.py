"""The broker port: what Aurora asks of a venue that takes orders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol, runtime_checkable

from aurora.market.order import Fill, Order, OrderState
from aurora.market.position import Position

LastLook = Callable[[], str]
"""Asked when an order's bytes are about to go; what it says is why they stay here, "" lets them go."""


@runtime_checkable
class Restricted(Protocol):
    """What a broker has, too, when its venue may forbid to open, whatever our own limits say."""

    def opening_objection(self) -> str:
        """Return why nothing may be opened now, or "". Raises VenueRefusal when nobody can tell."""


def no_objection() -> str:
    """Let it go."""
    return ""


class Broker(Protocol):
    """A venue that takes orders. Only `aurora.execution.router` calls `place_order`."""

    name: str
    """How the report names it: `simulated`, later `ibkr DU…`."""

    def place_order(self, order: Order, last_look: LastLook = no_objection) -> OrderState:
        """Send `order`; return its first known state (REJECTED with the venue's reason, when it says no).

        An order may wait for its turn on the wire: what `last_look` says then makes it WITHHELD.

        Raises VenueRefusal when the venue can't be reached, or when it has seen the order's `ref` before.
        """

    def cancel(self, ref: str) -> None:
        """Ask for the order's cancellation; unknown or done orders are left as they are."""

    def cancel_all(self) -> None:
        """Ask for the cancellation of every working order."""

    def orders(self) -> Sequence[OrderState]:
        """Return every order of this session in the order it was placed."""

    def order_state(self, ref: str) -> OrderState | None:
        """Return what became of one order, or None when the venue knows no such ref."""

    def open_orders(self) -> Sequence[OrderState]:
        """Return the orders that may still fill."""

    def executions(self) -> Sequence[Fill]:
        """Return all fills so far, oldest first."""

    def positions(self) -> Sequence[Position]:
        """Return the positions that are not zero."""

    def cash(self) -> Decimal:
        """Return settled cash in USD."""

    def refresh(self) -> None:
        """Ask the venue anew for all that it knows, and return when each part has come to its end.

        The other reads tell what was last heard. Raises VenueRefusal when any part does not come.
        """

    def server_time(self) -> datetime:
        """Return the venue's own clock, aware UTC."""


@dataclass(frozen=True)
class Terms:
    """How a venue takes orders of a stock. tick: USD. min_size, size_increment: shares."""

    tick: Decimal
    min_size: Decimal
    size_increment: Decimal


@runtime_checkable
class Listing(Protocol):
    """What a broker has, too, when its venue tells what it lists."""

    def terms(self, symbol: str) -> Terms:
        """Return how orders of `symbol` are taken. Raises VenueRefusal when the venue does not know it."""


class ProbedBroker(Broker, Listing, Protocol):
    """A broker whose venue has settings of its own that can be in the way of orders."""

    def what_if(self, symbol: str, bid: Decimal) -> str:
        """Ask what one share at half of `bid` (USD) would cost; return why orders would be refused, "" if they are not.

        No order stays. Raises VenueSilent when the venue does not answer the question, VenueRefusal when it took the
        question for an order.
        """
