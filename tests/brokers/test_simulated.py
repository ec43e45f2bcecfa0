from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.brokers.simulated import FeeSchedule, SimulatedBroker
from aurora.market.order import OrderState, OrderStatus, Side
from aurora.market.quote import Quote
from tests.trading import START, Script, ScriptedQuotes, make_order, make_quote, steady

CASH = Decimal(100_000)


def open_broker(script: Script, cash: Decimal = CASH) -> tuple[SimulatedBroker, ScriptedQuotes]:
    """Return a broker over a scripted market, and the market."""
    source = ScriptedQuotes(script)
    source.subscribe(["SPY"])
    return SimulatedBroker(quote_of=lambda symbol: source.poll()[symbol], clock=source.clock, cash=cash), source


def state_of(broker: SimulatedBroker, ref: str = "a-1") -> OrderState:
    """Return what became of an order."""
    state = broker.order_state(ref)
    assert state is not None
    return state


def test_fill_takes_the_first_quote_a_quarter_second_later() -> None:
    """Trading rule 16: the fill is at the first quote at least 250 ms after the decision, not at the decision's own."""

    def rising(symbol: str, elapsed: float, now: object) -> Quote:
        """A tick each 100 ms, a cent dearer each time."""
        ticks = int(elapsed * 10 + 1e-6)
        price = Decimal("168.00") + ticks * Decimal("0.01")
        return Quote(symbol, START + timedelta(milliseconds=100 * ticks), price, price + Decimal("0.01"), 500, 500)

    broker, source = open_broker(rising)
    broker.place_order(make_order(limit="169.00"))
    fills = []
    for _ in range(8):
        source.clock.sleep(0.05)
        fills = list(broker.executions())
        if fills:
            break
    assert fills[0].price == Decimal("168.04")  # the ask of the tick at 300 ms: the first one past 250 ms
    assert fills[0].at == START + timedelta(milliseconds=300)


def test_quote_from_before_does_not_fill() -> None:
    """Trading rule 16: an order waits for a quote younger than its decision; without one it is cancelled."""
    broker, source = open_broker(lambda symbol, _, now: make_quote(at=START))
    broker.place_order(make_order())
    source.clock.sleep(9)
    assert state_of(broker).status is OrderStatus.WORKING
    source.clock.sleep(2)
    state = state_of(broker)
    assert (state.status, state.reason) == (OrderStatus.CANCELLED, "no quote came within 10 s")


@pytest.mark.parametrize(("side", "limit", "price"), [(Side.BUY, "168.01", "168.01"), (Side.SELL, "168.00", "168.00")])
def test_fill_is_at_the_far_touch(side: Side, limit: str, price: str) -> None:
    """Trading rule 16: a buy fills at the ask and a sale at the bid, not at its limit."""
    broker, source = open_broker(steady())
    broker.place_order(make_order(side=side, limit=limit))
    source.clock.sleep(1)
    assert [fill.price for fill in broker.executions()] == [Decimal(price)]


@pytest.mark.parametrize(("side", "limit"), [(Side.BUY, "168.00"), (Side.SELL, "168.01")])
def test_far_touch_beyond_the_limit_does_not_fill(side: Side, limit: str) -> None:
    """Trading rule 16: when the far touch is beyond the limit, nothing fills and the order is cancelled."""
    broker, source = open_broker(steady())
    broker.place_order(make_order(side=side, limit=limit))
    source.clock.sleep(1)
    state = state_of(broker)
    assert (state.status, state.filled) == (OrderStatus.CANCELLED, 0)
    assert limit in state.reason


def test_displayed_size_bounds_the_fill() -> None:
    """Trading rule 16: an order fills up to the displayed size; the rest is cancelled."""
    broker, source = open_broker(steady(sizes=(200, 30)))
    broker.place_order(make_order(quantity=50))
    source.clock.sleep(1)
    state = state_of(broker)
    assert (state.status, state.filled, state.unfilled) == (OrderStatus.CANCELLED, 30, 20)
    assert state.reason == "30 shares were displayed, 20 cancelled"
    assert [position.quantity for position in broker.positions()] == [30]


def test_empty_display_fills_nothing() -> None:
    """Trading rule 16: a far touch that displays no shares fills none."""
    broker, source = open_broker(steady(sizes=(0, 0)))
    broker.place_order(make_order())
    source.clock.sleep(1)
    assert (state_of(broker).status, broker.executions()) == (OrderStatus.CANCELLED, ())


@pytest.mark.parametrize(
    ("quote", "reason"),
    [
        (make_quote(halted=True, at=START + timedelta(1)), "trading was halted"),
        (make_quote(ask=None, at=START + timedelta(1)), "the far side was empty"),
        (make_quote(ask="0", at=START + timedelta(1)), "the far side was empty"),
        (make_quote(ask="NaN", at=START + timedelta(1)), "the far side was empty"),
    ],
)
def test_nothing_fills_where_there_is_no_market(quote: Quote, reason: str) -> None:
    """Trading rule 16: a halt or an empty far side fills nothing."""
    broker, source = open_broker(lambda *_: quote)
    broker.place_order(make_order())
    source.clock.sleep(1)
    assert (state_of(broker).status, state_of(broker).reason) == (OrderStatus.CANCELLED, reason)


def test_missing_quote_is_waited_for() -> None:
    """An order whose symbol has no quote yet works on until one comes."""
    broker, source = open_broker(lambda symbol, elapsed, now: make_quote(at=now) if elapsed > 3 else None)
    broker.place_order(make_order())
    source.clock.sleep(2)
    assert state_of(broker).status is OrderStatus.WORKING
    source.clock.sleep(2)
    assert state_of(broker).status is OrderStatus.FILLED


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (make_order(quantity=0), "quantity was 0"),
        (make_order(quantity=-5), "quantity was -5"),
        (make_order(limit="0"), "limit was 0"),
        (make_order(limit="NaN"), "limit was NaN"),
        (make_order(quantity=1000), "cost would be up to 168100.00 USD, cash is 100000 USD"),
    ],
)
def test_impossible_orders_are_rejected(order: object, said: str) -> None:
    """An order without size or price, or dearer than the cash, is rejected with both numbers."""
    broker, _ = open_broker(steady())
    state = broker.place_order(order)  # type: ignore[arg-type]
    assert state.status is OrderStatus.REJECTED
    assert said in state.reason


def test_cash_is_finite() -> None:
    """A broker does not start with an amount that is no number."""
    with pytest.raises(ValueError, match="NaN"):
        open_broker(steady(), Decimal("NaN"))


@pytest.mark.parametrize(
    ("quantity", "price", "fee"),
    [(100, "25", "1.00"), (1000, "25", "5.00"), (1000, "0.25", "2.50"), (1, "168", "1.00"), (10, "0.20", "0.02")],
)
def test_fees_are_ibkrs_fixed_ones(quantity: int, price: str, fee: str) -> None:
    """Trading rule 16: USD 0.005 a share, at least 1.00, at most 1 % of the value: the venue's own examples."""
    assert FeeSchedule().fee(quantity, Decimal(price)) == Decimal(fee)


@given(st.integers(1, 100_000), st.decimals("0.01", "5000", places=2))
def test_fee_is_never_above_its_maximum(quantity: int, price: Decimal) -> None:
    """A commission is a whole number of cents, never above 1 % of the trade's value (but for rounding)."""
    fee = FeeSchedule().fee(quantity, price)
    assert 0 <= fee <= quantity * price / 100 + Decimal("0.005")
    assert fee % Decimal("0.01") == 0


TRADES = st.lists(st.tuples(st.sampled_from(Side), st.integers(1, 60)), min_size=1, max_size=12)


@given(TRADES)
def test_book_adds_up(trades: list[tuple[Side, int]]) -> None:
    """Positions are the signed sum of fills, and cash is what was there less what was paid and the fees."""
    broker, source = open_broker(steady(sizes=(40, 40)))
    for number, (side, quantity) in enumerate(trades):
        limit = "169" if side is Side.BUY else "167"
        broker.place_order(make_order(f"a-{number}", side, quantity, limit, decided=source.clock.now()))
        source.clock.sleep(1)
    fills = broker.executions()
    held = sum(fill.side.sign * fill.quantity for fill in fills)
    paid = sum(fill.side.sign * fill.quantity * fill.price + (fill.fee or 0) for fill in fills)
    assert [position.quantity for position in broker.positions()] == ([held] if held else [])
    assert broker.cash() == CASH - paid
    assert all(fill.quantity <= 40 for fill in fills)
    assert all(earlier.at <= later.at for earlier, later in pairwise(fills))


def test_average_cost_follows_what_was_added() -> None:
    """Adding averages the cost, reducing keeps it, turning round starts anew."""
    prices = iter(["100.00", "110.00", "120.00", "120.00"])
    now = {"price": next(prices)}
    broker, source = open_broker(lambda symbol, _, at: make_quote(now["price"], now["price"], symbol=symbol, at=at))
    costs = []
    for number, (side, quantity) in enumerate([(Side.BUY, 10), (Side.BUY, 10), (Side.SELL, 5), (Side.SELL, 25)]):
        limit = "200" if side is Side.BUY else "50"
        broker.place_order(make_order(f"a-{number}", side, quantity, limit, decided=source.clock.now()))
        source.clock.sleep(1)
        costs += [(position.quantity, position.average_cost) for position in broker.positions()]
        now["price"] = next(prices, "120.00")
    assert costs == [(10, Decimal(100)), (20, Decimal(105)), (15, Decimal(105)), (-10, Decimal(120))]
