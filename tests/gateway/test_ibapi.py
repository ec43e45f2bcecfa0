"""The official client, which counts fields: what it drops or chokes on is wrong with the gateway."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from aurora.gateway.running import RunningGateway
from tests.gateway.kit import skip_without

skip_without("ibapi")

# ruff: noqa: E402
from ibapi.client import EClient
from ibapi.contract import Contract
from ibapi.execution import ExecutionFilter
from ibapi.order import Order
from ibapi.order_cancel import OrderCancel
from ibapi.wrapper import EWrapper


class Official(EWrapper, EClient):  # type: ignore[misc] # ibapi ships no types
    """The official client with its own thread; every callback is noted with its arguments."""

    def __init__(self, port: int, client_id: int) -> None:
        EClient.__init__(self, self)
        self.calls: dict[str, list[tuple[Any, ...]]] = {}
        for name in (name for name in vars(EWrapper) if not name.startswith("_") and name != "logAnswer"):
            setattr(self, name, self._noting(name, getattr(self, name)))
        self.connect("127.0.0.1", port, client_id)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def _noting(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def note(*args: Any, **named: Any) -> Any:
            self.calls.setdefault(name, []).append(args)
            return original(*args, **named)

        return note

    def wait(self, name: str, count: int = 1) -> list[tuple[Any, ...]]:
        """Wait until a callback came `count` times, and return all its arguments."""
        for _ in range(1000):
            if len(self.calls.get(name, [])) >= count:
                return self.calls[name]
            time.sleep(0.01)
        pytest.fail(f"{name} came {len(self.calls.get(name, []))} times; there were {sorted(self.calls)}")

    def stop(self) -> bool:
        """Disconnect; return whether the reading thread had lived until now."""
        alive = self.thread.is_alive()
        self.disconnect()
        self.thread.join(10)
        return alive


def _stock() -> Any:
    contract = Contract()
    contract.symbol, contract.secType, contract.exchange, contract.currency = "SPY", "STK", "SMART", "USD"
    return contract


def _limit(side: str, quantity: int, price: float) -> Any:
    order = Order()
    order.action, order.totalQuantity, order.orderType = side, Decimal(quantity), "LMT"
    order.lmtPrice, order.tif, order.orderRef = price, "DAY", "official"
    return order


@pytest.fixture
def official(gateway: RunningGateway) -> Iterator[Official]:
    """The official client, connected; its reading thread survives the test."""
    logging.getLogger("ibapi").setLevel(logging.CRITICAL)
    client = Official(gateway.port, 5)
    client.wait("nextValidId")
    yield client
    assert client.stop(), "a message killed the client's reading thread"


def test_what_is_read_has_its_fields(official: Official) -> None:
    """Contracts, ticks, positions, summary, updates and the clock pass the client's count of fields."""
    official.reqContractDetails(1, _stock())
    official.reqMktData(2, _stock(), "", False, False, [])
    official.reqPositions()
    official.reqAccountSummary(3, "All", "NetLiquidation")
    official.reqAccountUpdates(True, "")
    official.reqAccountUpdatesMulti(9, "", "", False)
    official.reqCurrentTime()
    official.wait("currentTime")
    details = official.wait("contractDetails")[0][1]
    assert (details.contract.conId, details.minTick, details.minSize) == (756733, 0.01, 1)
    assert details.liquidHours.startswith("20260105:0930-20260105:1600")
    assert {tick[1] for tick in official.calls["tickPrice"]} == {1, 2, 4, 9}
    assert official.calls["tickReqParams"] == [(2, 0.01, "9c0001", 3)]
    assert official.calls["marketDataType"] == [(2, 1)]
    assert official.calls["tickGeneric"] == [(2, 49, 0.0)]
    ends = ("contractDetailsEnd", "positionEnd", "accountSummaryEnd", "accountDownloadEnd", "accountUpdateMultiEnd")
    assert all(official.calls[name] for name in ends)
    assert official.calls["accountSummary"] == [(3, "DU1234567", "NetLiquidation", "100000.00", "USD")]


def test_what_is_traded_has_its_fields(official: Official) -> None:
    """Orders, statuses, executions, commissions and completed orders are what was sent and done."""
    official.placeOrder(1, _stock(), _limit("BUY", 10, 200.0))
    official.placeOrder(2, _stock(), _limit("BUY", 20, 90.0))
    official.wait("orderStatus", 5)
    official.placeOrder(2, _stock(), _limit("BUY", 30, 91.0))
    official.reqAllOpenOrders()
    official.wait("openOrderEnd")
    number, _, order, state = official.calls["openOrder"][-1]
    assert (number, order.totalQuantity, order.lmtPrice, order.orderRef) == (2, 30, 91.0, "official")
    assert (order.clientId, order.clearingIntent, state.status) == (5, "IB", "Submitted")
    official.cancelOrder(2, OrderCancel())
    official.reqExecutions(7, ExecutionFilter())
    official.reqCompletedOrders(False)
    official.wait("completedOrdersEnd")
    execution = official.calls["execDetails"][-1][2]
    assert (execution.shares, execution.price, execution.orderRef) == (10, 100.02, "official")
    assert official.calls["commissionAndFeesReport"][-1][0].commissionAndFees == 1.0
    statuses = [(done[1].filledQuantity, done[2].status) for done in official.calls["completedOrder"]]
    assert statuses == [(10, "Filled"), (0, "Cancelled")]
    assert (2, 202) in [(call[0], call[2]) for call in official.calls["error"]]
    official.reqPositions()
    official.wait("positionEnd")
    assert [(p[0], p[2], p[3]) for p in official.calls["position"]] == [("DU1234567", 10, 100.02)]


def test_a_what_if_order_is_previewed(official: Official) -> None:
    """The preview's margins and commission are read from their places."""
    order = _limit("BUY", 1, 50.0)
    order.whatIf = True
    official.placeOrder(1, _stock(), order)
    state = official.wait("openOrder")[0][3]
    assert (state.initMarginChange, state.initMarginAfter, state.commissionAndFees) == ("12.50", "12.50", 0.5)
    official.reqGlobalCancel(OrderCancel())
    official.reqIds(1)
    assert official.wait("nextValidId", 2)[-1] == (2,)
