"""The broker on the wire: what it concludes of orders, fills and positions, whatever the venue does on the way."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from aurora.brokers.base import Terms
from aurora.errors import VenueRefusal, VenueSilent
from aurora.ibkr import connection
from aurora.market.order import OrderStatus, Side
from tests.ibkr.desk import ACCOUNT, VenueDesk, until
from tests.trading import make_order

Start = Callable[..., VenueDesk]
A = "0123456789ab-00001"
B = "0123456789ab-00002"


def order(ref: str = A, side: Side = Side.BUY, quantity: int = 5, limit: str = "100.10", **more: Any) -> Any:
    """Return an order that the standing quotes (100.00 at 100.02) fill."""
    return make_order(ref, side, quantity, limit, **more)


def test_order_fills_with_execution_position_and_fee(venue: Start) -> None:
    """An order is FILLED when its executions add up; position, fee and cash follow."""
    desk = venue()
    broker = desk.broker()
    assert (broker.positions(), broker.orders(), broker.executions(), broker.cash()) == ((), (), (), Decimal(100_000))
    broker.place_order(order())
    state = desk.ended(broker, A)
    assert (state.status, state.filled) == (OrderStatus.FILLED, 5)
    until(lambda: broker.executions() and broker.executions()[0].fee is not None, "the commission")
    (fill,) = broker.executions()
    assert (fill.ref, fill.symbol, fill.side, fill.quantity, fill.price) == (A, "SPY", Side.BUY, 5, Decimal("100.02"))
    until(lambda: [(held.symbol, held.quantity) for held in broker.positions()] == [("SPY", 5)], "the position")
    broker.refresh()
    assert broker.cash() < 99_500


def test_order_that_is_not_marketable_is_cancelled(venue: Start) -> None:
    """Immediate or cancel: what can't trade at once is gone, and that is known by the venue's word."""
    desk = venue()
    broker = desk.broker()
    broker.place_order(order(limit="99.00"))
    assert desk.ended(broker, A).status is OrderStatus.CANCELLED
    assert broker.executions() == ()


def test_partial_fill_ends_cancelled_with_what_it_filled(venue: Start) -> None:
    """A part that traded is a fill, the rest is cancelled: both are known at the end."""
    desk = venue()
    broker = desk.broker()
    broker.place_order(order(quantity=400))
    state = desk.ended(broker, A)
    assert (state.status, state.filled) == (OrderStatus.CANCELLED, 300)
    assert sum(fill.quantity for fill in broker.executions()) == 300


@pytest.mark.parametrize("code", [201, 203, 110, 154])
def test_reject_is_a_reject(venue: Start, code: int) -> None:
    """Codes 201, 203, 110, 154 on a new order: it is REJECTED, with the venue's words."""
    desk = venue({"on": "place_order", "do": [{"reject": {"code": code, "text": "no"}}]})
    broker = desk.broker()
    broker.place_order(order())
    state = desk.ended(broker, A)
    assert (state.status, state.reason) == (OrderStatus.REJECTED, f"{code}: no")


def test_notice_on_a_live_order_is_no_cancel(venue: Start) -> None:
    """10349 on an order that lives: clients call it cancelled; it fills, and is FILLED."""
    desk = venue({"after": "place_order", "do": [{"notice": {"code": 10349, "text": "preset", "to": "order"}}]})
    broker = desk.broker()
    broker.place_order(order())
    assert desk.ended(broker, A).status is OrderStatus.FILLED


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param(
            {"at_s": 0, "do": [{"delay": {"message": "order_status", "by_s": 2, "times": 0}}]}, id="fill first"
        ),
        pytest.param(
            {"at_s": 0, "do": [{"delay": {"message": "execution", "by_s": 2, "times": 0}}]}, id="status first"
        ),
        pytest.param({"at_s": 0, "do": [{"repeat": {"message": "order_status", "times": 0}}]}, id="twice"),
        pytest.param({"at_s": 0, "do": [{"drop": {"message": "order_status", "times": 0}}]}, id="never a status"),
        pytest.param({"after": "connect", "times": 0, "do": [{"frames": {"size": 1}}]}, id="byte by byte"),
    ],
)
def test_fill_is_counted_once_however_it_is_told(venue: Start, rule: dict[str, Any]) -> None:
    """Statuses and executions may come in any order, twice, late or never: five shares were bought, once."""
    desk = venue(rule)
    broker = desk.broker()
    desk.gateway.advance(0.25)
    broker.place_order(order())
    until(lambda: broker.order_state(A) is not None)
    desk.gateway.advance(4)
    state = desk.ended(broker, A)
    assert (state.status, state.filled) == (OrderStatus.FILLED, 5)
    assert [fill.quantity for fill in broker.executions()] == [5]


def test_end_is_not_told_before_its_fills(venue: Start) -> None:
    """A status says Filled while the execution has not come: the order still works until the fill is there."""
    desk = venue({"at_s": 0, "do": [{"delay": {"message": "execution", "by_s": 5, "times": 0}}]})
    broker = desk.broker()
    desk.gateway.advance(0.25)
    broker.place_order(order())
    until(lambda: (state := broker.order_state(A)) is not None and state.filled == 5, "the status")
    assert desk.status(broker, A) is OrderStatus.WORKING
    desk.gateway.advance(6)
    assert desk.ended(broker, A).status is OrderStatus.FILLED


def test_commission_may_be_late_or_never(venue: Start) -> None:
    """A fill without its commission has a fee that nobody told; when it comes, it is that fill's."""
    desk = venue({"on": "place_order", "nth": 1, "do": [{"delay": {"message": "commission_report", "by_s": 60}}]},
                 {"on": "place_order", "nth": 2, "do": [{"drop": {"message": "commission_report"}}]})  # fmt: skip
    broker = desk.broker()
    broker.place_order(order())
    desk.ended(broker, A)
    assert broker.executions()[0].fee is None
    broker.place_order(order(B))
    desk.ended(broker, B)
    desk.gateway.advance(61)
    until(lambda: broker.executions()[0].fee is not None, "the late commission")
    assert broker.executions()[1].fee is None


def test_correction_replaces_the_execution(venue: Start) -> None:
    """An execution is corrected by one with the same id and a higher last part: one fill, at the new price."""
    desk = venue({"after": "fill", "wait_s": 1, "do": [{"correct": {"by": 0.01}}]})
    broker = desk.broker()
    broker.place_order(order())
    desk.ended(broker, A)
    desk.gateway.advance(2)
    until(lambda: broker.executions()[0].price == Decimal("100.03"), "the correction")
    assert len(broker.executions()) == 1


def test_lost_order_is_absent_after_a_full_read(venue: Start) -> None:
    """An order that the venue never got has no state once all was read: that is the evidence that rule 8 wants."""
    desk = venue({"on": "place_order", "do": ["ignore"]})
    broker = desk.broker()
    broker.place_order(order())
    assert desk.status(broker, A) is OrderStatus.PENDING
    assert [state.order.ref for state in broker.open_orders()] == [A]
    broker.refresh()
    assert broker.order_state(A) is None
    assert broker.orders() == ()


def test_reset_right_after_the_order_is_learned_from_the_venue(venue: Start) -> None:
    """The socket is reset right after the order's bytes: FILLED by what is read after the reconnect."""
    desk = venue({"after": "place_order", "do": ["reset"]})
    broker = desk.broker()
    broker.place_order(order())
    state = desk.ended(broker, A)
    assert (state.status, state.filled) == (OrderStatus.FILLED, 5)
    assert broker.connection.epoch > 1


def test_fills_missed_while_the_link_was_down_are_read_again(venue: Start) -> None:
    """1100, a fill that nobody tells, 1101: executions are asked for again, and the fill is there."""
    desk = venue({"on": "place_order", "do": [{"drop": {"message": "execution", "times": 1}},
                                              {"drop": {"message": "order_status", "times": 3}}]},
                 {"at_s": 5, "do": [{"link": {"state": "down"}}]},
                 {"at_s": 9, "do": [{"link": {"state": "lost"}}]})  # fmt: skip
    broker = desk.broker()
    broker.place_order(order())
    desk.gateway.advance(6)
    until(lambda: broker.link_state().down.startswith("1100"), "1100")
    desk.gateway.advance(4)
    assert desk.ended(broker, A).status is OrderStatus.FILLED
    until(lambda: not broker.link_state().down, "the link")


def test_manual_and_other_clients_orders_are_foreign(venue: Start) -> None:
    """An order of a person in TWS has number 0 and no ref; it is told of by its permId, and is not ours."""
    by_hand = {"symbol": "SPY", "side": "BUY", "quantity": 5, "limit": 90}
    desk = venue({"at_s": 1, "do": [{"order": by_hand}, {"order": {**by_hand, "client": 9, "order_id": 4}}]})
    broker = desk.broker()
    desk.gateway.advance(2)
    broker.refresh()
    states = broker.open_orders()
    assert len(states) == 2
    assert all(state.order.ref.startswith("perm-") or state.order.ref for state in states)
    assert {state.order.quantity for state in states} == {5}
    broker.cancel(states[0].order.ref)  # which only its own client may: it is left as it is
    broker.cancel_all()
    broker.refresh()
    until(lambda: broker.open_orders() == (), "the global cancel")


def test_orders_that_nobody_tells_are_asked_for(venue: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rule 2: TWS tells a client nothing of new orders of others; they are asked for, again and again."""
    monkeypatch.setattr(connection, "WATCH_S", 0.2)
    desk = venue({"at_s": 1, "do": [{"order": {"symbol": "SPY", "side": "BUY", "quantity": 5, "limit": 90}}]})
    broker = desk.broker()
    desk.gateway.advance(2)
    until(lambda: len(broker.open_orders()) == 1, "the order of a person in TWS")


def test_completed_order_that_nobody_asked_for_is_no_order_of_ours(venue: Start) -> None:
    """An unsolicited completedOrder changes nothing of our orders."""
    done = {"symbol": "SPY", "side": "BUY", "quantity": 5, "limit": 90, "completed": True}
    desk = venue({"at_s": 1, "do": [{"order": done}]})
    broker = desk.broker()
    desk.gateway.advance(2)
    broker.place_order(order())
    assert desk.ended(broker, A).status is OrderStatus.FILLED
    assert [state.order.ref for state in broker.open_orders()] == []


def test_positions_that_never_come_are_not_flat(venue: Start) -> None:
    """Positions without their end marker: the connection does not open, and nothing is assumed flat."""
    desk = venue({"on": "req_positions", "times": 0, "do": ["ignore"]})
    with pytest.raises(VenueRefusal, match="positionEnd"):
        desk.broker(timeout_s=1)


def test_rolled_back_order_id_is_never_sent_again(venue: Start) -> None:
    """NextValidId goes back: the next order has a number above all that were used."""
    desk = venue({"after": "connect", "do": [{"next_id": {"id": 1}}]})
    broker = desk.broker()
    for ref in (A, B):
        broker.place_order(order(ref))
        assert desk.ended(broker, ref).status is OrderStatus.FILLED


def test_ref_is_used_once(venue: Start) -> None:
    """A ref is sent once in a connection's life, and across a reconnect."""
    desk = venue()
    broker = desk.broker()
    broker.place_order(order())
    desk.ended(broker, A)
    with pytest.raises(VenueRefusal, match="placed before"):
        broker.place_order(order())
    other = desk.broker(client=9)
    assert {state.order.ref for state in other.orders()} == {A}
    with pytest.raises(VenueRefusal, match="placed before"):
        other.place_order(order())


def test_what_if_probe_leaves_no_order(venue: Start) -> None:
    """The probe asks what an order would cost and leaves none; a read-only API says so."""
    broker = venue().broker()
    assert broker.what_if("SPY", Decimal(100)) == ""
    assert broker.orders() == ()
    assert "321" in venue(read_only=True).broker().what_if("SPY", Decimal(100))


def test_what_if_that_becomes_an_order_is_cancelled_and_told(venue: Start) -> None:
    """A question that was taken for an order is found in the full read after it, cancelled, and never passed over."""
    taken = {"symbol": "SPY", "side": "BUY", "quantity": 1, "limit": 50, "client": 7, "order_id": 900}
    desk = venue({"after": "place_order", "do": [{"order": taken}]})
    broker = desk.broker(client=7)
    with pytest.raises(VenueRefusal, match="became an order"):
        broker.what_if("SPY", Decimal(100))
    until(lambda: broker.open_orders() == (), "the cancellation")


def test_what_if_that_is_not_answered_is_silence(venue: Start) -> None:
    """A dialog in TWS swallows the question: that is a silence of its own, within the time-out, and no order."""
    broker = venue({"on": "place_order", "do": ["ignore"]}).broker(timeout_s=0.5)
    with pytest.raises(VenueSilent, match="what-if"):
        broker.what_if("SPY", Decimal(100))
    assert broker.orders() == ()


def test_broker_tells_how_orders_are_taken(venue: Start) -> None:
    """Tick, least size and step are the venue's own; a stock that it does not list is refused by name."""
    broker = venue().broker()
    assert broker.terms("SPY") == Terms(Decimal("0.01"), Decimal(1), Decimal(1))
    with pytest.raises(VenueRefusal, match="knows no stock 'NOPE'"):
        broker.terms("NOPE")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"limit": "100.005"}, "not on the tick"),
        ({"quantity": 0}, "less than the venue takes"),
        ({"symbol": "NOPE"}, "knows no stock 'NOPE'"),
    ],
)
def test_order_that_can_not_be_one_is_not_sent(venue: Start, changes: dict[str, Any], said: str) -> None:
    """Off the tick, too few shares, or of no stock: REJECTED by name before a byte of it goes out, and no doubt."""
    broker = venue().broker()
    state = broker.place_order(order(**changes))
    assert (state.status, said in state.reason) == (OrderStatus.REJECTED, True)
    assert broker.order_state(A) == state
    assert broker.open_orders() == ()
    broker.refresh()
    assert broker.order_state(A) == state


def test_broker_names_its_account_and_its_clock(venue: Start) -> None:
    """Reports say whose account it was; the venue's clock is aware."""
    broker = venue().broker()
    assert broker.name == f"ibkr {ACCOUNT}"
    assert broker.server_time().utcoffset() is not None


@pytest.mark.parametrize(("left", "says"), [(-1, ""), (3, ""), (0, "the account has no day trades left")])
def test_day_trades_that_are_used_up_forbid_to_open(venue: Start, left: int, says: str) -> None:
    """Trading rule 10: nothing opens when DayTradesRemaining is 0; -1 is without limit."""
    assert venue(day_trades=left).broker().opening_objection() == says
