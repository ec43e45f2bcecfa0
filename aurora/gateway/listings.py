"""What can be traded at the gateway: US stocks by symbol and contract id, and their hours."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from aurora.market.calendar import session_hours
from aurora.market.hours import exchange_day, new_york
from aurora.market.instrument import Instrument

TIME_ZONE = "US/Eastern"
_DAYS_SHOWN = 6
_EXTENDED_OPEN_H = 4
_EXTENDED_CLOSE = timedelta(hours=4)
"""After the close, also after an early one."""
_KNOWN = {"SPY": (756733, "ARCA", "SPDR S&P 500 ETF TRUST"), "TSLA": (76792991, "NASDAQ", "TESLA INC")}


@dataclass(frozen=True)
class Listing:
    """A stock as IB names it: contract id, primary exchange and long name beside the instrument."""

    instrument: Instrument
    con_id: int
    primary_exchange: str
    long_name: str

    @property
    def symbol(self) -> str:
        """Return the symbol, which is also IB's local symbol of a US stock."""
        return self.instrument.symbol

    @property
    def tick(self) -> Decimal:
        """Return the minimum price increment in USD."""
        return self.instrument.tick


@dataclass(frozen=True)
class ContractQuery:
    """What a client wrote in a contract; empty and 0 match anything."""

    con_id: int = 0
    symbol: str = ""
    security_type: str = ""
    exchange: str = ""
    primary_exchange: str = ""
    currency: str = ""
    local_symbol: str = ""

    def matches(self, listing: Listing) -> bool:
        """Return whether `listing` is what the client may mean."""
        wanted = (
            (self.con_id, (0, listing.con_id)),
            (self.symbol, ("", listing.symbol)),
            (self.security_type, ("", "STK")),
            (self.exchange, ("", "SMART", listing.primary_exchange)),
            (self.primary_exchange, ("", listing.primary_exchange)),
            (self.currency, ("", listing.instrument.currency)),
            (self.local_symbol, ("", listing.symbol)),
        )
        named = bool(self.con_id or self.symbol or self.local_symbol)
        return named and all(value in options for value, options in wanted)


class Listings:
    """All stocks of a gateway, by symbol."""

    def __init__(self, symbols: Iterable[str]) -> None:
        self._by_symbol = {symbol: _list(symbol) for symbol in symbols}

    def __iter__(self) -> Iterator[Listing]:
        return iter(self._by_symbol.values())

    def __getitem__(self, symbol: str) -> Listing:
        return self._by_symbol[symbol]

    def find(self, query: ContractQuery) -> Listing | None:
        """Return the stock that `query` names, or None."""
        return next((listing for listing in self if query.matches(listing)), None)


def _list(symbol: str) -> Listing:
    con_id, exchange, name = _KNOWN.get(symbol) or (_con_id(symbol), "NYSE", f"{symbol} INC")
    return Listing(Instrument(symbol), con_id, exchange, name)


def _con_id(symbol: str) -> int:
    """Return the same nine-digit id for the same symbol, on every machine."""
    return 100_000_000 + int.from_bytes(hashlib.sha256(symbol.encode()).digest()[:4]) % 800_000_000


def trading_hours(now: datetime) -> str:
    """Return the hours with extended trading from `now`'s day on, in IB's form."""
    return _hours(exchange_day(now), extended=True)


def liquid_hours(now: datetime) -> str:
    """Return the regular hours from `now`'s day on, in IB's form: `20260105:0930-20260105:1600;20260110:CLOSED`."""
    return _hours(exchange_day(now), extended=False)


def _hours(first: date, *, extended: bool) -> str:
    return ";".join(_hours_of(first + timedelta(days=number), extended) for number in range(_DAYS_SHOWN))


def _hours_of(day: date, extended: bool) -> str:
    hours = session_hours(day)
    if hours is None:
        return f"{day:%Y%m%d}:CLOSED"
    opens, closes = (instant.astimezone(new_york()) for instant in hours)
    if extended:
        opens, closes = opens.replace(hour=_EXTENDED_OPEN_H, minute=0), closes + _EXTENDED_CLOSE
    return f"{day:%Y%m%d}:{opens:%H%M}-{day:%Y%m%d}:{closes:%H%M}"


def venue_time(instant: datetime) -> str:
    """Return `instant` as IB writes times: `20260105 09:35:00 US/Eastern`."""
    return f"{instant.astimezone(new_york()):%Y%m%d %H:%M:%S} {TIME_ZONE}"
