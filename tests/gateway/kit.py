"""Clients for tests of the gateway: the real libraries, and a bare socket that speaks the protocol."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import logging
import os
import socket
import struct
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

import pytest

LIBRARIES = ("ib_async", "ib_insync")


def skip_without(name: str) -> None:
    """Skip a test, or a module, whose client is not there; `make conformance` leaves none out unseen."""
    if not is_installed(name):
        text = f"{name} is not installed: nothing was driven with it (`make conformance` has it)"
        if os.environ.get("AURORA_CONFORMANCE") and name != "ib_async":
            pytest.fail(text)
        pytest.skip(text, allow_module_level=True)


def is_installed(name: str) -> bool:
    """Return whether a client library is there."""
    return importlib.util.find_spec(name) is not None


def library(name: str) -> Any:
    """Return a client library, or skip the test with the reason."""
    skip_without(name)
    return importlib.import_module(name)


async def until(condition: Callable[[], object], what: str = "it") -> None:
    """Wait until `condition` holds; fail after ten seconds."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"{what} never came")


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a test's coroutine in a loop of its own, and disconnect the clients that it made."""

    async def whole() -> None:
        try:
            await asyncio.wait_for(story(), 60)
        finally:
            while Trader.made:
                Trader.made.pop().ib.disconnect()
            await asyncio.sleep(0.01)  # the transports end in the loop's next turns

    asyncio.run(whole())


class Trader:
    """One client of a library, unchanged; `errors` holds the codes that it was told, with request ids."""

    made: ClassVar[list[Trader]] = []

    def __init__(self, lib: Any) -> None:
        self.made.append(self)
        self.lib = lib
        self.ib = lib.IB()
        self.errors: list[tuple[int, int]] = []
        self.ib.errorEvent += lambda request, code, *_: self.errors.append((request, code))
        logging.getLogger(lib.__name__).setLevel(logging.CRITICAL)

    @property
    def codes(self) -> list[int]:
        """Return the codes alone."""
        return [code for _, code in self.errors]

    async def connect(self, port: int, client_id: int = 1) -> Trader:
        """Connect and synchronize, as the library does by default."""
        await self.ib.connectAsync("127.0.0.1", port, clientId=client_id, timeout=10)
        return self

    async def stock(self, symbol: str = "SPY") -> Any:
        """Return a qualified contract."""
        (contract,) = await self.ib.qualifyContractsAsync(self.lib.Stock(symbol, "SMART", "USD"))
        return contract

    async def limit(self, side: str, quantity: int, price: float, **more: Any) -> Any:
        """Place a limit order in SPY and wait until the venue has it; return the trade."""
        trade = self.ib.placeOrder(await self.stock(), self.lib.LimitOrder(side, quantity, price, **more))
        number = trade.order.orderId
        await until(lambda: trade.order.permId or number in dict(self.errors), "an answer to the order")
        return trade

    async def ends(self, trade: Any, status: str) -> None:
        """Wait until a trade has a status."""
        await until(lambda: trade.orderStatus.status == status, f"{status} of {trade.orderStatus}")

    async def fence(self) -> None:
        """Wait until the gateway has answered everything that was asked before."""
        await self.ib.reqCurrentTimeAsync()


class Raw:
    """A bare connection: frames out, frames in, and the bytes as they came."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.bytes = b""
        self._data = b""

    def send(self, *fields: object) -> None:
        """Send one request."""
        self.socket.sendall(frame(*fields))

    def start(self, client_id: int = 1, versions: bytes = b"v157..176") -> list[str]:
        """Shake hands and say startApi; return the server's version and time."""
        self.socket.sendall(b"API\0" + struct.pack(">I", len(versions)) + versions)
        hello = self.receive()
        self.send(71, 2, client_id, "")
        return hello

    def receive(self) -> list[str]:
        """Return the next message's fields. Raises EOFError at the end of the connection."""
        (length,) = struct.unpack(">I", self._take(4))
        return self._take(length)[:-1].decode().split("\0")

    def receive_until(self, kind: int) -> list[list[str]]:
        """Return the messages up to the first of that id, which is the last one."""
        got = []
        while True:
            got.append(self.receive())
            if got[-1][0] == str(kind):
                return got

    def ended(self) -> bool:
        """Return whether the gateway ended the connection, after reading what it still sent."""
        try:
            while self.receive():
                pass
        except (EOFError, ConnectionError):
            return True
        except TimeoutError:
            return False
        return False

    def _take(self, count: int) -> bytes:
        while len(self._data) < count:
            more = self.socket.recv(65536)
            if not more:
                raise EOFError
            self.bytes += more
            self._data += more
        taken, self._data = self._data[:count], self._data[count:]
        return taken

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()


def frame(*fields: object) -> bytes:
    """Return one request as bytes."""
    body = "".join(f"{field}\0" for field in fields).encode()
    return struct.pack(">I", len(body)) + body


def stock_fields(symbol: str = "SPY") -> tuple[object, ...]:
    """Return the twelve fields of a stock's contract in a request."""
    return (0, symbol, "STK", "", "0.0", "", "", "SMART", "", "USD", "", "")


def order_fields(order_id: int, side: str, quantity: object, kind: str, price: object = "", **more: Any) -> list[Any]:
    """Return a plain order as ib_async 2.1 writes it at version 176: 115 fields."""
    named: dict[str, Any] = {
        "tif": "",
        "account": "",
        "ref": "",
        "transmit": 1,
        "parent": 0,
        "what_if": 0,
        "symbol": "SPY",
    } | more
    return [
        3, order_id, *stock_fields(named["symbol"]), "", "", side, quantity, kind, price, "", named["tif"], "",
        named["account"], "O", 0, named["ref"], named["transmit"], named["parent"], 0, 0, 0, 0, 0, 0, "",
        0.0, *[""] * 7, 0, "", -1, 0, "", "", 0, "", "", 0, 0, "", 0, *[""] * 5, 0, *[""] * 4, 0, *[""] * 10, 0, "",
        "", 0, 0, "", "", named["what_if"], "", 0, 0, 0, 0, *[""] * 6, 0, *[""] * 8, 0, 0, 0, 0, "", "", 0, "", "",
    ]  # fmt: skip
