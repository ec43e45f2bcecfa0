"""Real quotes: the best bid and offer of each symbol as TWS streams them, and nothing that is delayed.

TWS sends an aggregated change several times a second, each field by itself, and nothing while nothing changes. So a
quote is as old as the last tick of one of its sides; that the feed lives is another question (volume may go on while
prices are frozen), which the connection answers.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from operator import methodcaller
from typing import Any

from aurora.clock import Clock, SystemClock
from aurora.errors import VenueRefusal
from aurora.ibkr.codes import Meaning, meaning
from aurora.ibkr.connection import Connection
from aurora.ibkr.contracts import Contracts, UnsendableOrder
from aurora.ibkr.governor import Urgency
from aurora.ibkr.hours import regular_hours
from aurora.market.link import LinkState
from aurora.market.quote import Quote

BID, ASK, CLOSE = 1, 2, 9
BID_SIZE, ASK_SIZE = 0, 3
HALTED = 49
REAL_TIME = 1
MOST_SYMBOLS = 100
"""The market data lines that an account has by default."""


@dataclass
class _Sides:
    """What is known of one symbol."""

    bid: Decimal | None = None
    ask: Decimal | None = None
    bid_size: int = 0
    ask_size: int = 0
    halted: bool = False
    close: Decimal | None = None
    at: datetime | None = None


class IbkrQuotes:
    """A quote source over a connection: subscribe → poll*. New epochs, lost data, returned farms subscribe anew."""

    realtime = True
    exhausted = False

    def __init__(self, connection: Connection, contracts: Contracts, clock: Clock | None = None) -> None:
        self.name = "ibkr"
        self._connection = connection
        self._contracts = contracts
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._sides: dict[str, _Sides] = {}
        self._by_request: dict[int, str] = {}
        self._wanted: set[str] = set()
        self._again: asyncio.Task[None] | None = None
        connection.on_epoch.append(self._subscribe_all)
        events = connection.events
        events.on("priceSizeTick", self._on_price)
        events.on("tickSize", self._on_size)
        events.on("tickGeneric", self._on_generic)
        events.on("marketDataType", self._on_type)
        events.on("error", self._on_error)
        for name in ("lost", "data_lost"):
            events.on(name, self._forget)
        events.on("farm_back", self._subscribe_soon)

    @property
    def clock(self) -> Clock:
        """The machine's own clock: TWS gives its ticks no time."""
        return self._clock

    def subscribe(self, symbols: Sequence[str]) -> None:
        """Ask for quotes of `symbols`. Raises VenueRefusal naming the first that the venue does not know."""
        if not symbols:
            raise VenueRefusal("Quotes of no symbol were asked for.", means="nothing can be decided", todo="name one")
        for symbol in symbols:
            self._sides[symbol] = _Sides()
        self._connection.run(self._subscribe_all(), self._connection.address.timeout_s + len(symbols))

    def want(self, symbols: Sequence[str]) -> None:
        """Begin to stream those of `symbols` that are not streamed yet; never waits. Unknown ones stay without."""
        with self._lock:
            new = [symbol for symbol in symbols if symbol not in self._sides and symbol not in self._wanted]
            self._wanted.update(new)
        if new:
            self._connection.begin(lambda: self._stream(new))

    def poll(self) -> Mapping[str, Quote | None]:
        """Return the latest quote of each symbol; None where none has come in this epoch."""
        with self._lock:
            return {symbol: _quote(symbol, sides) for symbol, sides in self._sides.items()}

    def prior_closes(self) -> Mapping[str, Decimal | None]:
        """Return the prior close of each symbol in USD; None where none has come."""
        with self._lock:
            return {symbol: sides.close for symbol, sides in self._sides.items()}

    def regular_hours(self, day: date) -> Mapping[str, tuple[datetime, datetime] | None]:
        """Return from when to when each subscribed symbol trades on `day`, in UTC; None when it is closed.

        Raises VenueRefusal when the venue does not tell.
        """
        listed = [self._contracts.known(symbol) for symbol in self._sides]
        return {each.symbol: regular_hours(each.symbol, each.liquid_hours, each.zone, day) for each in listed}

    def link_state(self) -> LinkState:
        """Return what is wrong with the line now; never waits."""
        return self._connection.link_state()

    def close(self) -> None:
        """Disconnect."""
        self._connection.close()

    # in the connection's thread

    async def _subscribe_all(self) -> None:
        """Subscribe to each symbol, once: what was subscribed before is cancelled first."""
        if not self._sides:
            return
        for number in list(self._by_request):
            del self._by_request[number]
            await self._connection.send(Urgency.REQUEST, methodcaller("cancelMktData", number))
        await self._connection.send(Urgency.REQUEST, lambda client: client.reqMarketDataType(REAL_TIME))
        for symbol in list(self._sides):
            await self._subscribe(symbol)

    async def _subscribe(self, symbol: str) -> None:
        listed = await self._contracts.listed(symbol)
        number = self._connection.new_id()
        self._by_request[number] = symbol
        self._connection.mark_delayed(symbol, "")
        wanted = methodcaller("reqMktData", number, listed.contract, "", False, False, [])
        await self._connection.send(Urgency.REQUEST, wanted)

    async def _stream(self, symbols: Sequence[str]) -> None:
        """Subscribe to more symbols. One that is not known is left out: a new epoch must not fail for it."""
        for symbol in symbols:
            try:
                if not self._by_request:
                    await self._connection.send(Urgency.REQUEST, lambda client: client.reqMarketDataType(REAL_TIME))
                await self._contracts.listed(symbol)
                with self._lock:
                    self._sides[symbol] = _Sides()
                await self._subscribe(symbol)
            except UnsendableOrder:
                continue
            except VenueRefusal:
                with self._lock:
                    self._wanted.discard(symbol)  # asked for again when it is wanted again
                    if symbol not in self._by_request.values():
                        self._sides.pop(symbol, None)

    def _subscribe_soon(self) -> None:
        self._forget()
        self._again = self._connection.later(self._subscribe_all())

    def _forget(self) -> None:
        """What was quoted before is no quote any more."""
        with self._lock:
            for symbol, sides in self._sides.items():
                self._sides[symbol] = _Sides(close=sides.close)

    def _on_price(self, number: int, kind: int, price: float, size: float) -> None:
        symbol = self._by_request.get(number)
        if symbol is None or kind not in (BID, ASK, CLOSE):
            return
        value = _price(price)
        with self._lock:
            sides = self._sides[symbol]
            if kind == CLOSE:
                sides.close = value
                return
            sides.at = self._clock.now()
            if kind == BID:
                sides.bid, sides.bid_size = value, _shares(size)
            else:
                sides.ask, sides.ask_size = value, _shares(size)

    def _on_size(self, number: int, kind: int, size: float) -> None:
        symbol = self._by_request.get(number)
        if symbol is None or kind not in (BID_SIZE, ASK_SIZE):
            return  # volume and the like say that the feed lives, and nothing of the quote
        with self._lock:
            sides = self._sides[symbol]
            sides.at = self._clock.now()
            if kind == BID_SIZE:
                sides.bid_size = _shares(size)
            else:
                sides.ask_size = _shares(size)

    def _on_generic(self, number: int, kind: int, value: float) -> None:
        symbol = self._by_request.get(number)
        if symbol is not None and kind == HALTED:
            with self._lock:
                self._sides[symbol].halted = value != 0  # 1, 2: halted; -1: nobody can say, so it is

    def _on_type(self, number: int, kind: int) -> None:
        symbol = self._by_request.get(number)
        if symbol is not None:
            self._connection.mark_delayed(symbol, "" if kind == REAL_TIME else f"market data type {kind}")

    def _on_error(self, number: int, code: int, text: str, *_: Any) -> None:
        symbol = self._by_request.get(number)
        if symbol is not None and meaning(code) in (Meaning.DELAYED, Meaning.NO_CONTRACT, Meaning.READ_ONLY):
            self._connection.mark_delayed(symbol, f"{code}: {text}")


def _quote(symbol: str, sides: _Sides) -> Quote | None:
    if sides.at is None:
        return None
    return Quote(symbol, sides.at, sides.bid, sides.ask, sides.bid_size, sides.ask_size, sides.halted)


def _price(price: float) -> Decimal | None:
    """Return a price in USD; zero, -1 and what is no number are the wire's words for a side that is not there."""
    value = Decimal(str(price))
    return value if value.is_finite() and value > 0 else None


def _shares(size: float) -> int:
    value = Decimal(str(size))
    return int(value) if value.is_finite() and value > 0 else 0
