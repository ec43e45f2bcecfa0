"""Waits for the first quotes of a source: a venue sends them field by field, some time after it was asked."""

from __future__ import annotations

from aurora.market.link import link_state_of
from aurora.market.quote import Quote
from aurora.quotes.base import QuoteSource

PATIENCE_S = 10.0
"""How long a symbol's first two-sided quote may take."""
_LOOK_EVERY_S = 0.25


def first_quotes(source: QuoteSource) -> dict[str, Quote | None]:
    """Return the quotes once each symbol has a bid and an ask, the line says that none will come, or patience ends."""
    ends = source.clock.monotonic() + PATIENCE_S
    while True:
        quotes = dict(source.poll())
        line = link_state_of(source)
        is_whole = all(quote is not None and quote.bid and quote.ask for quote in quotes.values())
        if is_whole or line.delayed or line.down or source.exhausted or source.clock.monotonic() >= ends:
            return quotes
        source.clock.sleep(_LOOK_EVERY_S)
