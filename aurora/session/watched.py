"""A quote source that remembers what it gave out, so that a session's record holds every quote that it acted on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime

from aurora.clock import Clock
from aurora.market.link import LinkState, link_state_of
from aurora.market.quote import Quote
from aurora.quotes.base import OnRequest, QuoteSource, VenueHours

Seen = tuple[datetime, str, Quote | None]


class WatchedQuotes:
    """Another source, watched: poll → note what changed since the last look → pass it on."""

    def __init__(self, source: QuoteSource) -> None:
        self._source = source
        self._latest: dict[str, Quote | None] = {}
        self._seen: list[Seen] = []
        self.name = source.name
        self.realtime = source.realtime

    @property
    def clock(self) -> Clock:
        """The source's own clock."""
        return self._source.clock

    def subscribe(self, symbols: Sequence[str]) -> None:
        """Ask the source for quotes of `symbols`."""
        self._source.subscribe(symbols)

    def want(self, symbols: Sequence[str]) -> None:
        """Ask the source for more symbols, if it is one that streams them on request."""
        if isinstance(self._source, OnRequest):
            self._source.want(symbols)

    def poll(self) -> Mapping[str, Quote | None]:
        """Return the source's latest quotes."""
        quotes = self._source.poll()
        for symbol, quote in quotes.items():
            known = self._latest.get(symbol)
            if quote is not known and quote != known:
                self._latest[symbol] = quote
                self._seen.append((self.clock.now(), symbol, quote))
        return quotes

    @property
    def exhausted(self) -> bool:
        """True when no later quote will ever come."""
        return self._source.exhausted

    def link_state(self) -> LinkState:
        """Return what is wrong with the source's line."""
        return link_state_of(self._source)

    def regular_hours(self, day: date) -> Mapping[str, tuple[datetime, datetime] | None]:
        """Return the venue's hours of each symbol; nothing where the source has no venue."""
        return self._source.regular_hours(day) if isinstance(self._source, VenueHours) else {}

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def drain(self) -> list[Seen]:
        """Return what was seen for the first time since the last call: when, of which symbol, the quote."""
        seen, self._seen = self._seen, []
        return seen
