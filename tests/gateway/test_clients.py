"""The conformance of the gateway: unchanged clients connect, get data and trade."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from decimal import Decimal

import pytest

from aurora.gateway.running import RunningGateway
from tests.gateway.conftest import StandingQuotes
from tests.gateway.kit import LIBRARIES, Trader, library, run, until

Make = Callable[[], Trader]


@pytest.mark.parametrize("name", LIBRARIES)
def test_each_client_is_here(name: str) -> None:
    """A client library that is not installed is one skipped test with its name, so that nobody takes it for driven."""
    assert library(name).IB


# ── Connecting ───────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_client_connects_and_synchronizes(gateway: RunningGateway, trader: Make) -> None:
    """Connecting gives the account, the welcome notices, and an end to everything that a client asks for at start."""

    async def story() -> None:
        client = await trader().connect(gateway.port)
        assert client.ib.client.serverVersion() == 176
        assert client.ib.managedAccounts() == ["DU1234567"]
        assert {2104, 2106, 2158} <= set(client.codes)
        values = {value.tag: value.value for value in client.ib.accountValues()}
        assert values["NetLiquidation"] == "100000.00"
        assert values["DayTradesRemaining"] == "-1"

    run(story)


def test_the_newest_version_can_be_offered(start: Callable[..., RunningGateway], trader: Make) -> None:
    """With max_version 178 each client gets its newest version up to that, and trades at it."""
    gateway = start(max_version=178)

    async def story() -> None:
        client = await trader().connect(gateway.port)
        assert client.ib.client.serverVersion() == {"ib_async": 178, "ib_insync": 176}[client.lib.__name__]
        trade = await client.limit("BUY", 10, 100.02)
        await client.ends(trade, "Filled")
        assert [fill.execution.shares for fill in trade.fills] == [10]
        (done,) = await client.ib.reqCompletedOrdersAsync(False)
        assert (done.order.permId, done.order.totalQuantity) == (trade.orderStatus.permId, 10)

    run(story)


def test_a_client_id_in_use_is_refused(gateway: RunningGateway, trader: Make) -> None:
    """A second client with the same id gets 326 and the end of its connection; the first one stays."""

    async def story() -> None:
        first, second = await trader().connect(gateway.port), trader()
        with contextlib.suppress(TimeoutError):
            await second.ib.connectAsync("127.0.0.1", gateway.port, clientId=1, timeout=1)
        assert second.codes == [326]
        assert not second.ib.isConnected()
        await first.fence()

    run(story)


def test_a_client_id_is_free_again_after_its_client(gateway: RunningGateway, trader: Make) -> None:
    """Once a client is gone, another one may have its id."""

    async def story() -> None:
        first = await trader().connect(gateway.port)
        first.ib.disconnect()
        await until(lambda: not gateway.gateway.sessions, "the end of the first session")
        assert 326 not in (await trader().connect(gateway.port)).codes

    run(story)


# ── Contracts and data ───────────────────────────────────────────────────────────────────────────────────────────────
def test_contracts_have_ids_ticks_and_hours(gateway: RunningGateway, trader: Make) -> None:
    """A stock is found by its symbol, with its conId, minimum tick, size increment and hours; another is not (200)."""

    async def story() -> None:
        client = await trader().connect(gateway.port)
        (details,) = await client.ib.reqContractDetailsAsync(client.lib.Stock("SPY", "SMART", "USD"))
        assert (details.contract.conId, details.contract.primaryExchange, details.minTick) == (756733, "ARCA", 0.01)
        assert (details.minSize, details.sizeIncrement) == (1, 1)
        assert details.liquidHours.startswith("20260105:0930-20260105:1600;20260106:0930")
        assert "20260110:CLOSED" in details.tradingHours
        sessions = details.liquidSessions()
        assert f"{sessions[0].start:%Y-%m-%d %H:%M %Z}" == "2026-01-05 09:30 EST"
        assert await client.ib.reqContractDetailsAsync(client.lib.Stock("NONE", "SMART", "USD")) == []
        assert 200 in client.codes

    run(story)


def test_market_data_streams(gateway: RunningGateway, quotes: StandingQuotes, trader: Make) -> None:
    """A subscription gets the quote that is there, then what changes, and nothing more once it is cancelled."""

    async def story() -> None:
        client = await trader().connect(gateway.port)
        contract = await client.stock()
        ticker = client.ib.reqMktData(contract)
        await until(lambda: ticker.bid == 100 and ticker.ask == 100.02, "the quote")
        assert (ticker.bidSize, ticker.askSize, ticker.halted, ticker.marketDataType) == (500, 300, 0, 1)
        assert ticker.close in (100, 100.02)
        quotes.set(bid="100.01", bid_size=700)
        gateway.advance(0.25)
        await until(lambda: ticker.bid == 100.01 and ticker.bidSize == 700, "the next quote")
        client.ib.cancelMktData(contract)
        await client.fence()
        quotes.set(bid="99.00")
        gateway.advance(0.25)
        await client.fence()
        assert ticker.bid == 100.01

    run(story)


def test_a_missing_side_is_minus_one(gateway: RunningGateway, quotes: StandingQuotes, trader: Make) -> None:
    """A side that is not there comes as -1, as TWS has it."""
    quotes.set(bid=None, bid_size=0)
    gateway.advance(0.25)

    async def story() -> None:
        client = await trader().connect(gateway.port)
        ticker = client.ib.reqMktData(await client.stock())
        await until(lambda: ticker.ask == 100.02, "the quote")
        assert (ticker.bid, ticker.bidSize) == (-1, 0)

    run(story)


def test_data_that_is_not_subscribed(start: Callable[..., RunningGateway], trader: Make) -> None:
    """Without real-time data a client gets 354; when it takes delayed data, 10167 and ticks marked as delayed."""
    gateway = start(entitled=False)

    async def story() -> None:
        client = await trader().connect(gateway.port)
        contract = await client.stock()
        client.ib.reqMktData(contract)
        await until(lambda: 354 in client.codes, "354")
        client.ib.cancelMktData(contract)
        client.ib.reqMarketDataType(3)
        ticker = client.ib.reqMktData(contract)
        await until(lambda: ticker.marketDataType == 3 and ticker.bid == 100, "delayed ticks")
        assert 10167 in client.codes

    run(story)


# ── Trading ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_marketable_order_fills(gateway: RunningGateway, trader: Make) -> None:
    """A limit order beyond the far touch trades there, at once, with a commission, and shows up as a position."""

    async def story() -> None:
        client = await trader().connect(gateway.port)
        trade = await client.limit("BUY", 200, 101.0, orderRef="aurora-1")
        await client.ends(trade, "Filled")
        await until(lambda: trade.fills and trade.fills[0].commissionReport.execId, "the commission")
        (fill,) = trade.fills
        assert (fill.execution.shares, fill.execution.price, fill.execution.side) == (200, 100.02, "BOT")
        assert (fill.execution.orderRef, fill.execution.permId) == ("aurora-1", trade.order.permId)
        assert fill.commissionReport.commission == 1.0
        await until(client.ib.positions, "the position")
        (position,) = client.ib.positions()
        assert (position.position, position.avgCost) == (200, 100.02)

    run(story)


def test_an_order_takes_what_is_displayed(gateway: RunningGateway, quotes: StandingQuotes, trader: Make) -> None:
    """What is larger than the displayed size fills in parts, as sizes come; one minimum commission covers them all."""

    async def story() -> None:
        client = await trader().connect(gateway.port)
        trade = await client.limit("BUY", 400, 100.02)
        await until(lambda: trade.orderStatus.filled == 300, "the first part")
        assert trade.orderStatus.status == "Submitted"
        quotes.set(ask_size=250)
        gateway.advance(0.25)
        await client.ends(trade, "Filled")
        assert [fill.execution.shares for fill in trade.fills] == [300, 100]
        await until(lambda: all(fill.commissionReport.execId for fill in trade.fills), "commissions")
        assert sum(fill.commissionReport.commission for fill in trade.fills) == 2.0  # 400 shares at half a cent

    run(story)


def test_immediate_or_cancel(gateway: RunningGateway, trader: Make) -> None:
    """An IOC order takes what is displayed and is cancelled for the rest."""

    async def story() -> None:
        client = await trader().connect(gateway.port)
        trade = await client.limit("SELL", 700, 100.00, tif="IOC")
        await client.ends(trade, "Cancelled")
        assert (trade.orderStatus.filled, trade.orderStatus.remaining) == (500, 200)

    run(story)


def test_a_market_order_fills(gateway: RunningGateway, trader: Make) -> None:
    """A market order trades at the far touch."""

    async def story() -> None:
        client = await trader().connect(gateway.port)
        trade = client.ib.placeOrder(await client.stock(), client.lib.MarketOrder("SELL", 100))
        await client.ends(trade, "Filled")
        assert trade.orderStatus.avgFillPrice == 100.00

    run(story)


def test_modify_and_cancel(gateway: RunningGateway, trader: Make) -> None:
    """A working order takes new terms under its own id, and can be cancelled."""

    async def story() -> None:
        client = await trader().connect(gateway.port)
        trade = await client.limit("BUY", 100, 99.0)
        trade.order.lmtPrice, trade.order.totalQuantity = 99.5, 150
        client.ib.placeOrder(trade.contract, trade.order)
        await client.fence()
        (order,) = await client.ib.reqAllOpenOrdersAsync()
        assert (order.order.lmtPrice, order.order.totalQuantity) == (99.5, 150)
        client.ib.cancelOrder(trade.order)
        await client.ends(trade, "Cancelled")
        assert (trade.order.orderId, 202) in client.errors

    run(story)


def test_what_if(gateway: RunningGateway, trader: Make) -> None:
    """A what-if order answers with margin and commission, and leaves no order."""

    async def story() -> None:
        client = await trader().connect(gateway.port)
        order = client.lib.LimitOrder("BUY", 1, 50.0)
        state = await client.ib.whatIfOrderAsync(await client.stock(), order)
        assert float(state.initMarginChange) == 12.5
        assert float(state.commission) == 0.5  # a hundredth of what it is worth wins over the minimum
        assert await client.ib.reqAllOpenOrdersAsync() == []

    run(story)


def test_refusals_have_codes_of_tws(gateway: RunningGateway, trader: Make) -> None:
    """Price off the tick 110, no shares 434, no money 201, unknown type 387: none of them leaves an order."""

    async def story() -> None:
        client = await trader().connect(gateway.port)
        contract = await client.stock()
        orders = {
            110: client.lib.LimitOrder("BUY", 1, 99.005),
            434: client.lib.LimitOrder("BUY", 0, 99.0),
            201: client.lib.LimitOrder("BUY", 100_000, 99.0),
            387: client.lib.Order(action="BUY", totalQuantity=1, orderType="MIDPRICE"),
            10243: client.lib.LimitOrder("BUY", 1.5, 99.0),
            321: client.lib.LimitOrder("BUY", 1, 99.0, parentId=3),
        }
        for code, order in orders.items():
            client.ib.placeOrder(contract, order)
            await until(lambda code=code, order=order: (order.orderId, code) in client.errors, f"{code}")  # type: ignore[misc]
        assert gateway.call(lambda: list(gateway.gateway.venue.orders)) == []

    run(story)


def test_a_read_only_gateway_takes_no_order(start: Callable[..., RunningGateway], trader: Make) -> None:
    """With TWS's read-only switch on, orders and what-ifs get 321."""
    gateway = start(read_only=True)

    async def story() -> None:
        client = await trader().connect(gateway.port)
        await client.limit("BUY", 1, 99.0)
        assert 321 in client.codes

    run(story)


def test_summary_and_positions(start: Callable[..., RunningGateway], trader: Make) -> None:
    """The summary names what the account is worth; positions that were there before come with their cost."""
    gateway = start(cash=Decimal(5000), positions=[{"symbol": "SPY", "quantity": 10, "average_cost": 90}])

    async def story() -> None:
        client = await trader().connect(gateway.port)
        summary = {value.tag: value.value for value in await client.ib.accountSummaryAsync()}
        assert (summary["NetLiquidation"], summary["TotalCashValue"]) == ("6000.10", "5000.00")
        (position,) = await client.ib.reqPositionsAsync()
        assert (position.contract.symbol, position.position, position.avgCost) == ("SPY", 10, 90)
        (item,) = client.ib.portfolio()
        assert (item.marketPrice, item.unrealizedPNL) == (100.01, 100.10)

    run(story)


# ── Several clients, and coming back ─────────────────────────────────────────────────────────────────────────────────
def test_state_survives_a_reconnect(gateway: RunningGateway, quotes: StandingQuotes, trader: Make) -> None:
    """Orders work on while their client is away; on its return it reads what happened, and ids go on."""

    async def story() -> None:
        first = await trader().connect(gateway.port)
        working, waiting = await first.limit("BUY", 10, 99.0), await first.limit("BUY", 20, 98.0)
        first.ib.disconnect()
        quotes.set(ask="99.00")
        gateway.advance(0.25)
        second = await trader().connect(gateway.port)
        (trade,) = second.ib.openTrades()
        assert (trade.order.permId, trade.order.orderId) == (waiting.order.permId, waiting.order.orderId)
        (fill,) = second.ib.fills()
        assert (fill.execution.permId, fill.execution.price) == (working.order.permId, 99.0)
        assert fill.commissionReport.commission == 1.0
        assert second.ib.client.getReqId() > waiting.order.orderId

    run(story)


def test_only_the_client_of_an_order_cancels_it(gateway: RunningGateway, trader: Make) -> None:
    """Another client sees the order, and gets 10147 when it cancels it; only a global cancel reaches it."""

    async def story() -> None:
        owner, other = await trader().connect(gateway.port, 1), await trader().connect(gateway.port, 2)
        trade = await owner.limit("BUY", 10, 99.0)
        (seen,) = await other.ib.reqAllOpenOrdersAsync()
        assert (seen.order.permId, seen.order.clientId) == (trade.order.permId, 1)
        other.ib.cancelOrder(seen.order)
        await until(lambda: 10147 in other.codes, "10147")
        assert trade.isActive()
        other.ib.reqGlobalCancel()
        await owner.ends(trade, "Cancelled")

    run(story)


def test_commissions_reach_their_own_client(start: Callable[..., RunningGateway], trader: Make) -> None:
    """Fills and commissions go to the order's client and the master client; another one reads fills without them."""
    gateway = start(master_client_id=3)

    async def story() -> None:
        owner, other = await trader().connect(gateway.port, 1), await trader().connect(gateway.port, 2)
        master = await trader().connect(gateway.port, 3)
        trade = await owner.limit("BUY", 10, 100.02)
        await owner.ends(trade, "Filled")
        await until(lambda: master.ib.fills() and master.ib.fills()[0].commissionReport.execId, "the master's fill")
        await other.fence()
        assert other.ib.fills() == []
        (fill,) = await other.ib.reqExecutionsAsync()
        await other.fence()
        assert fill.execution.clientId == 1
        assert not fill.commissionReport.execId

    run(story)


def test_a_cancel_of_a_done_order(gateway: RunningGateway, trader: Make) -> None:
    """Who cancels an order that is done gets 10148 with its state."""

    async def story() -> None:
        client = await trader().connect(gateway.port)
        texts: list[str] = []
        client.ib.errorEvent += lambda request, code, text, *_: texts.append(text)
        trade = await client.limit("BUY", 10, 100.02)
        await client.ends(trade, "Filled")
        client.ib.client.cancelOrder(trade.order.orderId, "")
        await until(lambda: 10148 in client.codes, "10148")
        assert texts[-1].endswith("state: Filled.")

    run(story)
