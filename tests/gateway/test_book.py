"""The matching engine against quotes that are set by hand."""

from __future__ import annotations

from decimal import Decimal
from random import Random

import pytest

from aurora.gateway.listings import Listings
from aurora.gateway.orders import Status, Terms, TimeInForce, VenueOrder
from aurora.gateway.venue import Venue
from aurora.market.order import OrderType, Side
from tests.gateway.venues import make_venue, quote

BUY, SELL = Side.BUY, Side.SELL


@pytest.fixture
def venue() -> Venue:
    """A venue whose SPY is 100.00 × 500 to 100.02 × 300."""
    made, _ = make_venue()
    made.on_quote(quote())
    return made


def place(venue: Venue, side: Side, quantity: int, limit: str | None, tif: str = "DAY", **more: bool) -> VenueOrder:
    """Place an order at the venue."""
    kind = OrderType.MARKET if limit is None else OrderType.LIMIT
    terms = Terms(quantity, kind, None if limit is None else Decimal(limit), TimeInForce(tif), **more)
    stock = Listings(["SPY"])["SPY"]
    order = venue.new_order(stock, side, terms, client_id=1, order_id=venue.next_order_id(1))
    venue.use_order_id(1, order.order_id)
    venue.place(order)
    return order


@pytest.mark.parametrize(
    ("side", "limit", "price"),
    [
        (BUY, "100.02", "100.02"),
        (BUY, "105", "100.02"),
        (SELL, "100", "100"),
        (SELL, "1", "100"),
        (BUY, None, "100.02"),
    ],
)
def test_what_comes_in_trades_at_the_far_touch(venue: Venue, side: Side, limit: str | None, price: str) -> None:
    """A marketable order gets the price that is displayed, never a worse one than its limit, never a better one."""
    order = place(venue, side, 100, limit)
    assert (order.status, order.average_price) == (Status.FILLED, Decimal(price))


@pytest.mark.parametrize(("side", "limit"), [(BUY, "100.01"), (SELL, "100.01"), (BUY, "1"), (SELL, "900")])
def test_what_is_not_marketable_waits(venue: Venue, side: Side, limit: str) -> None:
    """An order inside or behind the spread does not trade."""
    order = place(venue, side, 100, limit)
    assert (order.status, order.filled) == (Status.SUBMITTED, 0)


def test_displayed_size_is_taken_once(venue: Venue) -> None:
    """What one order took is gone for the next one, until the next quote."""
    first, second = place(venue, BUY, 250, "100.02"), place(venue, BUY, 250, "100.02")
    assert (first.filled, second.filled) == (250, 50)
    venue.on_quote(quote(ask_size=100))
    assert second.filled == 150


def test_the_rest_of_a_marketable_order_goes_on_at_the_far_touch(venue: Venue) -> None:
    """What is left of an order that trades at once pays the next far touch, not its own limit."""
    order = place(venue, BUY, 400, "105")
    venue.on_quote(quote(ask="100.03"))
    assert [fill.price for fill in venue.executions] == [Decimal("100.02"), Decimal("100.03")]
    assert order.status is Status.FILLED


def test_price_comes_before_time(venue: Venue) -> None:
    """Of waiting orders the better price trades first, and of equal prices the earlier one."""
    low, high, late = (place(venue, BUY, 100, limit) for limit in ("99.98", "99.99", "99.99"))
    venue.on_quote(quote(bid="99.90", ask="99.98", ask_size=150))
    assert (high.filled, late.filled, low.filled) == (100, 50, 0)


def test_who_waited_gets_the_price_it_waited_at(venue: Venue) -> None:
    """When the far side comes through a waiting order's limit, it trades at that limit."""
    order = place(venue, BUY, 100, "99.99")
    venue.on_quote(quote(bid="99.90", ask="99.95"))
    assert order.average_price == Decimal("99.99")


def test_an_order_waits_behind_the_displayed_size(venue: Venue) -> None:
    """At the best price an order is behind the 500 shares that are shown; what is gone of them brings it forward."""
    order = place(venue, BUY, 100, "100.00")
    venue.on_quote(quote(bid_size=200))
    assert (order.queue_ahead, order.filled) == (200, 0)
    venue.on_quote(quote(bid_size=900))
    assert order.queue_ahead == 200  # who comes later stands behind
    venue.on_quote(quote(bid_size=660))
    assert (order.queue_ahead, order.filled) == (0, 40)
    venue.on_quote(quote(bid_size=100))
    assert order.status is Status.FILLED


def test_an_order_alone_at_its_price_has_nobody_before_it(venue: Venue) -> None:
    """An order inside the spread is the best price itself."""
    assert place(venue, BUY, 100, "100.01").queue_ahead == 0


def test_an_order_behind_the_market_joins_when_it_is_reached(venue: Venue) -> None:
    """An order at a worse price takes its place in the queue when the market comes to it."""
    order = place(venue, BUY, 100, "99.99")
    assert order.queue_ahead is None
    venue.on_quote(quote(bid="99.99", bid_size=400))
    assert order.queue_ahead == 400


def test_nothing_trades_in_a_halt_or_without_a_price(venue: Venue) -> None:
    """A halted, empty, zero or minus-one side fills nothing."""
    order = place(venue, BUY, 1000, "100.02")
    filled = order.filled
    for other in (quote(halted=True), quote(ask=None), quote(ask="0"), quote(ask="-1")):
        venue.on_quote(other)
        assert order.filled == filled
    venue.on_quote(quote())
    assert order.filled == filled + 300


def test_an_order_that_comes_in_a_halt_waits(venue: Venue) -> None:
    """An order that got in while trading was halted trades when it goes on."""
    venue.on_quote(quote(halted=True))
    order = place(venue, BUY, 100, "100.02")
    assert order.filled == 0
    venue.on_quote(quote())
    assert order.status is Status.FILLED


def test_what_is_not_transmitted_does_not_trade(venue: Venue) -> None:
    """An order with transmit off is inactive until it is sent again with transmit on."""
    order = place(venue, BUY, 100, "100.02", transmit=False)
    assert (order.status, order.filled) == (Status.INACTIVE, 0)
    venue.modify(order, Terms(100, OrderType.LIMIT, Decimal("100.02"), TimeInForce.DAY))
    assert order.status is Status.FILLED


def test_less_than_was_filled_is_a_filled_order(venue: Venue) -> None:
    """An order cut down to what has traded is done."""
    order = place(venue, BUY, 400, "100.02")
    venue.modify(order, Terms(300, OrderType.LIMIT, Decimal("100.02"), TimeInForce.DAY))
    assert (order.status, order.filled) == (Status.FILLED, 300)


@pytest.mark.parametrize("seed", range(20))
def test_no_share_is_made_or_lost(seed: int) -> None:
    """Over random orders and quotes: fills equal position, cash equals what was paid, nothing beyond a limit."""
    random = Random(seed)
    venue, told = make_venue()
    for _ in range(120):
        bid = random.randint(9990, 10010)
        venue.on_quote(
            quote(
                bid=f"{bid / 100:.2f}", ask=f"{(bid + random.randint(0, 4)) / 100:.2f}",
                bid_size=100 * random.randint(0, 5), ask_size=100 * random.randint(0, 5),
            )
        )  # fmt: skip
        if random.random() < 0.6:
            limit = None if random.random() < 0.2 else f"{random.randint(9985, 10015) / 100:.2f}"
            place(venue, random.choice((BUY, SELL)), random.randint(1, 700), limit, random.choice(("DAY", "IOC")))
        working = list(venue.working())
        if working and random.random() < 0.2:
            venue.cancel(random.choice(working))
    assert told.fills == venue.executions
    assert venue.executions
    signed = sum(fill.order.side.sign * fill.quantity for fill in venue.executions)
    paid = sum(fill.order.side.sign * fill.quantity * fill.price + fill.commission for fill in venue.executions)
    assert venue.account.held("SPY").quantity == signed
    assert venue.account.cash == 100_000 - paid
    for fill in venue.executions:
        most = fill.order.terms.limit
        assert most is None or (fill.price - most) * fill.order.side.sign <= 0
        assert fill.cumulative <= fill.order.terms.quantity
    for order in venue.orders:
        assert order.filled == sum(fill.quantity for fill in venue.executions if fill.order is order)
        assert order.terms.tif is TimeInForce.DAY or order.status.is_done
