"""Steps that look at the venue: what the account holds, its clock, and its settings as far as the wire tells them."""

from __future__ import annotations

from aurora.engine.context import Context
from aurora.engine.registry import step
from aurora.session.account import Account, VenueClock, read_account, read_venue_clock
from aurora.session.services import Services
from aurora.session.venue_checks import (
    MarketData,
    OrdersTaken,
    VenueReached,
    VenueTerms,
    look_at_market_data,
    probe_orders,
    reach_venue,
    read_terms,
)


@step(repeat="safe", venue=True)
def positions_and_cash(context: Context[Services], recording: str = "") -> Account:
    """Ask the venue for positions, working orders and cash."""
    return read_account(context.services, recording)


@step(repeat="safe", venue=True)
def clock(context: Context[Services]) -> VenueClock:
    """Hold the machine's clock against the venue's."""
    return read_venue_clock(context.services)


@step(repeat="safe", venue=True)
def reach(context: Context[Services]) -> VenueReached:
    """Connect to TWS or IB Gateway: the API is on, and port, account and profile are of one kind."""
    return reach_venue(context.services)


@step(repeat="safe", venue=True)
def market_data(context: Context[Services], symbols: list[str]) -> MarketData:
    """Look whether the account has real-time quotes of each symbol, and no other login takes them."""
    return look_at_market_data(context.services, symbols)


@step(repeat="safe", venue=True)
def terms(context: Context[Services], symbols: list[str]) -> VenueTerms:
    """Look whether the venue knows each symbol, and takes orders of one share of it."""
    return read_terms(context.services, symbols)


@step(repeat="safe", venue=True)
def orders_taken(context: Context[Services], symbols: list[str]) -> OrdersTaken:
    """Ask by what-if orders whether orders would be taken (Read-Only API is off), and see that none is open after."""
    return probe_orders(context.services, symbols)
