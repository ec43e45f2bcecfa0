"""What can go wrong: one class an action, and the table of their names. docs/gateway.md describes them for users."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Literal, Protocol

import msgspec

from aurora.gateway import data_requests, messages, order_layout
from aurora.gateway.bends import Bend
from aurora.gateway.messages import error
from aurora.gateway.moment import Moment
from aurora.gateway.orders import Terms, TimeInForce, VenueOrder
from aurora.market.order import OrderType, Side


class Action(Protocol):
    """Something that a rule does."""

    def act(self, moment: Moment) -> None:
        """Do it."""


class _Action(msgspec.Struct, forbid_unknown_fields=True):
    """Base of the actions: their fields are what a scenario may write, and nothing else."""


# ── Messages ─────────────────────────────────────────────────────────────────────────────────────────────────────────
class Notice(_Action):
    """Send an error or notice: to the client's order, to the client, or to everybody."""

    code: int
    text: str
    to: Literal["all", "client", "order"] = "all"

    def act(self, moment: Moment) -> None:
        """Send it."""
        if self.to == "all":
            moment.gateway.notify(self.code, self.text)
        elif moment.session is not None:
            about = moment.order_id if self.to == "order" else messages.NO_REQUEST
            moment.session.send(error(about, self.code, self.text))


class Drop(_Action):
    """Lose the next messages of a name (times 0: all of them)."""

    message: str
    times: int = 1
    client: int | None = None

    def act(self, moment: Moment) -> None:
        """Lose them from now on."""
        moment.bends.append(Bend(self.message, self.client, self.times or None, drop=True))


class Delay(_Action):
    """Send the next messages of a name `by_s` seconds late."""

    message: str
    by_s: float
    times: int = 1
    client: int | None = None

    def act(self, moment: Moment) -> None:
        """Delay them from now on."""
        moment.bends.append(Bend(self.message, self.client, self.times or None, delay_s=self.by_s))


class Repeat(_Action):
    """Send the next messages of a name `copies` times more."""

    message: str
    copies: int = 1
    times: int = 1
    client: int | None = None

    def act(self, moment: Moment) -> None:
        """Repeat them from now on."""
        moment.bends.append(Bend(self.message, self.client, self.times or None, copies=self.copies))


# ── Requests ─────────────────────────────────────────────────────────────────────────────────────────────────────────
class Reject(_Action):
    """Refuse the request with a code of IB's; nothing else comes of it."""

    code: int
    text: str

    def act(self, moment: Moment) -> None:
        """Refuse it."""
        moment.taken = True
        if moment.session is not None:
            moment.session.send(error(moment.order_id or messages.NO_REQUEST, self.code, self.text))


class Ignore(_Action):
    """Never answer the request."""

    def act(self, moment: Moment) -> None:
        """Take it away."""
        moment.taken = True


class Hold(_Action):
    """Handle the request `for_s` seconds later."""

    for_s: float

    def act(self, moment: Moment) -> None:
        """Put it off."""
        moment.taken = True
        moment.gateway.timers.after(self.for_s, moment.handle)


class NextId(_Action):
    """Tell the client a next valid order id, whatever it has used."""

    id: int

    def act(self, moment: Moment) -> None:
        """Tell it."""
        if moment.session is not None:
            moment.session.send(messages.next_valid_id(self.id))


# ── Connections ──────────────────────────────────────────────────────────────────────────────────────────────────────
class Reset(_Action):
    """Reset the client's socket: what was not sent yet is lost."""

    def act(self, moment: Moment) -> None:
        """Reset it."""
        if moment.session is not None:
            moment.session.line.reset("the scenario reset it")


class HalfOpen(_Action):
    """Say nothing more to the client and read nothing, with its socket open."""

    def act(self, moment: Moment) -> None:
        """Fall silent."""
        if moment.session is not None:
            moment.session.line.stall()


class Frames(_Action):
    """Send to the client in pieces of `size` bytes."""

    size: int

    def act(self, moment: Moment) -> None:
        """Cut from now on."""
        if moment.session is not None:
            moment.session.line.cut(max(1, self.size))


class Restart(_Action):
    """Drop every connection and accept none for `for_s` seconds: the nightly restart."""

    for_s: float

    def act(self, moment: Moment) -> None:
        """Begin the restart."""
        gateway = moment.gateway
        gateway.closed_for_restart = True
        if gateway.drop_connections is not None:
            gateway.drop_connections("the gateway restarts")

        def back() -> None:
            gateway.closed_for_restart = False

        gateway.timers.after(self.for_s, back)


class Link(_Action):
    """Lose the link between the gateway and IB (1100), or restore it: with data lost (1101) or kept (1102)."""

    state: Literal["down", "lost", "kept"]

    def act(self, moment: Moment) -> None:
        """Change it."""
        gateway = moment.gateway
        if self.state == "down":
            gateway.link_up = False
            gateway.notify(1100, "Connectivity between IB and Trader Workstation has been lost.")
            return
        code, kept = (1101, "lost") if self.state == "lost" else (1102, "maintained")
        gateway.notify(code, f"Connectivity between IB and Trader Workstation has been restored - data {kept}.")
        gateway.link_restored(lost=self.state == "lost")


class Farm(_Action):
    """Break the market data farm (2103), or mend it (2104)."""

    state: Literal["broken", "ok"]

    def act(self, moment: Moment) -> None:
        """Change it."""
        moment.gateway.farm_up = self.state == "ok"
        code = 2104 if self.state == "ok" else 2103
        moment.gateway.notify(code, f"Market data farm connection is {self.state.upper()}:usfarm")


# ── Data ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
class Data(_Action):
    """Switch what market data is served: real-time, delayed (10167, type 3), or none for a competing login (10197)."""

    state: Literal["real_time", "delayed", "competing"]

    def act(self, moment: Moment) -> None:
        """Switch it, for running subscriptions too."""
        gateway = moment.gateway
        gateway.competing = self.state == "competing"
        gateway.entitled = self.state != "delayed"
        for session in gateway.all_sessions():
            for subscription in list(session.subscriptions.values()):
                if gateway.competing:
                    del session.subscriptions[subscription.request_id]
                    text = "No market data during competing live session"
                    session.send(error(subscription.request_id, 10197, text))
                else:
                    data_requests.start(gateway, session, subscription)


class Freeze(_Action):
    """Let quotes stand still while volume ticks go on (`on: false` ends it)."""

    on: bool = True

    def act(self, moment: Moment) -> None:
        """Freeze or thaw."""
        moment.gateway.feed.volume_only = self.on


class BentQuote(_Action, kw_only=True):
    """Set fields of a symbol's quotes, for `for_s` seconds or for good; null is a side that is not there."""

    symbol: str
    bid: Decimal | msgspec.UnsetType | None = msgspec.UNSET
    ask: Decimal | msgspec.UnsetType | None = msgspec.UNSET
    bid_size: int | msgspec.UnsetType = msgspec.UNSET
    ask_size: int | msgspec.UnsetType = msgspec.UNSET
    halted: bool | msgspec.UnsetType = msgspec.UNSET
    for_s: float = 0.0

    def act(self, moment: Moment) -> None:
        """Bend the quotes, and show the first one at once."""
        gateway = moment.gateway
        names = ("bid", "ask", "bid_size", "ask_size", "halted")
        bent = {name: value for name in names if (value := getattr(self, name)) is not msgspec.UNSET}
        gateway.feed.bent[self.symbol] = bent

        def straighten() -> None:
            if gateway.feed.bent.get(self.symbol) is bent:
                del gateway.feed.bent[self.symbol]

        if self.for_s:
            gateway.timers.after(self.for_s, straighten)
        gateway.quote()


class ClockSkew(_Action):
    """Set the venue's clock, as reqCurrentTime reads it, off by `by_s` seconds."""

    by_s: float

    def act(self, moment: Moment) -> None:
        """Set it off."""
        moment.gateway.clock_skew = timedelta(seconds=self.by_s)


# ── Orders ───────────────────────────────────────────────────────────────────────────────────────────────────────────
class Fill(_Action):
    """Trade the order: `quantity` shares or all that is left, at `price` or its limit."""

    quantity: int | None = None
    price: Decimal | None = None

    def act(self, moment: Moment) -> None:
        """Trade it, when it still works."""
        order = moment.order_of()
        if order is None or order.status.is_done:
            return
        quote = moment.gateway.venue.book.quote(order.listing.symbol)
        touch = quote.far_touch(order.side)[0] if quote is not None else None
        price = self.price or order.terms.limit or touch
        if price is not None:
            moment.gateway.venue.fill(order, min(self.quantity or order.remaining, order.remaining), price)


class Correct(_Action):
    """Report the latest execution again, `by` USD a share higher, under the next execution id."""

    by: Decimal

    def act(self, moment: Moment) -> None:
        """Correct it."""
        executions = moment.gateway.venue.executions
        if executions:
            moment.gateway.venue.correct(executions[-1], executions[-1].price + self.by)


class ForeignOrder(_Action, kw_only=True):
    """Place an order that no client here sent: by hand in TWS (client 0, id 0), or from another client's session.

    completed: cancel it at once and send the completed order to everybody, unasked.
    """

    symbol: str
    side: Side
    quantity: int
    limit: Decimal | None = None
    client: int = 0
    order_id: int = 0
    ref: str = ""
    completed: bool = False

    def act(self, moment: Moment) -> None:
        """Place it."""
        venue, stock = moment.gateway.venue, moment.gateway.listings[self.symbol]
        kind = OrderType.MARKET if self.limit is None else OrderType.LIMIT
        terms = Terms(self.quantity, kind, self.limit, TimeInForce.DAY)
        if self.order_id:
            venue.use_order_id(self.client, self.order_id)
        order = venue.new_order(
            stock, self.side, terms, client_id=self.client, order_id=self.order_id, ref=self.ref
        )  # fmt: skip
        venue.place(order)
        if self.completed:
            self._complete(moment, order)

    @staticmethod
    def _complete(moment: Moment, order: VenueOrder) -> None:
        if not order.status.is_done:
            moment.gateway.venue.cancel(order)
        for session in moment.gateway.all_sessions():
            session.send(order_layout.completed_order(order, session.version))


ACTIONS: dict[str, type[Action]] = {
    "notice": Notice,
    "drop": Drop,
    "delay": Delay,
    "repeat": Repeat,
    "reject": Reject,
    "ignore": Ignore,
    "hold": Hold,
    "next_id": NextId,
    "reset": Reset,
    "half_open": HalfOpen,
    "frames": Frames,
    "restart": Restart,
    "link": Link,
    "farm": Farm,
    "data": Data,
    "freeze": Freeze,
    "quote": BentQuote,
    "clock_skew": ClockSkew,
    "fill": Fill,
    "correct": Correct,
    "order": ForeignOrder,
}
