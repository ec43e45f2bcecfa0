"""What every broker keeps; each implementation is added to `desk`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

import pytest

from aurora.brokers.base import Broker
from aurora.brokers.simulated import SimulatedBroker
from aurora.errors import VenueRefusal
from aurora.market.order import OrderStatus, OrderType, Side
from tests.gateway.conftest import StandingQuotes
from tests.gateway.kit import LIBRARIES, is_installed
from tests.ibkr.desk import VenueDesk, until
from tests.trading import ScriptedQuotes, make_order, steady

CASH = Decimal(100_000)


@dataclass
class Desk:
    """A broker, and how to let its market trade for a second. rests: an order stays in its book until then."""

    broker: Broker
    let_trade: Callable[[], None]
    rests: bool = True


def simulated(_request: pytest.FixtureRequest) -> Desk:
    """Return the simulated broker over a market that stands still at 168.00 / 168.01."""
    source = ScriptedQuotes(steady())
    source.subscribe(["SPY"])
    broker = SimulatedBroker(quote_of=lambda symbol: source.poll()[symbol], clock=source.clock, cash=CASH)
    return Desk(broker, lambda: source.clock.sleep(1))


def gateway(request: pytest.FixtureRequest) -> Desk:
    """Return the adapter over a gateway whose market stands still at 168.00 / 168.01, with the client that is here."""
    if not any(map(is_installed, LIBRARIES)):
        pytest.skip("no client of Interactive Brokers is installed")
    quotes = StandingQuotes()
    start = request.getfixturevalue("start_gateway")
    venue = VenueDesk(start({"scenario": "contract", "rules": []}, source=quotes), quotes)
    request.addfinalizer(venue.close)
    quotes.set("SPY", bid="168.00", ask="168.01")
    venue.gateway.advance(1)  # the venue looks at its quotes as its time passes
    broker = venue.broker()

    def let_trade() -> None:
        venue.gateway.advance(1)
        until(lambda: all(state.status is not OrderStatus.PENDING for state in broker.orders()), "an answer")
        broker.refresh()

    return Desk(broker, let_trade, rests=False)


@pytest.fixture(params=[simulated, gateway])
def desk(request: pytest.FixtureRequest) -> Desk:
    """Return each broker in turn."""
    made: Desk = request.param(request)
    return made


@pytest.fixture
def resting(desk: Desk) -> Desk:
    """Return each broker in whose book an order stays for a while; at a venue, immediate or cancel never does."""
    if not desk.rests:
        pytest.skip("an immediate-or-cancel order does not rest at a venue")
    return desk


def test_account_starts_flat(desk: Desk) -> None:
    """A session's own book starts without positions, orders or fills, with its cash."""
    broker = desk.broker
    assert (broker.positions(), broker.orders(), broker.open_orders(), broker.executions()) == ((), (), (), ())
    assert broker.cash() == CASH
    assert broker.name


def test_order_works_before_it_fills(resting: Desk) -> None:
    """An order that was taken is open until it trades."""
    resting.broker.place_order(make_order(quantity=5))
    assert [state.order.ref for state in resting.broker.open_orders()] == ["a-1"]


def test_order_is_withheld_at_the_last_look(desk: Desk) -> None:
    """Rule 5: what objects when the bytes are about to go keeps them here; the venue never hears of the order."""
    state = desk.broker.place_order(make_order(quantity=5), lambda: "the kill flag is set")
    assert (state.status, state.reason) == (OrderStatus.WITHHELD, "the kill flag is set")
    desk.let_trade()
    assert desk.broker.order_state("a-1") is None
    assert (desk.broker.open_orders(), desk.broker.executions()) == ((), ())


def test_order_fills(desk: Desk) -> None:
    """An order that the market can fill does, and is an execution, a position and money spent."""
    broker = desk.broker
    assert broker.place_order(make_order(quantity=5)).status in (OrderStatus.PENDING, OrderStatus.WORKING)
    desk.let_trade()
    state = broker.order_state("a-1")
    assert state is not None
    assert (state.status, state.filled, broker.open_orders()) == (OrderStatus.FILLED, 5, ())
    (fill,) = broker.executions()
    assert (fill.ref, fill.symbol, fill.side, fill.quantity) == ("a-1", "SPY", Side.BUY, 5)
    assert fill.price <= state.order.limit
    (position,) = broker.positions()
    assert (position.symbol, position.quantity, position.average_cost) == ("SPY", 5, fill.price)
    assert fill.fee is not None
    assert broker.cash() == CASH - 5 * fill.price - fill.fee


def test_round_trip_leaves_no_position(desk: Desk) -> None:
    """After buying and selling as much, the position is gone and cash has paid the spread and both fees."""
    broker = desk.broker
    broker.place_order(make_order("a-1", Side.BUY, 5, "168.10"))
    desk.let_trade()
    broker.place_order(make_order("a-2", Side.SELL, 5, "167.90"))
    desk.let_trade()
    bought, sold = broker.executions()
    assert broker.positions() == ()
    fees = sum(fill.fee for fill in (bought, sold) if fill.fee is not None)
    assert fees > 0
    assert broker.cash() == CASH - 5 * (bought.price - sold.price) - fees


def test_ref_is_used_once(desk: Desk) -> None:
    """An order's ref is its name for ever: a second order of that name is refused and changes nothing."""
    desk.broker.place_order(make_order("a-1"))
    with pytest.raises(VenueRefusal, match="a-1"):
        desk.broker.place_order(make_order("a-1", Side.SELL))
    assert len(desk.broker.orders()) == 1


def test_unknown_ref_has_no_state(desk: Desk) -> None:
    """An order that the venue never saw has no state; cancelling it does nothing."""
    assert desk.broker.order_state("nobody") is None
    desk.broker.cancel("nobody")


def test_cancel_ends_a_working_order(resting: Desk) -> None:
    """A cancelled order does not fill any more."""
    broker = resting.broker
    broker.place_order(make_order("a-1"))
    broker.cancel("a-1")
    resting.let_trade()
    state = broker.order_state("a-1")
    assert state is not None
    assert (state.status, state.filled) == (OrderStatus.CANCELLED, 0)
    assert broker.executions() == ()


def test_cancel_leaves_done_orders_alone(desk: Desk) -> None:
    """Cancelling an order that has filled changes nothing."""
    broker = desk.broker
    broker.place_order(make_order("a-1"))
    desk.let_trade()
    before = broker.order_state("a-1")
    broker.cancel("a-1")
    assert broker.order_state("a-1") == before


def test_cancel_all_ends_every_working_order(resting: Desk) -> None:
    """A global cancel leaves nothing working."""
    broker = resting.broker
    for number in range(3):
        broker.place_order(make_order(f"a-{number}"))
    broker.cancel_all()
    assert broker.open_orders() == ()
    assert {state.status for state in broker.orders()} == {OrderStatus.CANCELLED}


def test_orders_are_told_in_the_order_they_came(desk: Desk) -> None:
    """The venue's list of orders is in the order of placing, the ended ones included."""
    for number in range(4):
        desk.broker.place_order(make_order(f"a-{number}"))
    desk.let_trade()
    assert [state.order.ref for state in desk.broker.orders()] == ["a-0", "a-1", "a-2", "a-3"]


def test_market_order_trades_beyond_its_limit(desk: Desk) -> None:
    """A market order fills at the far touch, whatever its limit values it at; a limit order there does not."""
    for ref, kind in (("a-1", OrderType.LIMIT), ("a-2", OrderType.MARKET)):
        desk.broker.place_order(make_order(ref, limit="150.00", type=kind))
        desk.let_trade()
    assert [state.status for state in desk.broker.orders()] == [OrderStatus.CANCELLED, OrderStatus.FILLED]
    assert [fill.price for fill in desk.broker.executions()] == [Decimal("168.01")]


def test_refused_order_says_why(desk: Desk) -> None:
    """An order that the venue won't take is REJECTED with a reason, and nothing works."""
    desk.broker.place_order(make_order(quantity=0))
    desk.let_trade()
    state = desk.broker.order_state("a-1")
    assert state is not None
    assert state.status is OrderStatus.REJECTED
    assert state.reason
    assert desk.broker.open_orders() == ()


def test_venue_has_a_clock(desk: Desk) -> None:
    """The venue's time is aware."""
    assert desk.broker.server_time().utcoffset() is not None
