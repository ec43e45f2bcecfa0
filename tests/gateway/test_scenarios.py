"""What goes wrong with IB, as scenarios: each incident as unchanged clients see it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from aurora.gateway.running import RunningGateway
from tests.gateway.conftest import StandingQuotes
from tests.gateway.kit import Raw, Trader, order_fields, run, until

Make = Callable[[], Trader]
Start = Callable[..., RunningGateway]


# ── Orders and fills ─────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_partial_fill(start: Start, trader: Make) -> None:
    """Quotes that show few shares fill an order in part, which goes on working."""
    gateway = start({"on": "place_order", "do": [{"quote": {"symbol": "SPY", "ask_size": 40}}]})

    async def story() -> None:
        client = await trader().connect(gateway.port)
        trade = await client.limit("BUY", 100, 100.02)
        await until(lambda: trade.orderStatus.filled == 40, "the part")
        assert trade.isActive()

    run(story)


def test_a_fill_comes_before_its_order_status(start: Start, trader: Make) -> None:
    """With the statuses late, the fill is known while the order is not yet."""
    late = [{"delay": {"message": name, "by_s": 5, "times": 0}} for name in ("open_order", "order_status")]
    gateway = start({"at_s": 0, "do": late})
    gateway.advance(0.1)

    async def story() -> None:
        client = await trader().connect(gateway.port)
        trade = client.ib.placeOrder(await client.stock(), client.lib.LimitOrder("BUY", 10, 100.02))
        await until(lambda: trade.fills, "the fill")
        assert trade.orderStatus.status == "PendingSubmit"
        gateway.advance(5)
        await client.ends(trade, "Filled")

    run(story)


def test_a_fill_after_the_cancel_was_asked_for(start: Start, quotes: StandingQuotes, trader: Make) -> None:
    """While a cancel is on its way the order may still fill; the cancel then finds it done (10148)."""
    gateway = start({"on": "cancel_order", "do": [{"hold": {"for_s": 1}}]})

    async def story() -> None:
        client = await trader().connect(gateway.port)
        trade = await client.limit("BUY", 10, 99.0)
        client.ib.cancelOrder(trade.order)
        await client.fence()
        quotes.set(ask="99.00")
        gateway.advance(2)
        await until(lambda: trade.fills and 10148 in client.codes, "the fill and 10148")
        assert gateway.call(lambda: gateway.gateway.venue.orders[0].status) == "Filled"

    run(story)


def test_an_order_status_comes_more_than_once(start: Start) -> None:
    """Duplicates of an order status are sent on purpose."""
    gateway = start({"on": "place_order", "do": [{"repeat": {"message": "order_status", "copies": 2, "times": 0}}]})
    client = Raw(gateway.port)
    client.start()
    client.send(*order_fields(1, "BUY", 10, "LMT", 99))
    client.send(49, 1)
    statuses = [fields[2] for fields in client.receive_until(49) if fields[0] == "3"]
    client.close()
    assert statuses == ["PreSubmitted"] * 3 + ["Submitted"] * 3


@pytest.mark.parametrize(("bend", "comes"), [("drop", False), ("delay", True)])
def test_a_commission_is_missing_or_late(start: Start, trader: Make, bend: str, comes: bool) -> None:
    """A fill may come without its commission, which comes later or never."""
    extra = {"by_s": 3} if comes else {}
    gateway = start({"on": "place_order", "do": [{bend: {"message": "commission_report", **extra}}]})

    async def story() -> None:
        client = await trader().connect(gateway.port)
        trade = await client.limit("BUY", 10, 100.02)
        await client.ends(trade, "Filled")
        await client.fence()
        assert not trade.fills[0].commissionReport.execId
        gateway.advance(3)
        await client.fence()
        assert bool(trade.fills[0].commissionReport.execId) is comes

    run(story)


def test_an_execution_is_corrected(start: Start, trader: Make) -> None:
    """A correction is a second execution, whose id differs behind the last dot only; the account has the new price."""
    gateway = start({"after": "fill", "wait_s": 1, "do": [{"correct": {"by": 1}}]})

    async def story() -> None:
        client = await trader().connect(gateway.port)
        trade = await client.limit("BUY", 10, 100.02)
        await client.ends(trade, "Filled")
        gateway.advance(1)
        await until(lambda: len(trade.fills) == 2, "the correction")
        first, second = (fill.execution for fill in trade.fills)
        assert first.execId.rpartition(".")[0] == second.execId.rpartition(".")[0]
        assert (first.execId[-2:], second.execId[-2:], second.price) == ("01", "02", 101.02)
        assert [e.execution.execId for e in await client.ib.reqExecutionsAsync()][-1] == second.execId
        assert gateway.call(lambda: gateway.gateway.venue.account.cash) == Decimal("98988.80")

    run(story)


@pytest.mark.parametrize("code", [201, 203, 110, 154, 404, 10349])
def test_orders_are_refused_by_code(start: Start, trader: Make, code: int) -> None:
    """Any code of IB's can be what an order gets, and the order does not exist then."""
    gateway = start({"on": "place_order", "do": [{"reject": {"code": code, "text": "no"}}]})

    async def story() -> None:
        client = await trader().connect(gateway.port)
        trade = await client.limit("BUY", 10, 99.0)
        assert (trade.order.orderId, code) in client.errors
        assert gateway.call(lambda: gateway.gateway.venue.orders) == []

    run(story)


def test_a_notice_about_an_order_that_lives(start: Start, trader: Make) -> None:
    """10349 says something of an order which goes on working, though the clients may take it for cancelled."""
    notice = {"notice": {"code": 10349, "text": "Order TIF was set to DAY", "to": "order"}}
    gateway = start({"after": "place_order", "do": [notice]})

    async def story() -> None:
        client = await trader().connect(gateway.port)
        trade = await client.limit("BUY", 10, 99.0)
        await until(lambda: (trade.order.orderId, 10349) in client.errors, "10349")
        assert gateway.call(lambda: gateway.gateway.venue.orders[0].status) == "Submitted"

    run(story)


# ── Links and farms ──────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(("state", "code"), [("lost", 1101), ("kept", 1102)])
def test_the_link_to_ib_is_lost_and_restored(
    start: Start, quotes: StandingQuotes, trader: Make, state: str, code: int
) -> None:
    """Fills between 1100 and 1101 or 1102 are told by nobody; they must be read. With 1101 subscriptions are gone."""
    gateway = start({"at_s": 1, "do": [{"link": {"state": "down"}}]}, {"at_s": 3, "do": [{"link": {"state": state}}]})

    async def story() -> None:
        client = await trader().connect(gateway.port)
        trade = await client.limit("BUY", 10, 99.0)
        ticker = client.ib.reqMktData(trade.contract)
        await until(lambda: ticker.bid == 100, "the quote")
        gateway.advance(1)
        quotes.set(bid="98.98", ask="99.00")
        gateway.advance(1)
        await client.fence()
        assert 1100 in client.codes
        assert (ticker.bid, trade.fills) == (100, [])
        gateway.advance(1)
        await until(lambda: code in client.codes, str(code))
        quotes.set(bid="98.97", ask="98.99")
        gateway.advance(1)
        await client.fence()
        assert ticker.bid == (100 if state == "lost" else 98.97)
        assert (trade.fills, trade.orderStatus.status) == ([], "Submitted")
        (fill,) = await client.ib.reqExecutionsAsync()
        assert fill.execution.permId == trade.order.permId

    run(story)


def test_orders_wait_while_the_link_is_down(start: Start, trader: Make) -> None:
    """An order sent while the link is down is placed when it is back."""
    gateway = start({"at_s": 1, "do": [{"link": {"state": "down"}}]}, {"at_s": 2, "do": [{"link": {"state": "kept"}}]})

    async def story() -> None:
        client = await trader().connect(gateway.port)
        contract = await client.stock()
        gateway.advance(1)
        trade = client.ib.placeOrder(contract, client.lib.LimitOrder("BUY", 10, 99.0))
        await client.fence()
        assert trade.orderStatus.status == "PendingSubmit"
        gateway.advance(1)
        await client.ends(trade, "Submitted")

    run(story)


def test_a_farm_breaks_and_mends(start: Start, quotes: StandingQuotes, trader: Make) -> None:
    """Between 2103 and 2104 no quote comes; then the subscription goes on."""
    gateway = start({"at_s": 1, "do": [{"farm": {"state": "broken"}}]}, {"at_s": 2, "do": [{"farm": {"state": "ok"}}]})

    async def story() -> None:
        client = await trader().connect(gateway.port)
        ticker = client.ib.reqMktData(await client.stock())
        await until(lambda: ticker.bid == 100, "the quote")
        gateway.advance(1)
        quotes.set(bid="99.99")
        gateway.advance(0.5)
        await client.fence()
        assert ticker.bid == 100
        assert 2103 in client.codes
        gateway.advance(1)
        await until(lambda: ticker.bid == 99.99, "the quote behind the gap")

    run(story)


def test_the_next_order_id_goes_back(start: Start, trader: Make) -> None:
    """A next valid id below what was used makes the next order a duplicate (103)."""
    gateway = start({"on": "req_ids", "do": ["ignore", {"next_id": {"id": 1}}]})

    async def story() -> None:
        client = await trader().connect(gateway.port)
        first = await client.limit("BUY", 10, 99.0)
        client.ib.client.reqIds(1)
        await client.fence()
        again = client.lib.LimitOrder("BUY", 5, 98.0, orderId=first.order.orderId - 1)
        client.ib.client.placeOrder(again.orderId, first.contract, again)
        await until(lambda: (again.orderId, 103) in client.errors, "103")

    run(story)


# ── Connections ──────────────────────────────────────────────────────────────────────────────────────────────────────
def test_the_socket_is_reset_right_after_an_order(start: Start, trader: Make) -> None:
    """The order's bytes were taken, its answer never came: who reconnects finds the order by its reference."""
    gateway = start({"after": "place_order", "do": ["reset"]})

    async def story() -> None:
        client = await trader().connect(gateway.port)
        client.ib.placeOrder(await client.stock(), client.lib.LimitOrder("BUY", 10, 99.0, orderRef="once"))
        await until(lambda: not client.ib.isConnected(), "the reset")
        again = await trader().connect(gateway.port)
        assert [trade.order.orderRef for trade in again.ib.openTrades()] == ["once"]

    run(story)


def test_a_reset_is_no_ordinary_end(start: Start) -> None:
    """The peer's kernel sees a reset (RST), not the end of a stream, and nothing that was waiting."""
    gateway = start({"after": "place_order", "do": ["reset"]})
    client = Raw(gateway.port)
    client.start()
    client.receive_until(9)
    for _ in range(3):
        client.receive()  # the welcome
    client.send(*order_fields(1, "BUY", 10, "LMT", 99))
    with pytest.raises(ConnectionResetError):
        client.receive()
    client.close()


def test_a_half_open_socket(start: Start, trader: Make) -> None:
    """The connection stands, nothing comes any more, and the client id stays taken (326)."""
    gateway = start({"on": "req_ids", "do": ["half_open"]})

    async def story() -> None:
        client = await trader().connect(gateway.port)
        client.ib.client.reqIds(1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.ib.reqCurrentTimeAsync(), 0.3)
        assert client.ib.isConnected()
        second = trader()
        with pytest.raises(TimeoutError):
            await second.ib.connectAsync("127.0.0.1", gateway.port, clientId=1, timeout=1)
        assert second.codes == [326]

    run(story)


def test_too_many_messages(start: Start) -> None:
    """More than fifty messages in a second are answered with 100 and the end, also to who goes on sending."""
    gateway = start()
    client = Raw(gateway.port)
    client.start()
    for _ in range(60):
        client.send(49, 1)
    fields = client.receive()
    while fields[0] != "4" or fields[3] != "100":
        fields = client.receive()
    assert client.ended()
    client.close()


def test_the_gateway_restarts(start: Start, trader: Make) -> None:
    """In the nightly restart every connection ends and none begins; the orders are there afterwards."""
    gateway = start({"at_s": 1, "do": [{"restart": {"for_s": 60}}]})

    async def story() -> None:
        client = await trader().connect(gateway.port)
        trade = await client.limit("BUY", 10, 99.0)
        gateway.advance(1)
        await until(lambda: not client.ib.isConnected(), "the end")
        with pytest.raises((TimeoutError, ConnectionError)):
            await trader().ib.connectAsync("127.0.0.1", gateway.port, clientId=1, timeout=1)
        gateway.advance(60)
        again = await trader().connect(gateway.port)
        assert [each.order.permId for each in again.ib.openTrades()] == [trade.order.permId]

    run(story)


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_frames_come_in_pieces(start: Start, trader: Make, size: int) -> None:
    """Frames cut at every byte, or at multiples of 4096, are understood by the clients as they are."""
    gateway = start({"after": "connect", "do": [{"frames": {"size": size}}]})

    async def story() -> None:
        client = await trader().connect(gateway.port)
        trade = await client.limit("BUY", 10, 100.02)
        await client.ends(trade, "Filled")

    run(story)


# ── Data ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_data_turns_delayed(start: Start, trader: Make) -> None:
    """Running subscriptions are told 10167 and type 3, and go on with delayed ticks."""
    gateway = start({"at_s": 1, "do": [{"data": {"state": "delayed"}}]})

    async def story() -> None:
        client = await trader().connect(gateway.port)
        ticker = client.ib.reqMktData(await client.stock())
        await until(lambda: ticker.bid == 100, "the quote")
        gateway.advance(1)
        await until(lambda: ticker.marketDataType == 3 and 10167 in client.codes, "delayed data")

    run(story)


def test_a_competing_login_takes_the_data(start: Start, quotes: StandingQuotes, trader: Make) -> None:
    """10197 ends each subscription, and new ones are refused with it."""
    gateway = start({"at_s": 1, "do": [{"data": {"state": "competing"}}]})

    async def story() -> None:
        client = await trader().connect(gateway.port)
        ticker = client.ib.reqMktData(await client.stock())
        await until(lambda: ticker.bid == 100, "the quote")
        gateway.advance(1)
        quotes.set(bid="99.00")
        gateway.advance(1)
        await until(lambda: 10197 in client.codes, "10197")
        assert ticker.bid == 100
        client.ib.reqMktData(await client.stock("TSLA"))
        await until(lambda: client.codes.count(10197) == 2, "the second 10197")

    run(story)


@pytest.mark.parametrize(
    ("fields", "seen"),
    [
        ({"halted": True}, {"halted": 1, "bid": 100}),
        ({"bid": None, "bid_size": 0}, {"bid": -1, "ask": 100.02}),
        ({"bid": -1, "ask": -1}, {"bid": -1, "ask": -1}),
        ({"bid": 101}, {"bid": 101, "ask": 100.02}),
        ({"bid": 0, "bid_size": 0}, {"bid": {"ib_async": -1, "ib_insync": 0}, "ask": 100.02}),
    ],
)
def test_quotes_are_bent(start: Start, trader: Make, fields: dict[str, Any], seen: dict[str, Any]) -> None:
    """Halted, one-sided, minus one, crossed and zero quotes are shown, and are as they were afterwards."""
    gateway = start({"at_s": 1, "do": [{"quote": {"symbol": "SPY", "for_s": 2, **fields}}]})

    async def story() -> None:
        client = await trader().connect(gateway.port)
        ticker = client.ib.reqMktData(await client.stock())
        await until(lambda: ticker.bid == 100, "the quote")
        gateway.advance(1)
        for name, value in seen.items():
            wanted = value[client.lib.__name__] if isinstance(value, dict) else value
            await until(lambda name=name, wanted=wanted: getattr(ticker, name) == wanted, f"{name} {wanted}")  # type: ignore[misc]
        gateway.advance(2)
        await until(lambda: (ticker.bid, ticker.ask, ticker.halted) == (100, 100.02, 0), "the quote as it was")

    run(story)


def test_a_halted_stock_takes_no_order(start: Start, trader: Make) -> None:
    """While a stock is halted, orders get 154."""
    gateway = start({"at_s": 0, "do": [{"quote": {"symbol": "SPY", "halted": True}}]})
    gateway.advance(0.1)

    async def story() -> None:
        client = await trader().connect(gateway.port)
        await client.limit("BUY", 10, 100.02)
        assert 154 in client.codes

    run(story)


def test_quotes_stand_still_while_volume_goes_on(start: Start, quotes: StandingQuotes, trader: Make) -> None:
    """A frozen feed still ticks: only volume and last trade come, bid and ask stay."""
    gateway = start({"at_s": 1, "do": [{"freeze": {}}]})

    async def story() -> None:
        client = await trader().connect(gateway.port)
        ticker = client.ib.reqMktData(await client.stock())
        await until(lambda: ticker.volume == 100, "the quote")
        gateway.advance(1)
        for bid in ("99.99", "99.98"):
            quotes.set(bid=bid)
            gateway.advance(0.25)
        await until(lambda: ticker.volume == 300, "volume")
        assert ticker.bid == 100

    run(story)


def test_positions_are_never_answered(start: Start, trader: Make) -> None:
    """A request for positions without an answer leaves the client waiting."""
    gateway = start({"on": "req_positions", "times": 0, "do": ["ignore"]})
    client = Raw(gateway.port)
    client.start()
    client.send(61, 1)
    client.send(49, 1)
    kinds = [fields[0] for fields in client.receive_until(49)]
    client.close()
    assert "62" not in kinds


# ── What others do ───────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_completed_order_nobody_asked_for(start: Start, trader: Make) -> None:
    """A completed order comes unasked, and the client lives on."""
    order = {"symbol": "SPY", "side": "BUY", "quantity": 5, "limit": 90, "completed": True}
    gateway = start({"at_s": 1, "do": [{"order": order}]})
    client = Raw(gateway.port)
    client.start()
    client.send(49, 1)
    client.receive_until(49)
    gateway.advance(1)
    assert client.receive_until(101)[-1][13:15] == ["5", "LMT"]
    client.close()


def test_orders_of_others(start: Start, trader: Make) -> None:
    """A manual order has the id 0 and reaches client 0 only; another client's order is seen by who asks for all."""
    by_hand = {"order": {"symbol": "SPY", "side": "BUY", "quantity": 5, "limit": 90}}
    other = {"order": {"symbol": "TSLA", "side": "SELL", "quantity": 7, "limit": 110, "client": 9, "order_id": 4}}
    gateway = start({"at_s": 1, "do": [by_hand, other]})

    async def story() -> None:
        binding, own = await trader().connect(gateway.port, 0), await trader().connect(gateway.port, 1)
        gateway.advance(1)
        await until(binding.ib.openTrades, "the manual order")
        (manual,) = binding.ib.openTrades()
        assert (manual.order.orderId, manual.order.orderRef, manual.order.totalQuantity) == (0, "", 5)
        await own.fence()
        assert own.ib.openTrades() == []
        seen = {trade.order.clientId: trade.order.orderId for trade in await own.ib.reqAllOpenOrdersAsync()}
        assert seen == {0: 0, 9: 4}

    run(story)


def test_manual_orders_are_heard_once_they_are_bound(start: Start) -> None:
    """Client 0 hears nothing of manual orders before it asks to bind them, and of each one afterwards."""
    by_hand = {"order": {"symbol": "SPY", "side": "BUY", "quantity": 5, "limit": 90}}
    gateway = start({"at_s": 1, "do": [by_hand]}, {"at_s": 2, "do": [by_hand]})
    client = Raw(gateway.port)
    client.start(client_id=0)
    heard = []
    for _ in range(2):
        gateway.advance(1)
        client.send(49, 1)
        heard.append([fields[0] for fields in client.receive_until(49)].count("5"))
        client.send(15, 1, 1)
        client.send(49, 1)
        client.receive_until(49)
    client.close()
    assert heard == [0, 2]  # pre-submitted, then submitted


def test_the_clock_is_off(start: Start, trader: Make) -> None:
    """The venue's clock, as a client reads it, can be off."""
    gateway = start({"after": "connect", "do": [{"clock_skew": {"by_s": 90}}]})

    async def story() -> None:
        client = await trader().connect(gateway.port)
        now = await client.ib.reqCurrentTimeAsync()
        assert (now - gateway.call(gateway.gateway.now)).total_seconds() == 90

    run(story)


def test_a_rule_is_no_event_for_itself(start: Start) -> None:
    """A rule that trades whenever something traded does so once, and a correction is no fill."""
    order = {"order": {"symbol": "SPY", "side": "BUY", "quantity": 1, "limit": 101}}
    gateway = start(
        {"after": "fill", "times": 0, "do": [order]},
        {"after": "fill", "times": 0, "wait_s": 1, "do": [{"correct": {"by": 1}}]},
    )
    client = Raw(gateway.port)
    client.start()
    client.send(*order_fields(1, "BUY", 10, "LMT", 101))
    client.send(49, 1)
    client.receive_until(49)
    gateway.advance(10)
    ids = gateway.call(lambda: [fill.exec_id[-2:] for fill in gateway.gateway.venue.executions])
    client.close()
    assert ids == ["01", "03"]  # both fills are followed by a correction of the latest execution


def test_rules_choose_their_events(start: Start) -> None:
    """`nth` and `times` say which of several events a rule means, `client` and `symbol` whose."""
    which = {"on": "place_order", "nth": 2, "times": 1, "client": 1, "symbol": "SPY"}
    gateway = start({**which, "do": [{"reject": {"code": 201, "text": "no"}}]})
    client = Raw(gateway.port)
    client.start()
    for number in range(1, 5):
        client.send(*order_fields(number, "BUY", 1, "LMT", 99, symbol="TSLA" if number == 2 else "SPY"))
    client.send(49, 1)
    refused = [fields[2] for fields in client.receive_until(49) if fields[0] == "4" and fields[3] == "201"]
    client.close()
    assert refused == ["3"]


# ── The same again ───────────────────────────────────────────────────────────────────────────────────────────────────
def _bytes_of(start_gateway: Callable[..., RunningGateway], seed: int) -> bytes:
    rules = [
        {"after": "fill", "wait_s": 1, "do": [{"correct": {"by": 1}}]},
        {"at_s": 2, "do": [{"link": {"state": "down"}}]},
        {"at_s": 3, "do": [{"link": {"state": "kept"}}, {"delay": {"message": "commission_report", "by_s": 2}}]},
    ]
    gateway = start_gateway({"scenario": "same", "seed": seed, "rules": rules})
    client = Raw(gateway.port)
    client.start()
    client.send(1, 11, 5, 0, "SPY", "STK", "", "0.0", "", "", "SMART", "", "USD", "", "", 0, "", 0, 0, "")
    for number in range(1, 5):
        client.send(*order_fields(number, "BUY", 10 * number, "MKT"))
        client.send(49, 1)
        client.receive_until(49)
        gateway.advance(1.5)
    client.send(7, 3, 9, 0, "", "", "", "", "", "")
    client.receive_until(55)
    client.close()
    return client.bytes


def test_the_same_seed_gives_the_same_bytes(start_gateway: Callable[..., RunningGateway]) -> None:
    """Equal seeds and requests give equal bytes, whatever the machine does meanwhile; another seed gives others."""
    first = _bytes_of(start_gateway, 3)
    time.sleep(0.05)
    assert _bytes_of(start_gateway, 3) == first
    assert _bytes_of(start_gateway, 4) != first
