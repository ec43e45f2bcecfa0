"""Flattens on a venue with faults: whatever happens, its own book ends flat, and nothing is sold twice."""

from __future__ import annotations

from datetime import datetime
from itertools import count
from pathlib import Path

import pytest

from aurora.errors import VenueRefusal
from aurora.execution.flatten import Flatten, Flattening
from aurora.execution.router import Router
from aurora.market.mode import Mode
from aurora.market.order import Order, OrderState, OrderStatus
from aurora.market.position import Position
from aurora.market.quote import Quote
from aurora.risk.kill_switch import KillSwitch
from aurora.risk.limits import OrderLimits
from aurora.risk.tripwires import TripwireLimits
from tests.execution.unruly_venue import PRICE, UnrulyVenue
from tests.trading import ScriptedQuotes, make_orders, steady

SYMBOLS = ("SPY", "TSLA", "IBM")


class Case:
    """A live account at an unruly venue, long, short and flat, and a router to it."""

    def __init__(self, project: Path, seed: int, calm_s: float = 90) -> None:
        self.source = ScriptedQuotes(steady("99.99", "100.00"))
        self.source.subscribe(SYMBOLS)
        self.venue = UnrulyVenue(self.source.clock, seed, {"SPY": 10, "TSLA": -7, "IBM": 300}, calm_s)
        self.orders = make_orders(project / f"orders-{seed}.jsonl", self.source.clock)
        self.router = Router(
            mode=Mode.LIVE, broker=self.venue, clock=self.source.clock, kill_switch=KillSwitch(project),
            lockout=lambda: "locked", tripwires=TripwireLimits.__new__(TripwireLimits),
            limits=OrderLimits.__new__(OrderLimits), objection="no grant", orders=self.orders,
        )  # fmt: skip
        self.alarms: list[str] = []

    def flatten(self, patience_s: float | None = None, **more: object) -> Flattening:
        """Flatten it all, what it holds put on record first."""
        refs = count(1)
        if self.venue.book == self.venue._told:
            held = [Position(symbol, shares, PRICE) for symbol, shares in self.venue.book.items()]
            self.orders.adopt(held)
        flatten = Flatten(
            self.router, self.venue, self.source, lambda: f"f-{next(refs)}", patience_s=patience_s,
            on_alarm=self.alarms.append, **more,  # type: ignore[arg-type]
        )  # fmt: skip
        return flatten.run()


@pytest.mark.parametrize("seed", range(200))
def test_book_ends_flat_whatever_the_venue_does(tmp_path: Path, seed: int) -> None:
    """Rules 5, 8, 22: orders and answers lost, rejects, late and partial fills, old positions: flat, none crossed."""
    case = Case(tmp_path, seed)
    done = case.flatten(patience_s=600)
    assert (done.flat, done.reason) == (True, "")
    assert case.venue.book == {"SPY": 0, "TSLA": 0, "IBM": 0}
    assert (case.venue.crossed, case.venue.doubled) == ([], [])
    assert case.orders.day.open_refs() == []


def test_lost_order_is_sent_again_only_after_evidence(tmp_path: Path) -> None:
    """Rule 8: an order of which nobody knows whether it arrived is on its way for 30 s and two reads, 5 s apart."""
    case = Case(tmp_path, 0, calm_s=0)
    case.venue.book = {"SPY": 10}
    case.venue._told = {"SPY": 10}
    place = case.venue.place_order
    sent_s = []

    def lossy(order: Order, *_: object) -> OrderState:
        sent_s.append(case.source.clock.monotonic())
        if len(sent_s) == 1:
            raise VenueRefusal("the connection was reset")
        return place(order)

    case.venue.place_order = lossy  # type: ignore[assignment,method-assign]
    assert case.flatten().flat
    assert len(sent_s) == 2
    assert sent_s[1] - sent_s[0] >= 35
    statuses = [state.status for state in case.orders.day.orders.values()]
    assert statuses == [OrderStatus.NOT_RECEIVED, OrderStatus.FILLED]


def test_order_that_nothing_explains_is_never_sent_again(tmp_path: Path) -> None:
    """Rule 8: when the position moved and no order is known, nothing is concluded; it alarms each minute."""
    case = Case(tmp_path, 0, calm_s=0)
    case.venue.book = case.venue._told = {"SPY": 10}

    def swallow(order: Order, *_: object) -> OrderState:
        case.venue._told[order.symbol] = 8
        raise VenueRefusal("the connection was reset")

    case.venue.place_order = swallow  # type: ignore[assignment,method-assign]
    done = case.flatten(patience_s=200)
    assert not done.flat
    assert done.reason == "left after 200 s: 8 SPY; SPY: what was sent before has no end yet"
    assert len(case.orders.day.orders) == 1
    assert len(case.alarms) == 3


def test_venue_that_says_nothing_is_never_taken_for_flat(tmp_path: Path) -> None:
    """A venue that does not answer is asked again; what it did not say is unknown, and the flatten is not flat."""
    case = Case(tmp_path, 0, calm_s=0)

    def silent() -> list[Position]:
        raise VenueRefusal("The venue did not answer within 10 s.")

    case.venue.positions = silent  # type: ignore[method-assign]
    done = case.flatten(patience_s=130)
    assert (done.flat, done.decisions) == (False, [])
    assert (
        done.reason == "left after 130 s: unknown, since the venue did not say: The venue did not answer within 10 s."
    )
    assert len(case.alarms) == 2


def test_cancels_go_first(tmp_path: Path) -> None:
    """Rule 22: what works is cancelled before anything is sent."""
    case = Case(tmp_path, 0, calm_s=0)
    calls: list[str] = []
    cancel_all, place = case.venue.cancel_all, case.venue.place_order

    def cancel_and_tell() -> None:
        calls.append("cancel")
        cancel_all()

    def place_and_tell(order: Order, *_: object) -> OrderState:
        calls.append("place")
        return place(order)

    case.venue.cancel_all = cancel_and_tell  # type: ignore[method-assign]
    case.venue.place_order = place_and_tell  # type: ignore[assignment,method-assign]
    assert case.flatten().flat
    assert calls == ["cancel", "place", "place", "place"]


def test_only_the_symbols_asked_for_are_flattened(tmp_path: Path) -> None:
    """Rule 2: with symbols named, neither a global cancel nor another symbol's position is touched."""
    case = Case(tmp_path, 0, calm_s=0)
    case.venue.cancel_all = lambda: pytest.fail("a global cancel was sent")  # type: ignore[method-assign]
    done = case.flatten(symbols=["SPY"])
    assert done.flat
    assert case.venue.book == {"SPY": 0, "TSLA": -7, "IBM": 300}


def test_a_person_can_stop_it(tmp_path: Path) -> None:
    """Rule 22: Ctrl-C ends a flatten, which says what is left."""
    case = Case(tmp_path, 0, calm_s=0)
    case.source.script = lambda *_: None
    done = case.flatten(is_stopping=lambda: case.source.clock.monotonic() > 5)
    assert not done.flat
    assert "10 SPY, -7 TSLA, 300 IBM" in done.reason


def test_each_symbol_has_a_ladder_of_its_own(tmp_path: Path) -> None:
    """Rule 22: a symbol that waited for its quote begins at 10 bps, however far the others have come."""
    case = Case(tmp_path, 0, calm_s=0)
    good = steady("99.99", "100.00")

    def late(symbol: str, elapsed: float, now: datetime) -> Quote | None:
        if symbol == "IBM":
            return good(symbol, elapsed, now) if elapsed > 9 else None
        return good(symbol, elapsed, now)

    case.source.script = late
    done = case.flatten()
    assert done.flat
    first = next(decision.order for decision in done.decisions if decision.order.symbol == "IBM")
    assert (first.decided - done.decisions[0].order.decided).total_seconds() > 8
    assert str(first.limit) == "99.90"
