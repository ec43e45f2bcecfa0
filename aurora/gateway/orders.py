"""Orders and executions as the gateway keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from aurora.gateway.listings import Listing
from aurora.market.order import OrderType, Side


class TimeInForce(StrEnum):
    """How long an order works."""

    DAY = "DAY"
    GTC = "GTC"
    IOC = "IOC"


class Status(StrEnum):
    """TWS's own order states, as far as a gateway sends them."""

    PRE_SUBMITTED = "PreSubmitted"
    SUBMITTED = "Submitted"
    FILLED = "Filled"
    CANCELLED = "Cancelled"
    INACTIVE = "Inactive"

    @property
    def is_done(self) -> bool:
        """Return whether nothing more can happen to the order."""
        return self in (Status.FILLED, Status.CANCELLED)


@dataclass(frozen=True)
class Terms:
    """What a client may change in its order: quantity in shares, limit in USD a share (None for a market order)."""

    quantity: int
    type: OrderType
    limit: Decimal | None
    tif: TimeInForce
    transmit: bool = True
    outside_rth: bool = False


@dataclass(eq=False)
class VenueOrder:
    """An order at the venue, known by its permId; order id and client id name it only for the client that placed it.

    queue_ahead: displayed shares at the limit that came first; None until the market touches the limit.
    has_waited: there was a quote at which it could not trade at once.
    """

    perm_id: int
    client_id: int
    order_id: int
    listing: Listing
    side: Side
    terms: Terms
    account: str
    ref: str = ""
    status: Status = Status.PRE_SUBMITTED
    filled: int = 0
    value: Decimal = Decimal(0)
    last_price: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)
    queue_ahead: int | None = None
    has_waited: bool = False
    why_held: str = ""
    completed: datetime | None = None

    @property
    def remaining(self) -> int:
        """Return the shares that have not traded."""
        return self.terms.quantity - self.filled

    @property
    def average_price(self) -> Decimal:
        """Return the average price of what has traded, in USD a share; 0 before."""
        return round(self.value / self.filled, 8) if self.filled else Decimal(0)

    @property
    def is_manual(self) -> bool:
        """Return whether a person placed it in TWS: such orders have the order id 0."""
        return self.order_id == 0

    def is_marketable(self, far_touch: Decimal | None) -> bool:
        """Return whether it would trade at `far_touch`, the best price of the other side."""
        if far_touch is None or far_touch <= 0:
            return False
        return self.terms.limit is None or (far_touch - self.terms.limit) * self.side.sign <= 0


@dataclass(frozen=True)
class Execution:
    """A fill of a venue order: its its commission and realized profit (None when it opened) are in USD."""

    exec_id: str
    order: VenueOrder
    at: datetime
    quantity: int
    price: Decimal
    cumulative: int
    average_price: Decimal
    commission: Decimal
    realized: Decimal | None
