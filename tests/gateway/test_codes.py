"""TWS's codes: what each wrong or late request is answered with, over a bare connection."""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aurora.gateway.running import RunningGateway
from tests.gateway.conftest import StandingQuotes
from tests.gateway.kit import Raw, frame, order_fields, stock_fields

Start = Callable[..., RunningGateway]


def answers(raw: Raw, *requests: list[Any] | tuple[Any, ...]) -> list[list[str]]:
    """Send requests and return every message up to the answer to a question for the time behind them."""
    for request in requests:
        raw.send(*request)
    raw.send(49, 1)
    return raw.receive_until(49)[:-1]


def errors(messages: list[list[str]]) -> list[tuple[str, str]]:
    """Return request id and code of the errors among messages."""
    return [(fields[2], fields[3]) for fields in messages if fields[0] == "4" and fields[2] != "-1"]


def data(request_id: int, symbol: str = "SPY", *, snapshot: int = 0) -> tuple[Any, ...]:
    """Return a request for market data."""
    return (1, 11, request_id, *stock_fields(symbol), 0, "", snapshot, 0, "")


@pytest.fixture
def client(raw: Raw) -> Raw:
    """A bare client that has said startApi, with the welcome behind it."""
    raw.start()
    answers(raw)
    return raw


def limit(order_id: int, price: object = 99, quantity: object = 10, side: str = "BUY", **more: Any) -> list[Any]:
    """Return a limit order."""
    return order_fields(order_id, side, quantity, "LMT", price, **more)


@pytest.mark.parametrize(
    ("requests", "code"),
    [
        ([data(1), data(1)], ("1", "102")),
        ([data(1, "NONE")], ("1", "200")),
        ([(2, 2, 7)], ("7", "300")),
        ([(62, 1, number, "All", "NetLiquidation") for number in (1, 2, 3)], ("3", "322")),
        ([(4, 1, 9, "")], ("9", "10147")),
        ([limit(5), limit(4)], ("4", "103")),
        ([limit(5, 101), limit(5)], ("5", "104")),
        ([limit(5), (4, 1, 5, ""), limit(5)], ("5", "103")),
        ([limit(5), limit(5, side="SELL")], ("5", "105")),
        ([limit(5), limit(5, ref="other")], ("5", "105")),
        ([limit(5), limit(5, symbol="TSLA")], ("5", "105")),
        ([limit(5, tif="FOK")], ("5", "111")),
        ([limit(5, price="")], ("5", "321")),
        ([limit(5, account="U999")], ("5", "321")),
        ([limit(5, side="HOLD")], ("5", "321")),
        ([limit(0)], ("0", "320")),
        ([limit(2**31)], (str(2**31), "320")),
        ([limit(5, symbol="NONE")], ("5", "200")),
        ([limit(5, quantity=-1)], ("5", "10243")),
        ([limit(5, 99, 40_000)], ("5", "201")),
        ([limit(5, 99, 10), limit(5, 99, 40_000)], ("5", "201")),
    ],
)
def test_what_is_wrong_has_its_code(client: Raw, requests: list[Any], code: tuple[str, str]) -> None:
    """Each wrong request gets the code that TWS has for it."""
    assert errors(answers(client, *requests))[-1] == code


def test_only_client_0_binds_manual_orders(client: Raw) -> None:
    """Another client gets 327."""
    assert [fields[3] for fields in answers(client, (15, 1, 1)) if fields[0] == "4"] == ["327"]


def test_a_hundred_subscriptions(start: Start) -> None:
    """The hundred-and-first subscription is refused with 101; a cancelled one makes room."""
    gateway = start(max_messages_per_s=1000)
    client = Raw(gateway.port)
    client.start()
    got = errors(answers(client, *(data(number) for number in range(101))))
    assert got == [("100", "101")]
    assert errors(answers(client, (2, 2, 5), data(200))) == []
    client.close()


def test_a_snapshot_ends(client: Raw, gateway: RunningGateway, quotes: StandingQuotes) -> None:
    """A snapshot has its ticks and its end, and nothing comes later."""
    kinds = [fields[0] for fields in answers(client, data(1, snapshot=1))]
    assert kinds[-1] == "57"
    assert "1" in kinds
    quotes.set(bid="99.00")
    gateway.advance(0.25)
    assert answers(client) == []


def test_a_position_closes_without_funds(start: Start) -> None:
    """An account that holds more than it could buy anew can still sell all of it."""
    gateway = start(cash=-50_000, positions=[{"symbol": "SPY", "quantity": 600, "average_cost": 100}])
    client = Raw(gateway.port)
    client.start()
    assert errors(answers(client, limit(1, 99, 1))) == [("1", "201")]
    assert errors(answers(client, limit(2, 100, 600, side="SELL"))) == []
    client.close()


def test_account_values_come_every_three_minutes(client: Raw, gateway: RunningGateway) -> None:
    """Who subscribed to account values gets them again after 180 seconds at the venue, and not once cancelled."""
    answers(client, (6, 2, 1, ""), (62, 1, 1, "All", "NetLiquidation"), (76, 1, 2, "", "", 0))
    gateway.advance(179, step=1)
    assert answers(client) == []
    gateway.advance(2, step=1)
    assert {fields[0] for fields in answers(client)} == {"6", "8", "63", "73"}
    answers(client, (6, 2, 0, ""), (63, 1, 1), (77, 1, 2))
    gateway.advance(181, step=1)
    assert answers(client) == []


def test_positions_follow_until_cancelled(client: Raw) -> None:
    """Positions are sent on change to who asked for them, and no more once that is cancelled."""
    answers(client, (61, 1))
    assert [fields[-2:] for fields in answers(client, limit(1, 101)) if fields[0] == "61"] == [["10", "100.02"]]
    answers(client, (64, 1))
    assert [fields for fields in answers(client, limit(2, 101)) if fields[0] == "61"] == []


def test_only_what_closes_has_a_realized_profit(client: Raw) -> None:
    """A commission report of an opening trade has the largest double for its profit, as IB writes it."""
    got = answers(client, limit(1, 101), limit(2, 99, side="SELL"))
    reports = [(fields[3], fields[5]) for fields in got if fields[0] == "59"]
    assert reports == [("1.00", "1.7976931348623157E308"), ("1.00", "-1.20")]


def test_executions_are_filtered(client: Raw) -> None:
    """Symbol, side, client and account choose among the executions."""
    answers(client, limit(1, 101), limit(2, 99, side="SELL", symbol="TSLA"))
    cases = {
        ("", "", "", ""): 2, ("", "SPY", "", ""): 1, ("", "", "SELL", ""): 1, ("", "SPY", "SELL", ""): 0,
        ("9", "", "", ""): 0, ("1", "", "BUY", ""): 1, ("", "", "", "U1"): 0,
    }  # fmt: skip
    for (owner, symbol, side, account), count in cases.items():
        got = answers(client, (7, 3, 1, owner, account, "", symbol, "", "", side))
        assert [fields[0] for fields in got].count("11") == count, (owner, symbol, side, account)
        assert got[-1][0] == "55"


def test_requests_come_byte_by_byte(gateway: RunningGateway) -> None:
    """A handshake and an order sent one byte at a time are what they would be in one piece."""
    raw = Raw(gateway.port)
    raw.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    hello = b"API\0\0\0\0\x09v157..176"
    for byte in hello + frame(71, 2, 1, "") + frame(*limit(1, 101)) + frame(49, 1):
        raw.socket.sendall(bytes([byte]))
    assert raw.receive()[0] == "176"
    assert "11" in [fields[0] for fields in raw.receive_until(49)]
    raw.close()


def test_the_venue_can_have_the_machines_date(start: Start) -> None:
    """With wall_clock the venue's time begins now, not when the quotes were made."""
    for wall_clock in (True, False):
        client = Raw(start(wall_clock=wall_clock).port)
        client.start()
        client.send(49, 1)
        shown = datetime.fromtimestamp(int(client.receive_until(49)[-1][2]), UTC)
        client.close()
        assert (abs(datetime.now(UTC) - shown) < timedelta(minutes=10)) is wall_clock
