"""One account over one connection: its broker and its quotes, made as they are asked for."""

from __future__ import annotations

from collections.abc import Callable

from aurora.clock import Clock
from aurora.ibkr.address import Address
from aurora.ibkr.broker import IbkrBroker
from aurora.ibkr.connection import Connection
from aurora.ibkr.contracts import Contracts
from aurora.ibkr.governor import Urgency
from aurora.ibkr.loop_thread import LoopHost
from aurora.ibkr.quotes import IbkrQuotes


class Account:
    """broker and quotes share the socket, so that a session has one client id; closing either closes it.

    host, clock: the connection's event loop, and whose time it is; the machine's own unless given.
    Raises VenueRefusal when the account can't be reached, or is another one than asked for.
    """

    def __init__(self, address: Address, host: LoopHost | None = None, clock: Clock | None = None) -> None:
        self.connection = Connection(address, host)
        self._clock = clock
        self._contracts = Contracts(self.connection)
        self._broker: IbkrBroker | None = None
        self._quotes: IbkrQuotes | None = None
        self._is_open = False

    def broker(self) -> IbkrBroker:
        """Return the broker; what it tells was read to its end."""
        if self._broker is None:
            self._broker = IbkrBroker(self.connection, self._contracts, self._clock)
            self._open(self._broker.refresh)
        return self._broker

    def quotes(self) -> IbkrQuotes:
        """Return the quote source."""
        if self._quotes is None:
            self._quotes = IbkrQuotes(self.connection, self._contracts, self._clock)
            self._open(lambda: None)
        return self._quotes

    def cancel_first(self) -> None:
        """Have every working order cancelled as soon as there is a line, before anything is asked on it."""
        self.connection.on_epoch.insert(0, self._cancel_all)

    async def _cancel_all(self) -> None:
        await self.connection.send(Urgency.CANCEL, lambda client: client.reqGlobalCancel())

    @property
    def is_closed(self) -> bool:
        """Return whether it was closed, or could not be opened."""
        return self.connection.is_closed

    def close(self) -> None:
        """Disconnect."""
        self.connection.close()

    def _open(self, read: Callable[[], object]) -> None:
        """Open the connection, which has everything read; one that is open already has only this part read."""
        if self._is_open:
            read()
        else:
            self.connection.open()
            self._is_open = True
