"""Quotes on their way to the book and to subscribers: polled from a source, bent by a scenario, sent as ticks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from random import Random

from aurora.gateway import messages
from aurora.gateway.listings import Listing, Listings
from aurora.gateway.messages import Message
from aurora.market.quote import Quote
from aurora.quotes.base import QuoteSource

REAL_TIME, DELAYED = 1, 3
"""Market data types, as requests and answers write them."""

NO_PRICE = Decimal(-1)
"""What TWS sends for a side that is not there."""

_BID, _ASK, _LAST, _CLOSE, _VOLUME, _HALTED, _LAST_TIME = 1, 2, 4, 9, 8, 49, 45
_SIZE_OF = {_BID: 0, _ASK: 3, _LAST: 5}
_DELAYED_ID = {1: 66, 2: 67, 4: 68, 0: 69, 3: 70, 5: 71, 8: 74, 9: 75, 45: 88, 49: 49}
_LOT = 100


@dataclass
class Tape:
    """What is known of a symbol's trades: quotes carry none, so each new quote is taken for a trade at one side."""

    close: Decimal | None = None
    last: Decimal | None = None
    volume: int = 0


class Feed:
    """The quotes of every listed symbol: step → those that changed.

    seed: decides at which side each trade of the tape is.
    """

    def __init__(self, source: QuoteSource, listings: Listings, seed: int) -> None:
        self.source = source
        self.quotes: dict[str, Quote] = {}
        self.tapes: dict[str, Tape] = {stock.symbol: Tape() for stock in listings}
        self.bent: dict[str, dict[str, object]] = {}
        """Fields of a symbol's quotes that a scenario has set."""
        self.volume_only = False
        self._polled: dict[str, Quote] = {}
        self._random = Random(f"{seed}:tape")
        source.subscribe([stock.symbol for stock in listings])

    def step(self) -> list[Quote]:
        """Return the quotes that are new at the source's clock."""
        changed = []
        for symbol, polled in self.source.poll().items():
            if polled is None:
                continue
            if polled != self._polled.get(symbol):
                self._polled[symbol] = polled
                self._trade(symbol, polled)
            if self.volume_only and symbol in self.quotes:
                continue
            quote = replace(polled, **self.bent[symbol]) if symbol in self.bent else polled  # type: ignore[arg-type] # a scenario's fields are checked where it is read
            if quote != self.quotes.get(symbol):
                self.quotes[symbol] = quote
                changed.append(quote)
        return changed

    def _trade(self, symbol: str, quote: Quote) -> None:
        tape = self.tapes[symbol]
        tape.last = self._random.choice((quote.bid, quote.ask)) or tape.last
        tape.close = tape.close or tape.last
        tape.volume += _LOT


@dataclass
class Subscription:
    """One client's market data of one stock: what changed since the last ticks becomes the next ones."""

    request_id: int
    stock: Listing
    kind: int = REAL_TIME
    _sent: dict[int, object] = field(default_factory=dict)

    def ticks(self, quote: Quote | None, tape: Tape, now: datetime) -> Iterator[Message]:
        """Yield a tick for each value that the client does not have yet."""
        if quote is not None:
            yield from self._price(_BID, quote.bid, quote.bid_size)
            yield from self._price(_ASK, quote.ask, quote.ask_size)
            if self._is_new(_HALTED, quote.halted):
                yield messages.tick_generic(self.request_id, self._id(_HALTED), int(quote.halted))
        if tape.last is not None:
            if self._is_new(_VOLUME, tape.volume):
                yield from self._price(_LAST, tape.last, _LOT)
                yield messages.tick_string(self.request_id, self._id(_LAST_TIME), str(int(now.timestamp())))
                yield messages.tick_size(self.request_id, self._id(_VOLUME), tape.volume)
            yield from self._price(_CLOSE, tape.close, 0)

    def _price(self, kind: int, price: Decimal | None, size: int) -> Iterator[Message]:
        price, size = (NO_PRICE, 0) if price is None else (price, size)
        size_kind = _SIZE_OF.get(kind)
        new_size = size_kind is not None and self._is_new(size_kind, size)
        if self._is_new(kind, price):
            yield messages.tick_price(self.request_id, self._id(kind), price, size)
        if new_size and size_kind is not None:
            yield messages.tick_size(self.request_id, self._id(size_kind), size)

    def _is_new(self, kind: int, value: object) -> bool:
        if self._sent.get(kind) == value:
            return False
        self._sent[kind] = value
        return True

    def _id(self, kind: int) -> int:
        return _DELAYED_ID[kind] if self.kind == DELAYED else kind
