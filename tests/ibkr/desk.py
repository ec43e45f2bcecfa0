"""An adapter connected to a simulated gateway over a real socket, and how tests let time pass at the venue."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from aurora.errors import VenueRefusal
from aurora.gateway.running import RunningGateway
from aurora.ibkr.address import Address
from aurora.ibkr.broker import IbkrBroker
from aurora.ibkr.connection import Connection
from aurora.ibkr.contracts import Contracts
from aurora.ibkr.quotes import IbkrQuotes
from aurora.market.order import OrderState, OrderStatus
from tests.gateway.conftest import StandingQuotes

ACCOUNT = "DU1234567"


def until(condition: Callable[[], object], what: str = "it") -> None:
    """Wait until `condition` holds; what the venue refuses meanwhile is not it. Fail after twenty seconds."""
    for _ in range(2000):
        try:
            if condition():
                return
        except VenueRefusal:
            pass
        time.sleep(0.01)
    pytest.fail(f"{what} never came")


@dataclass
class VenueDesk:
    """A gateway, and clients of it that are closed at the end."""

    gateway: RunningGateway
    quotes: StandingQuotes
    opened: list[Connection] = field(default_factory=list)

    def address(self, client: int = 7, **more: Any) -> Address:
        """Return where the gateway is."""
        values = {"spacing_s": 0.0, "timeout_s": 5.0, **more}
        return Address("127.0.0.1", self.gateway.port, client, ACCOUNT, **values)

    def connection(self, client: int = 7, **more: Any) -> Connection:
        """Return a connection that is not open yet."""
        self.opened.append(Connection(self.address(client, **more)))
        return self.opened[-1]

    def broker(self, client: int = 7, **more: Any) -> IbkrBroker:
        """Return a connected broker."""
        connection = self.connection(client, **more)
        broker = IbkrBroker(connection, Contracts(connection))
        connection.open()
        return broker

    def source(self, client: int = 8, **more: Any) -> IbkrQuotes:
        """Return a connected quote source."""
        connection = self.connection(client, **more)
        source = IbkrQuotes(connection, Contracts(connection))
        connection.open()
        return source

    def ended(self, broker: IbkrBroker, ref: str) -> OrderState:
        """Return an order's state once it is final."""
        until(lambda: (state := broker.order_state(ref)) is not None and state.status.is_final, f"the end of {ref}")
        state = broker.order_state(ref)
        assert state is not None
        return state

    def status(self, broker: IbkrBroker, ref: str) -> OrderStatus | None:
        """Return an order's status."""
        state = broker.order_state(ref)
        return None if state is None else state.status

    def close(self) -> None:
        """Close every client."""
        for connection in self.opened:
            connection.close()
