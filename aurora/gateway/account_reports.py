"""What clients are told of the account: its values, its portfolio, and every change of a position."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal

from aurora.gateway import messages
from aurora.gateway.account import BASE, WORDS
from aurora.gateway.listings import Listings
from aurora.gateway.session import Session
from aurora.gateway.venue import Venue
from aurora.market.position import Position

REFRESH_S = 180
"""IB sends account values every three minutes, and positions when they change."""

_PRICE = Decimal("0.0001")


class AccountReports:
    """Sends the account of a venue to the sessions that asked for it."""

    def __init__(self, venue: Venue, listings: Listings, now: Callable[[], datetime]) -> None:
        self._venue = venue
        self._listings = listings
        self._now = now

    def send_updates(self, session: Session) -> None:
        """Send account values and portfolio."""
        account = self._venue.account
        for tag, value, currency in self._values():
            session.send(messages.account_value(tag, value, currency, account.name))
        for held in account.positions():
            self._send_portfolio(session, held)
        session.send(messages.account_time(self._now()))

    def send_summary(self, session: Session, request_id: int) -> None:
        """Send the values that a summary asked for."""
        tags = session.summaries[request_id]
        for tag, value, currency in self._values():
            if tag in tags or "All" in tags:
                session.send(messages.account_summary(request_id, self._venue.account.name, tag, value, currency))

    def send_multi(self, session: Session, request_id: int) -> None:
        """Send the values to a request for account updates of its own."""
        for tag, value, currency in self._values():
            session.send(messages.account_update_multi(request_id, self._venue.account.name, tag, value, currency))

    def send_position(self, session: Session, held: Position) -> None:
        """Send one position."""
        session.send(messages.position(self._venue.account.name, self._listings[held.symbol], held))

    def refresh(self, session: Session) -> None:
        """Send a session again what it subscribed to."""
        if session.account_updates:
            self.send_updates(session)
        for request_id in session.summaries:
            self.send_summary(session, request_id)
        for request_id in sorted(session.multi_updates):
            self.send_multi(session, request_id)

    def position_changed(self, session: Session, symbol: str) -> None:
        """Tell a session that subscribed to it how a position is now."""
        held = self._venue.account.held(symbol)
        if session.positions:
            self.send_position(session, held)
        if session.account_updates:
            self._send_portfolio(session, held)

    def _values(self) -> Iterator[tuple[str, str, str]]:
        words = {**WORDS, "DayTradesRemaining": str(self._venue.account.day_trades)}
        for tag, value in words.items():
            yield tag, value, ""
        for tag, value in self._venue.account.values(self._venue.prices()).items():
            yield tag, value, BASE

    def _send_portfolio(self, session: Session, held: Position) -> None:
        account = self._venue.account
        price = self._venue.prices().get(held.symbol, held.average_cost).quantize(_PRICE)
        stock = self._listings[held.symbol]
        session.send(messages.portfolio_value(account.name, stock, held, price, account.realized(held.symbol)))
