"""Orders and fills, as Aurora keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


class Side(StrEnum):
    """Which way an order goes."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        """Return +1 for a buy and -1 for a sell."""
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> Side:
        """Return the other side."""
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(StrEnum):
    """How an order is priced. Market orders are for a flatten on a person's word alone (trading rule 22)."""

    LIMIT = "LMT"
    MARKET = "MKT"


class OrderStatus(StrEnum):
    """Aurora's own order states; UNKNOWN ends only by evidence, of an end or of NOT_RECEIVED (trading rule 8).

    WITHHELD was meant, and never left: a kill or a lockout came before its bytes went.
    """

    PENDING = "PENDING"
    WORKING = "WORKING"
    FILLED = "FILLED"
    CANCELLED = "CANCELLED"
    REJECTED = "REJECTED"
    NOT_RECEIVED = "NOT_RECEIVED"
    WITHHELD = "WITHHELD"
    UNKNOWN = "UNKNOWN"

    @property
    def is_final(self) -> bool:
        """Return whether nothing more can happen to the order."""
        return self not in (OrderStatus.PENDING, OrderStatus.WORKING, OrderStatus.UNKNOWN)


@dataclass(frozen=True)
class Order:
    """A limit order, immediate-or-cancel (trading rule 6): whole shares, limit in USD a share.

    ref: Aurora's own name of the order (IB's orderRef), unique for ever.
    decided: aware UTC instant of the decision; decision_mid: USD a share at that instant.
    type: a market order trades at any price; its limit is only what it is valued at, and is not sent.
    """

    ref: str
    symbol: str
    side: Side
    quantity: int
    limit: Decimal
    decided: datetime
    decision_mid: Decimal
    type: OrderType = OrderType.LIMIT


@dataclass(frozen=True)
class Fill:
    """An execution of an order, whole or part: price in USD a share, fee in USD (None: not told yet).

    execution_id: the venue's own name of it; a venue that fills an order once at most may leave it out.
    revision:     a later one with the same id corrects the earlier ones.
    """

    ref: str
    symbol: str
    side: Side
    quantity: int
    price: Decimal
    fee: Decimal | None
    at: datetime
    execution_id: str = ""
    revision: int = 0

    @property
    def id(self) -> str:
        """Return what the execution is known by: its id, or its order's ref."""
        return self.execution_id or self.ref


@dataclass(frozen=True)
class OrderState:
    """What became of an order so far."""

    order: Order
    status: OrderStatus
    filled: int = 0
    reason: str = ""

    @property
    def unfilled(self) -> int:
        """Return the shares that have not traded (so far, or ever, when the status is final)."""
        return self.order.quantity - self.filled
