"""Looks at quotes for a few seconds before a session: are they there, how wide, how old."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from aurora.errors import UsageError
from aurora.market.quote import Quote
from aurora.quotes.base import PriorCloses, QuoteSource
from aurora.risk.caps import CapsCheck, check_caps
from aurora.risk.tripwires import TripwireLimits, check_prior_close, check_quote
from aurora.session.first_quotes import first_quotes
from aurora.session.services import Services
from aurora.session.settings import caps_of, tripwire_limits

LOOKS = 5
EVERY_S = 1.0


@dataclass(frozen=True)
class SymbolLook:
    """One symbol over all looks; the last bid and ask; the widest spread and the oldest quote; held looks."""

    symbol: str
    bid: Decimal | None
    ask: Decimal | None
    spread_bps: Decimal | None
    age_s: Decimal | None
    held: int


@dataclass(frozen=True)
class QuoteLook:
    """What the looks found.

    problems: symbols that no look found fit to decide on, with the last reason, and those that are far from their prior
    close (a split, a dividend: their old prices mean nothing); empty is good.

    realtime: the quotes are the venue's own, now. looks: how often each symbol was looked at, a second apart.
    """

    quotes: str
    realtime: bool
    looks: int
    symbols: list[SymbolLook]
    problems: list[str]
    widest_bps: Decimal | None
    oldest_s: Decimal | None


def look_at_quotes(services: Services, symbols: list[str], quotes: str, looks: int = LOOKS) -> QuoteLook:
    """Look `looks` times, a second apart, at the source `quotes`, and hold each symbol against the profile's tripwires.

    Raises UsageError or VenueRefusal when the source can't be opened or does not know a symbol.
    """
    if looks < 1:
        raise UsageError(f"looks was {looks}; one look is the least.")
    limits = tripwire_limits(services.profile)
    with closing(services.open_quotes(quotes)) as source:
        source.subscribe(symbols)
        tallies = {symbol: _Tally(symbol) for symbol in symbols}
        for number in range(looks):
            if number:
                source.clock.sleep(EVERY_S)
            now = source.clock.now()
            for symbol, quote in source.poll().items():
                tallies[symbol].add(quote, now, limits)
        seen = [tally.sum_up() for tally in tallies.values()]
        return QuoteLook(
            quotes=source.name,
            realtime=source.realtime,
            looks=looks,
            symbols=seen,
            problems=[tally.reason for tally in tallies.values() if tally.held == looks]
            + _check_closes(source, seen, Decimal(services.profile.risk.max_prior_close_gap_pct)),
            widest_bps=max((look.spread_bps for look in seen if look.spread_bps is not None), default=None),
            oldest_s=max((look.age_s for look in seen if look.age_s is not None), default=None),
        )


def _check_closes(source: QuoteSource, seen: list[SymbolLook], max_gap_pct: Decimal) -> list[str]:
    """Return whose mid is far from the prior close (rule 13); only real-time quotes must have one."""
    closes = source.prior_closes() if isinstance(source, PriorCloses) else {}
    if not (closes or source.realtime):
        return []
    found = [
        check_prior_close(look.symbol, (look.bid + look.ask) / 2, closes.get(look.symbol), max_gap_pct)
        for look in seen
        if look.bid is not None and look.ask is not None  # without two sides it is held, which is told already
    ]
    return [reason for reason in found if reason]


def check_caps_at_prices(services: Services, symbols: list[str], quotes: str) -> CapsCheck:
    """Hold the profile's caps against each other and against the asks that the source `quotes` has now."""
    with closing(services.open_quotes(quotes)) as source:
        source.subscribe(symbols)
        asks = {symbol: None if quote is None else quote.ask for symbol, quote in first_quotes(source).items()}
    return check_caps(caps_of(services.profile), asks)


@dataclass
class _Tally:
    """One symbol's looks so far."""

    symbol: str
    last: Quote | None = None
    held: int = 0
    reason: str = ""
    spreads: list[Decimal] = field(default_factory=list)
    ages: list[Decimal] = field(default_factory=list)

    def add(self, quote: Quote | None, now: datetime, limits: TripwireLimits) -> None:
        holds = check_quote(self.symbol, quote, now, limits)
        if holds:
            self.held += 1
            self.reason = holds[0].reason
        self.last = quote
        if quote is not None:
            self.ages.append(round(Decimal(str((now - quote.at).total_seconds())), 3))
            if quote.spread_bps is not None:
                self.spreads.append(round(quote.spread_bps, 2))

    def sum_up(self) -> SymbolLook:
        bid, ask = (None, None) if self.last is None else (self.last.bid, self.last.ask)
        widest, oldest = max(self.spreads, default=None), max(self.ages, default=None)
        return SymbolLook(self.symbol, bid, ask, widest, oldest, self.held)
