"""The gateway without its sockets: sessions, the venue, the feed, and the clock that moves them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from aurora.clock import SystemClock
from aurora.gateway import messages, order_layout
from aurora.gateway.account import Account
from aurora.gateway.account_reports import REFRESH_S, AccountReports
from aurora.gateway.feed import Feed
from aurora.gateway.hooks import Hooks, NoFaults
from aurora.gateway.listings import Listings
from aurora.gateway.messages import Message
from aurora.gateway.orders import Execution, VenueOrder
from aurora.gateway.session import Line, Session
from aurora.gateway.settings import Settings
from aurora.gateway.timers import Timers
from aurora.gateway.venue import Venue
from aurora.gateway.wire import Fields
from aurora.market.position import Position
from aurora.quotes.base import QuoteSource

_WELCOME = ((2104, "Market data farm connection is OK:usfarm"),
            (2106, "HMDS data farm connection is OK:ushmds"),
            (2158, "Sec-def data farm connection is OK:secdefil"))  # fmt: skip


@dataclass(frozen=True)
class Call:
    """One request to serve: who asked, and the fields behind the message id."""

    gateway: Gateway
    session: Session
    fields: Fields


class Gateway:
    """Clients come and go, the venue stays: connect → requests → step … → disconnect.

    source: quotes, on a clock of their own that `step` moves. symbols: what is listed.
    """

    def __init__(self, source: QuoteSource, symbols: tuple[str, ...], settings: Settings, seed: int) -> None:
        self.settings = settings
        self.listings = Listings(symbols)
        self.feed = Feed(source, self.listings, seed)
        self.timers = Timers(source.clock.monotonic)
        shown = SystemClock().now() if settings.wall_clock else source.clock.now()
        self._offset = shown - source.clock.now()
        self.clock_skew = timedelta(0)
        self.sessions: dict[int, Session] = {}
        self.link_up = True
        self.farm_up = True
        self.competing = False
        self.entitled = self.settings.entitled
        self.closed_for_restart = False
        self.drop_connections: Callable[[str], None] | None = None
        start = {
            each.symbol: Position(each.symbol, each.quantity, each.average_cost) for each in self.settings.positions
        }
        account = Account(self.settings.account, self.settings.cash, start, self.settings.day_trades)
        self.venue = Venue(account, self, self.now, seed)
        self.reports = AccountReports(self.venue, self.listings, self.now)
        self._source = source
        self._held: list[Callable[[], None]] = []
        self.faults: Hooks = NoFaults()
        self.timers.after(REFRESH_S, self._refresh_accounts)
        self.quote()

    def now(self) -> datetime:
        """Return the venue's clock, aware UTC."""
        return self._source.clock.now() + self._offset

    # ── Time ─────────────────────────────────────────────────────────────────────────────────────────────────────────
    def step(self, seconds: float) -> None:
        """Let `seconds` pass at the venue: quotes move, orders meet them, what is due happens."""
        self._source.clock.sleep(seconds)
        self.timers.run_due()
        self.quote()

    def quote(self) -> None:
        """Take the quotes as they are now: the book meets them, subscribers see them."""
        for quote in self.feed.step():
            self.venue.on_quote(quote)
        if self.link_up and self.farm_up:
            for session in self.all_sessions():
                for request_id in list(session.subscriptions):
                    self.send_ticks(session, request_id)

    def send_ticks(self, session: Session, request_id: int) -> None:
        """Send what a subscription has not seen yet."""
        subscription = session.subscriptions[request_id]
        symbol = subscription.stock.symbol
        for tick in subscription.ticks(self.feed.quotes.get(symbol), self.feed.tapes[symbol], self.now()):
            session.send(tick)

    # ── Sessions ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def all_sessions(self) -> tuple[Session, ...]:
        """Return the sessions by client id, so that every run serves them in one order."""
        return tuple(self.sessions[client_id] for client_id in sorted(self.sessions))

    def open_session(self, client_id: int, version: int, line: Line) -> Session | None:
        """Open a session, or refuse a client id that is in use (326) and return None."""
        session = Session(client_id, version, line, self._filter)
        if client_id in self.sessions:
            text = "Unable to connect as the client id is already in use. Retry with a unique client id."
            session.transmit(messages.error(messages.NO_REQUEST, 326, text))
            line.close(f"client id {client_id} is in use")
            return None
        self.sessions[client_id] = session
        session.send(messages.managed_accounts(self.venue.account.name))
        session.send(messages.next_valid_id(self.venue.next_order_id(client_id)))
        for code, text in _WELCOME:
            session.send(messages.error(messages.NO_REQUEST, code, text))
        self.faults.on_connect(session)
        return session

    def _filter(self, session: Session, message: Message) -> None:
        self.faults.filter(session, message)

    def end_session(self, session: Session) -> None:
        """Forget a session; its orders stay."""
        session.ended = True
        if self.sessions.get(session.client_id) is session:
            del self.sessions[session.client_id]

    def notify(self, code: int, text: str) -> None:
        """Send a system message to everybody."""
        for session in self.all_sessions():
            session.send(messages.error(messages.NO_REQUEST, code, text))

    # ── The link to IB ───────────────────────────────────────────────────────────────────────────────────────────────
    def when_linked(self, action: Callable[[], None]) -> None:
        """Do `action` now, or when the link to IB is back: TWS holds orders and cancels so long."""
        if self.link_up:
            action()
        else:
            self._held.append(action)

    def link_restored(self, *, lost: bool) -> None:
        """Restore the link; with `lost`, clients must subscribe to market data again."""
        self.link_up = True
        if lost:
            for session in self.all_sessions():
                session.subscriptions.clear()
        held, self._held = self._held, []
        for action in held:
            action()

    # ── What the venue tells ─────────────────────────────────────────────────────────────────────────────────────────
    def order_changed(self, order: VenueOrder) -> None:
        """Tell an order's client how it stands; what happens while the link is down is not told later."""
        if not self.link_up:
            return
        for session in self.listeners(order):
            session.send(order_layout.open_order(order, session.version))
            session.send(messages.order_status(order))

    def executed(self, fill: Execution) -> None:
        """Tell of a fill and its commission: the order's client, and the master client."""
        self.corrected(fill)
        self.faults.on_fill(fill)

    def corrected(self, fill: Execution) -> None:
        """Tell of a fill that is another one now; it is told as every fill is."""
        if self.link_up:
            for session in self.listeners(fill.order, master=True):
                session.send(messages.execution(messages.NO_REQUEST, fill, session.version))
                session.send(messages.commission_report(fill))
            for session in self.all_sessions():
                self.reports.position_changed(session, fill.order.listing.symbol)

    def listeners(self, order: VenueOrder, *, master: bool = False) -> Iterator[Session]:
        """Yield the sessions that hear of an order: manual orders go to client 0 when it asked to bind them."""
        for session in self.all_sessions():
            own = session.client_id == order.client_id and (not order.is_manual or session.auto_bind)
            if own or (master and session.client_id == self.settings.master_client_id):
                yield session

    def _refresh_accounts(self) -> None:
        self.timers.after(REFRESH_S, self._refresh_accounts)
        if self.link_up:
            for session in self.all_sessions():
                self.reports.refresh(session)
