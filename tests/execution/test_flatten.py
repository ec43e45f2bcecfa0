from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from itertools import count
from pathlib import Path

import pytest

from aurora.brokers.simulated import SimulatedBroker
from aurora.errors import VenueRefusal
from aurora.execution.flatten import Flatten, Flattening
from aurora.execution.router import Router, Stage
from aurora.market.mode import Mode
from aurora.market.order import OrderStatus, OrderType, Side
from aurora.market.quote import Quote
from aurora.risk.kill_switch import KillSwitch
from aurora.risk.limits import OrderLimits
from aurora.risk.tripwires import TripwireLimits
from tests.trading import START, Script, ScriptedQuotes, make_order, make_orders, make_quote, steady


class Book:
    """A book that holds ten SPY and five TSLA, bought in a calm market; the script takes over after that."""

    def __init__(self, project: Path, script: Script | None = None, mode: Mode = Mode.LIVE) -> None:
        self.source = ScriptedQuotes(steady("99.99", "100.00"))
        self.source.subscribe(["SPY", "TSLA"])
        self.broker = SimulatedBroker(
            quote_of=lambda symbol: self.source.poll()[symbol], clock=self.source.clock, cash=Decimal(100_000)
        )
        self.kill = KillSwitch(project)
        self.router = Router(
            mode=mode, broker=self.broker, clock=self.source.clock, kill_switch=self.kill, lockout=lambda: "locked",
            tripwires=TripwireLimits(Decimal("1.5"), Decimal(50)),
            limits=OrderLimits(Decimal(0), Decimal(0), Decimal(0), Decimal(10)), objection="",
            orders=make_orders(project / "orders.jsonl", self.source.clock),
        )  # fmt: skip
        for number, (symbol, quantity) in enumerate((("SPY", 10), ("TSLA", 5))):
            order = make_order(f"buy-{number}", quantity=quantity, limit="101", symbol=symbol)
            self.broker.place_order(order)
        self.source.clock.sleep(1)
        assert len(self.broker.positions()) == 2
        self.began = self.source.clock.monotonic()
        if script is not None:
            self.source.script = script

    def flatten(self, patience_s: float = 60, *, at_market: bool = False) -> Flattening:
        """Flatten the book, what it holds put on record first."""
        refs = count(1)
        self.router.orders.adopt(self.broker.positions())
        return Flatten(
            self.router, self.broker, self.source, lambda: f"f-{next(refs)}", patience_s=patience_s, at_market=at_market
        ).run()


def test_book_is_empty_after_a_flatten(tmp_path: Path) -> None:
    """Trading rule 3: flat means no position of any kind and no working order."""
    book = Book(tmp_path)
    done = book.flatten()
    assert (done.flat, done.reason) == (True, "")
    assert (book.broker.positions(), book.broker.open_orders()) == ((), ())
    fills = [fill for settlement in done.settlements for fill in settlement.fills if fill.ref.startswith("f-")]
    assert sorted((fill.symbol, fill.quantity) for fill in fills) == [("SPY", 10), ("TSLA", 5)]


def test_empty_book_is_flat_at_once(tmp_path: Path) -> None:
    """A book without positions sends nothing and takes no time."""
    book = Book(tmp_path)
    book.flatten()
    before = book.source.clock.monotonic()
    again = book.flatten()
    assert (again.flat, again.decisions) == (True, [])
    assert book.source.clock.monotonic() == before


def test_working_orders_are_cancelled_first(tmp_path: Path) -> None:
    """Trading rule 22: a flatten cancels what works before it reduces."""
    book = Book(tmp_path)
    book.broker.place_order(make_order("late", quantity=5, limit="101", decided=book.source.clock.now()))
    book.flatten()
    state = book.broker.order_state("late")
    assert state is not None
    assert state.status is OrderStatus.CANCELLED


def test_kill_flag_and_lockout_do_not_stop_it(tmp_path: Path) -> None:
    """Trading rule 22: a kill flag does not stop a flatten, nor do lockout and caps (they are zero here)."""
    book = Book(tmp_path)
    book.kill.flag.touch()
    assert book.flatten().flat


def test_prices_step_away_from_the_market(tmp_path: Path) -> None:
    """Trading rule 22: 10, 25, 50, 100, 200 bps beyond the far touch, two seconds apart, each after the one before."""

    def runs_away(symbol: str, elapsed: float, now: datetime) -> Quote:
        """Quotes that drop as soon as an order is on its way, so that nothing fills."""
        since = elapsed - book.began
        price = Decimal("100.00") if since % 2 < 0.2 else Decimal("90.00")
        return make_quote(str(price), str(price + Decimal("0.01")), symbol=symbol, at=now)

    book = Book(tmp_path, runs_away)
    done = book.flatten(patience_s=12.5)
    orders = [decision.order for decision in done.decisions if decision.order.symbol == "SPY"]
    limits = [str(order.limit) for order in orders]
    assert limits == ["99.90", "99.75", "99.50", "99.00", "98.00", "98.00", "98.00"]
    seconds = [(order.decided - orders[0].decided).total_seconds() for order in orders]
    assert seconds == pytest.approx([0, 2, 4, 6, 8, 10, 12], abs=0.2)
    assert not done.flat


def test_thin_market_is_left_in_parts(tmp_path: Path) -> None:
    """Displayed size bounds each order; the next rung takes up the rest until nothing is left."""
    book = Book(tmp_path, steady("99.99", "100.00", sizes=(4, 4)))
    done = book.flatten()
    assert done.flat
    assert [fill.quantity for fill in book.broker.executions()[2:] if fill.symbol == "SPY"] == [4, 4, 2]


@pytest.mark.parametrize("kind", ["none", "halted", "one-sided", "crossed", "old", "nan"])
def test_it_waits_for_a_usable_quote(tmp_path: Path, kind: str) -> None:
    """Trading rule 22: no quote, a halt, a broken or an old quote: it waits, and sends nothing until one is usable."""

    def broken(symbol: str, elapsed: float, now: datetime) -> Quote | None:
        if elapsed - book.began > 6:
            return make_quote("99.99", "100.00", symbol=symbol, at=now)
        return {
            "none": None,
            "halted": make_quote("99.99", "100.00", symbol=symbol, at=now, halted=True),
            "one-sided": make_quote("99.99", None, symbol=symbol, at=now),
            "crossed": make_quote("100.01", "100.00", symbol=symbol, at=now),
            "old": make_quote("99.99", "100.00", symbol=symbol, at=now.replace(year=2020)),
            "nan": make_quote("NaN", "100.00", symbol=symbol, at=now),
        }[kind]

    book = Book(tmp_path, broken)
    done = book.flatten()
    assert done.flat
    assert book.source.clock.monotonic() - book.began > 6
    assert all(
        (decision.order.limit, decision.stage) == (Decimal("99.90"), Stage.BROKER) for decision in done.decisions
    )


def one_sided(symbol: str, elapsed: float, now: datetime) -> Quote:
    """Return a market without sellers, in which no limit order can be priced."""
    return make_quote("99.99", None, symbol=symbol, at=now)


def test_market_orders_are_for_a_person(tmp_path: Path) -> None:
    """Trading rule 22: where no price can be had a flatten waits; asked for market orders it sends them."""
    assert not Book(tmp_path, one_sided).flatten(patience_s=10).flat
    (tmp_path / "b").mkdir()
    done = Book(tmp_path / "b", one_sided).flatten(at_market=True)
    assert done.flat
    assert [(decision.order.type, decision.order.quantity) for decision in done.decisions] == [
        (OrderType.MARKET, 10),
        (OrderType.MARKET, 5),
    ]


def test_market_order_waits_for_the_end_of_a_halt(tmp_path: Path) -> None:
    """Trading rule 22: a halt is no price at all; it is waited for, also on a person's word."""

    def halted(symbol: str, elapsed: float, now: datetime) -> Quote:
        return make_quote(symbol=symbol, at=now, halted=elapsed < 30)

    book = Book(tmp_path, halted)
    done = book.flatten(at_market=True)
    assert done.flat
    assert {decision.order.decided.second for decision in done.decisions} == {30}
    assert (book.source.clock.now() - START).total_seconds() < 33


def test_strategy_sends_no_market_order(tmp_path: Path) -> None:
    """Trading rule 6: the way of a strategy's order refuses one, whatever it is for."""
    book = Book(tmp_path)
    order = make_order("s-1", Side.SELL, 5, type=OrderType.MARKET)
    book.router._lockout = lambda: ""
    decision = book.router.route(order, book.source.poll()["SPY"])
    assert (decision.stage, decision.reason) == (Stage.LIMITS, "a market order is for a flatten, on a person's word")


def test_what_is_left_is_told(tmp_path: Path) -> None:
    """A flatten that gives up says what is left, and after how long."""
    book = Book(tmp_path, lambda *_: None)
    done = book.flatten(patience_s=10)
    assert (done.flat, done.reason) == (
        False,
        "left after 10 s: 10 SPY, 5 TSLA; SPY: it has no quote; TSLA: it has no quote",
    )


def test_source_that_fails_is_waited_for(tmp_path: Path) -> None:
    """A source that refuses for a moment does not end a flatten."""
    book = Book(tmp_path)
    good = book.source.poll
    calls = count()

    def failing() -> Mapping[str, Quote | None]:
        if next(calls) < 2:
            raise VenueRefusal("the line is down")
        return good()

    book.source.poll = failing  # type: ignore[method-assign]
    assert book.flatten().flat


def test_short_positions_are_bought_back(tmp_path: Path) -> None:
    """Flat is zero: a short position, wherever it came from, is bought back."""
    book = Book(tmp_path)
    book.broker.place_order(make_order("oops", Side.SELL, 30, "99", decided=book.source.clock.now()))
    book.source.clock.sleep(1)
    done = book.flatten()
    assert done.flat
    assert {decision.order.side for decision in done.decisions} == {Side.BUY, Side.SELL}


def test_shadow_book_is_flattened_without_sending(tmp_path: Path) -> None:
    """In shadow mode the session's own book ends flat, and nothing was sent."""
    book = Book(tmp_path, mode=Mode.SHADOW)
    done = book.flatten()
    assert done.flat
    assert not any(decision.sent for decision in done.decisions)
