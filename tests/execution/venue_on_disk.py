"""A process that routes an order and is killed on the way; the venue is a file, so that it outlives the process.

python -m tests.execution.venue_on_disk PROJECT before|after     kill itself before or after the bytes went out
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from aurora.brokers.base import LastLook, no_objection
from aurora.clock import ManualClock
from aurora.execution.order_journal import Book, OrderJournal
from aurora.execution.router import Router
from aurora.market.mode import Mode
from aurora.market.order import Fill, Order, OrderState, OrderStatus
from aurora.market.position import Position
from aurora.risk.kill_switch import KillSwitch
from aurora.risk.limits import OrderLimits
from aurora.risk.tripwires import TripwireLimits
from tests.trading import START, make_order, make_quote

BOOK = Book("live", "paper", "DU1", START.date())


class VenueOnDisk:
    """A venue that fills each order at once; each line of its file is the ref of an order that it was sent."""

    name = "on disk"

    def __init__(self, path: Path, on_send: Callable[[str], None] = lambda _: None, *, answers: bool = True) -> None:
        self.path = path
        self.path.touch()
        self.on_send = on_send
        self.answers = answers
        self.cancelled: list[str] = []

    def sent(self) -> list[str]:
        """Return the refs that reached the venue."""
        return self.path.read_text().split()

    def place_order(self, order: Order, last_look: LastLook = no_objection) -> OrderState:
        self.on_send("before")
        with self.path.open("a") as file:
            file.write(f"{order.ref}\n")
            file.flush()
        self.on_send("after")
        return OrderState(order, OrderStatus.WORKING)

    def cancel(self, ref: str) -> None:
        self.cancelled.append(ref)

    def cancel_all(self) -> None:
        self.cancelled.append("*")

    def orders(self) -> Sequence[OrderState]:
        return [OrderState(make_order(ref), OrderStatus.FILLED, 5) for ref in self.sent()]

    def order_state(self, ref: str) -> OrderState | None:
        return next((state for state in self.orders() if state.order.ref == ref), None) if self.answers else None

    def open_orders(self) -> Sequence[OrderState]:
        return []

    def executions(self) -> Sequence[Fill]:
        orders = [make_order(ref) for ref in self.sent()] if self.answers else []
        return [Fill(o.ref, o.symbol, o.side, o.quantity, o.limit, Decimal(1), START, f"x-{o.ref}") for o in orders]

    def positions(self) -> Sequence[Position]:
        shares = 5 * len(self.sent())
        return [Position("SPY", shares, Decimal("168.10"))] if shares else []

    def cash(self) -> Decimal:
        return Decimal(100_000)

    def refresh(self) -> None:
        """Do nothing."""

    def server_time(self) -> datetime:
        return START


def open_router(project: Path, venue: VenueOnDisk) -> Router:
    """Return a live router on the account's order journal of the day."""
    clock = ManualClock(START)
    return Router(
        mode=Mode.LIVE, broker=venue, clock=clock, kill_switch=KillSwitch(project), lockout=lambda: "",
        tripwires=TripwireLimits(Decimal("1.5"), Decimal(50)),
        limits=OrderLimits(Decimal(1000), Decimal(5000), Decimal(20), Decimal(10)), objection="",
        orders=OrderJournal.open(project, BOOK, clock),
    )  # fmt: skip


def main(project: Path, dies: str) -> None:
    """Route the order a-1 and die."""

    def die(moment: str) -> None:
        if moment == dies:
            os.kill(os.getpid(), signal.SIGKILL)

    open_router(project, VenueOnDisk(project / "venue", die)).route(make_order(), make_quote())


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
