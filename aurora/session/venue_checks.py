"""Probes of the venue's set-up: what TWS's or IB Gateway's dialogs say, as far as it can be asked over the wire.

Each returns what it found and `problems`, in words that say what to click or type; empty is good. What is silent, late
or refused is a problem. What can't be asked (order precautions, presets, Master Client ID, trusted addresses, the hour
of the nightly restart) a person confirms in go-live.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal

from aurora.brokers.base import ProbedBroker
from aurora.errors import AuroraError, ProfileError, VenueRefusal, VenueSilent
from aurora.market.link import link_state_of
from aurora.market.quote import Quote
from aurora.session.first_quotes import PATIENCE_S, first_quotes
from aurora.session.services import Services

READ_ONLY = "clear Read-Only API in TWS: Global Configuration, API, Settings"
PERMISSION = "ask for trading permissions in Client Portal: Settings, Trading Permissions"
DIALOG = (
    "close what TWS shows, and set Bypass Order Precautions for API Orders in Global Configuration, API, Precautions"
)
SUBSCRIBE = (
    "subscribe in Client Portal: Settings, Market Data Subscriptions; a paper account has the data of its live one only"
    " when sharing is on there"
)
COMPETING = "end the other login of this user (mobile, web, a second TWS)"
NO_QUOTE = "look whether the exchange is open, and whether TWS itself shows a bid and an ask"
_REMEDIES = {"321": READ_ONLY, "203": PERMISSION, "460": PERMISSION}


@dataclass(frozen=True)
class VenueReached:
    """What answers at the profile's address. broker: the account that it manages; empty when nothing usable does."""

    venue: str
    broker: str
    problems: list[str]


@dataclass(frozen=True)
class SymbolData:
    """The first two-sided quote of a symbol, in USD; null where none came."""

    symbol: str
    bid: Decimal | None
    ask: Decimal | None


@dataclass(frozen=True)
class MarketData:
    """Whether each symbol's data is subscribed to and real-time. delayed: whose is not, and the venue's word on it."""

    symbols: list[SymbolData]
    delayed: str
    problems: list[str]


@dataclass(frozen=True)
class SymbolTerms:
    """How the venue takes orders of a symbol. tick: USD. min_size, size_increment: shares."""

    symbol: str
    tick: Decimal
    min_size: Decimal
    size_increment: Decimal


@dataclass(frozen=True)
class VenueTerms:
    """How the venue takes orders: one whole share of each symbol has to do."""

    symbols: list[SymbolTerms]
    problems: list[str]


@dataclass(frozen=True)
class OrdersTaken:
    """Whether orders would be taken: a what-if order of one share each, far below the bid, of which nothing stays.

    open_orders: how many the account has after the probes; anything but 0 is not what a probe may leave.
    """

    probed: list[str]
    open_orders: int
    problems: list[str]


def reach_venue(services: Services) -> VenueReached:
    """Connect as the profile says: the API is on, and port, account and profile are of one kind."""
    with ExitStack() as stack:
        try:
            broker, _ = services.open_probe(stack)
        except (ProfileError, VenueRefusal) as refusal:
            return VenueReached(str(services.profile.venue), "", [_in_one_line(refusal)])
        return VenueReached(str(services.profile.venue), broker.name, [])


def look_at_market_data(services: Services, symbols: Sequence[str]) -> MarketData:
    """Subscribe to each symbol on the account, and wait for a two-sided, real-time quote of it.

    Raises ProfileError or VenueRefusal when the account can't be reached.
    """
    with ExitStack() as stack:
        _, source = services.open_probe(stack)
        source.subscribe(symbols)
        quotes = first_quotes(source)
        line = link_state_of(source)
        problems = [f"not real-time: {line.delayed}; {SUBSCRIBE}"] if line.delayed else []
        if line.down:
            problems.append(_why_down(line.down))
        seen = [
            SymbolData(symbol, None, None) if quote is None else SymbolData(symbol, quote.bid, quote.ask)
            for symbol, quote in quotes.items()
        ]
        silent = [look.symbol for look in seen if look.bid is None or look.ask is None]
        if silent and not problems:
            problems.append(f"no bid and ask within {PATIENCE_S:g} s: {', '.join(silent)}; {NO_QUOTE}")
        return MarketData(seen, line.delayed, problems)


def read_terms(services: Services, symbols: Sequence[str]) -> VenueTerms:
    """Ask how the venue takes orders of each symbol. Raises ProfileError or VenueRefusal."""
    found, problems = list[SymbolTerms](), list[str]()
    with ExitStack() as stack:
        broker, _ = services.open_probe(stack)
        for symbol in symbols:
            try:
                terms = broker.terms(symbol)
            except VenueRefusal as refusal:
                problems.append(_in_one_line(refusal))
                continue
            found.append(SymbolTerms(symbol, terms.tick, terms.min_size, terms.size_increment))
            if terms.min_size > 1 or 1 % (terms.size_increment or 1):
                problems.append(
                    f"{symbol} is taken from {terms.min_size} shares on, in steps of {terms.size_increment}: not one "
                    "share at a time; leave the symbol out"
                )
    return VenueTerms(found, problems)


def probe_orders(services: Services, symbols: Sequence[str]) -> OrdersTaken:
    """Ask what one share of each symbol would cost at half its bid, send no order, and see that none is open.

    Raises ProfileError or VenueRefusal when the account can't be reached, or when a question was taken for an order.
    """
    with ExitStack() as stack:
        broker, source = services.open_probe(stack)
        source.subscribe(symbols)
        problems = []
        for symbol, quote in first_quotes(source).items():
            why = _why_refused(broker, symbol, quote)
            if why:
                problems.append(f"{symbol}: {why}")
        broker.refresh()
        return OrdersTaken(list(symbols), len(broker.open_orders()), problems)


def _why_refused(broker: ProbedBroker, symbol: str, quote: Quote | None) -> str:
    """Return why an order of `symbol` would be refused; empty when it would be taken."""
    if quote is None or quote.bid is None:
        return f"no bid within {PATIENCE_S:g} s, so the probe has no price; {NO_QUOTE}"
    try:
        said = broker.what_if(symbol, quote.bid)
    except VenueSilent as silence:
        return f"{silence.what.rstrip('.')}; {DIALOG}"
    remedy = _REMEDIES.get(said.partition(":")[0], "see TWS's API settings and the account's permissions")
    return f"an order would be refused, {said}; {remedy}" if said else ""


def _why_down(down: str) -> str:
    is_competing = any(code in down for code in ("10185", "10197", "10225"))
    return f"no market data: {down}; {COMPETING if is_competing else NO_QUOTE}"


def _in_one_line(error: AuroraError) -> str:
    return f"{error.what.rstrip('.')}; {error.todo}" if error.todo else error.what
