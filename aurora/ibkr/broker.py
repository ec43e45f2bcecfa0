"""The broker of an IBKR account: the `Broker` port over one connection."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from operator import methodcaller
from typing import Any, TypeVar

from aurora.brokers.base import LastLook, Terms, no_objection
from aurora.clock import Clock, SystemClock
from aurora.errors import VenueRefusal
from aurora.ibkr.connection import Connection
from aurora.ibkr.contracts import Contracts, Listed, UnsendableOrder
from aurora.ibkr.governor import Urgency
from aurora.ibkr.library import library
from aurora.ibkr.order_book import OrderBook
from aurora.ibkr.what_if import WhatIf
from aurora.market.link import LinkState
from aurora.market.order import Fill, Order, OrderState, OrderStatus, OrderType, Side
from aurora.market.position import Position

CASH_TAGS = ("SettledCash", "TotalCashBalance", "CashBalance", "TotalCashValue")
"""Account values that are cash in USD; the first that is told counts."""
DAY_TRADES = "DayTradesRemaining"
SAFE_SHARE = Decimal("0.5")
"""A what-if probe is priced at half the bid: it could not trade even if it were an order."""
T = TypeVar("T")


class IbkrBroker:
    """One account. Reads tell what was last heard; `refresh` asks for all of it anew, to each end marker.

    Positions, orders, executions and cash are the venue's word of this epoch; before it has said all of it, they are
    refused, not guessed.
    """

    def __init__(self, connection: Connection, contracts: Contracts, clock: Clock | None = None) -> None:
        self.connection = connection
        self.name = f"ibkr {connection.address.account}"
        self._contracts = contracts
        self._clock = clock or SystemClock()
        self._book = OrderBook(connection.address.client_id, self._clock.now)
        self._positions: dict[str, Position] = {}
        self._told: dict[str, Position] = {}
        self._is_reading_positions = False
        self._values: dict[str, Decimal] = {}
        self._what_if = WhatIf(connection)
        self._day_trades: int | None = None
        self._is_whole = False
        self._time: tuple[int, float] = (0, 0.0)
        self._odd = ""
        connection.on_epoch.append(self._read_all)
        self._listen()

    def _listen(self) -> None:
        on, connection, book = self.connection.events.on, self.connection, self._book
        on("openOrder", self._guarded(book.on_open_order))
        on("completedOrder", self._guarded(book.on_completed_order))
        on("orderStatus", self._guarded(book.on_status))
        on("execDetails", self._guarded(book.on_execution))
        on("commissionReport", self._guarded(book.on_commission))
        on("error", book.on_error)
        on("lost", self._on_lost)
        on("position", self._guarded(self._on_position))
        on("positionEnd", self._on_position_end)
        on("updateAccountValue", self._guarded(self._on_value))
        on("currentTime", self._on_time)
        for end in ("openOrderEnd", "completedOrdersEnd"):
            on(end, lambda end=end: connection.answered(end))
        on("execDetailsEnd", lambda id_: connection.answered(("executions", id_)))
        on("accountDownloadEnd", lambda _: connection.answered("account"))

    def _guarded(self, listener: Any) -> Any:
        """Return a listener whose trouble is not lost in the library: what can't be read makes the link doubtful."""

        def take(*values: Any) -> None:
            try:
                listener(*values)
            except (ValueError, KeyError, ArithmeticError, AttributeError, TypeError) as error:
                self.connection.events.emit("malformed", f"{type(error).__name__}: {error}")

        return take

    # the port

    def place_order(self, order: Order, last_look: LastLook = no_objection) -> OrderState:
        """Send `order`, immediate or cancel, in regular hours; the venue's word on it comes later."""
        if self._book.knows(order.ref):
            raise VenueRefusal(
                f"The order {order.ref} was placed before.",
                means="a second one might trade twice",
                todo="use a new ref",
            )
        return self._run(self._place(order, last_look))

    def cancel(self, ref: str) -> None:
        """Ask for the order's cancellation; one that nobody here can cancel by its number is left as it is."""
        number = self._book.order_id(ref)
        state = self._book.state(ref)
        if number is not None and (state is None or not state.status.is_final):
            self._run(self.connection.send(Urgency.CANCEL, lambda client: client.cancelOrder(number)))

    def cancel_all(self) -> None:
        """Cancel every working order of the account, whoever placed it."""
        self._run(self.connection.send(Urgency.CANCEL, lambda client: client.reqGlobalCancel()))

    def orders(self) -> Sequence[OrderState]:
        """Return every order that the venue told of, foreign ones and completed ones too."""
        return self._whole(lambda: tuple(self._book.states()))

    def order_state(self, ref: str) -> OrderState | None:
        """Return what became of one order, None when the venue has not told of it."""
        return self._whole(lambda: self._book.state(ref))

    def open_orders(self) -> Sequence[OrderState]:
        """Return the orders that may still fill."""
        return tuple(state for state in self.orders() if not state.status.is_final)

    def executions(self) -> Sequence[Fill]:
        """Return the executions of the day, oldest first, each in its latest revision."""
        return self._whole(lambda: tuple(sorted(self._book.fills(), key=lambda fill: fill.at)))

    def positions(self) -> Sequence[Position]:
        """Return the positions that are not zero."""
        return self._whole(lambda: tuple(held for held in self._positions.values() if held.quantity))

    def cash(self) -> Decimal:
        """Return cash in USD, settled where the venue tells that apart."""
        return self._whole(self._cash)

    def server_time(self) -> datetime:
        """Return the venue's own clock: the middle of the whole second, which is all that it tells."""
        self._run(self.connection.ask("currentTime", lambda client: client.reqCurrentTime()))
        return datetime.fromtimestamp(self._time[0] + 0.5, UTC)

    def opening_objection(self) -> str:
        """Return why nothing may be opened: a small margin account has no day trades left (rule 10); "" is no reason.

        -1 is without limit; one that tells none is taken to have none (which accounts TWS tells it of is not known).
        """
        left = self._whole(lambda: self._day_trades)
        return "" if left is None or left != 0 else "the account has no day trades left"

    def refresh(self) -> None:
        """Ask for everything anew, and return when each part has come to its end marker. Raises VenueRefusal."""
        self.connection.run(self._read_all(), self.connection.address.timeout_s * 6)

    def link_state(self) -> LinkState:
        """Return what is wrong with the line now; never waits."""
        return self.connection.link_state()

    def close(self) -> None:
        """Disconnect."""
        self.connection.close()

    def terms(self, symbol: str) -> Terms:
        """Return how the venue takes orders of `symbol`. Raises VenueRefusal when it does not know it."""
        listed = self._run(self._contracts.listed(symbol))
        return Terms(listed.tick, listed.min_size, listed.size_increment)

    def what_if(self, symbol: str, bid: Decimal) -> str:
        """Ask what a one-share order far below the bid would cost, send none, and return why orders would be refused.

        An empty answer means that orders are taken. Afterwards it is looked at that no order came of it. Raises
        VenueSilent when the question is not answered, VenueRefusal when it was taken for an order.
        """
        return self._run(self._probe(symbol, bid), self.connection.address.timeout_s * 4)

    # in the connection's thread

    def _run(self, work: Coroutine[Any, Any, T], timeout_s: float | None = None) -> T:
        return self.connection.run(work, timeout_s)

    def _whole(self, read: Callable[[], T]) -> T:
        """Return what `read` returns, read between two events, if the venue has told all of it.

        Not in the connection's thread: an order asks for a dozen reads before it may go, and each would wake it up.
        """
        with self.connection.events.lock:
            if self.connection.is_closed:
                raise VenueRefusal(f"The connection to {self.connection.address.shown} is closed.")
            if not self._is_whole:
                down = self.connection.link_state().down
                raise VenueRefusal(
                    f"The venue has not told all of the account{': ' + down if down else ''}.",
                    means="orders, positions and cash are not known, and nothing is assumed",
                    todo="wait for the connection, or look in TWS",
                )
            if self._odd:
                raise VenueRefusal(self._odd, means="Aurora trades whole US shares", todo="close it by hand in TWS")
            return read()

    async def _place(self, order: Order, last_look: LastLook) -> OrderState:
        try:
            listed = await self._contracts.listed(order.symbol)
            number = self.connection.new_id()
            made = _ib_order(order, listed, number, self.connection.address.account)
        except UnsendableOrder as refusal:  # not a byte of it went out: that is no doubt, but a no
            with self.connection.events.lock:
                return self._book.refuse(order, refusal.what)

        why = ""

        def send(client: Any) -> None:
            nonlocal why
            why = last_look()
            if why:
                return
            with self.connection.events.lock:
                self._book.sending(order, number)
            client.placeOrder(number, listed.contract, made)

        await self.connection.send(Urgency.ORDER, send)
        return OrderState(order, OrderStatus.WITHHELD if why else OrderStatus.PENDING, reason=why)

    async def _read_all(self) -> None:
        """Read orders, executions, positions and values, each to its end marker; only then is it whole."""
        connection, lock = self.connection, self.connection.events.lock
        with lock:
            self._book.read_begins()
        await connection.ask("openOrderEnd", lambda client: client.reqAllOpenOrders())
        number = connection.new_id()
        wanted = library().ExecutionFilter()
        await connection.ask(("executions", number), lambda client: client.reqExecutions(number, wanted))
        await connection.ask("completedOrdersEnd", lambda client: client.reqCompletedOrders(False))
        with lock:
            self._told, self._is_reading_positions = {}, True
        await connection.ask("positionEnd", lambda client: client.reqPositions())
        await connection.ask("account", lambda client: client.reqAccountUpdates(True, connection.address.account))
        with lock:
            self._book.read_ends()
            self._is_whole = True

    async def _probe(self, symbol: str, bid: Decimal) -> str:
        listed = await self._contracts.listed(symbol)
        price = (bid * SAFE_SHARE / listed.tick).to_integral_value() * listed.tick
        now = self._clock.now()
        probe = Order(f"what-if-{now:%H%M%S%f}", symbol, Side.BUY, 1, price, now, bid)
        number = self.connection.new_id()
        made = _ib_order(probe, listed, number, self.connection.address.account)
        before = {state.order.ref for state in self._book.states()}
        try:
            return await self._what_if.ask(number, listed.contract, made)
        finally:
            await self._read_all()
            await self._refuse_new_orders(symbol, before)

    async def _refuse_new_orders(self, symbol: str, before: set[str]) -> None:
        """Raise VenueRefusal for an order that was not there before a question was asked; send its cancellation."""
        new = {state.order.ref for state in self._book.states()} - before
        for ref in new:
            number = self._book.order_id(ref)
            if number is not None:
                await self.connection.send(Urgency.CANCEL, methodcaller("cancelOrder", number))
        if new:
            raise VenueRefusal(
                f"A what-if order of {symbol} became an order ({', '.join(sorted(new))}); its cancellation was sent.",
                means="TWS took a question for an order, or somebody else trades in the account",
                todo="look for it in TWS, and see its API settings",
            )

    def _on_lost(self) -> None:
        self._is_whole = False
        self._book.lost()

    def _on_position(self, account: str, contract: Any, quantity: float, average_cost: float) -> None:
        if account != self.connection.address.account:
            return
        number = Decimal(str(quantity))
        if contract.secType != "STK" or contract.currency != "USD" or number != number.to_integral_value():
            if number:
                self._odd = (
                    f"The account holds {quantity:g} {contract.symbol} ({contract.secType}, {contract.currency})."
                )
            return
        held = Position(contract.symbol, int(number), Decimal(str(average_cost)))
        (self._told if self._is_reading_positions else self._positions)[held.symbol] = held

    def _on_position_end(self) -> None:
        if self._is_reading_positions:
            self._positions, self._is_reading_positions = self._told, False
        self.connection.answered("positionEnd")

    def _on_value(self, tag: str, value: str, currency: str, account: str) -> None:
        if account != self.connection.address.account:
            return
        if tag in CASH_TAGS and currency == "USD":
            self._values[tag] = Decimal(value)
        elif tag == DAY_TRADES:
            self._day_trades = int(Decimal(value))

    def _cash(self) -> Decimal:
        for tag in CASH_TAGS:
            value = self._values.get(tag)
            if value is not None and value.is_finite():
                return value
        raise VenueRefusal("The venue told no cash in USD.", means="what can be bought is not known")

    def _on_time(self, seconds: int) -> None:
        self._time = (seconds, self._clock.monotonic())


def _ib_order(order: Order, listed: Listed, number: int, account: str) -> Any:
    """Return an order as the wire has it: limit or market, immediate or cancel, whole shares, regular hours."""
    is_limit = order.type is OrderType.LIMIT
    if is_limit and order.limit % listed.tick:
        raise UnsendableOrder(f"The limit {order.limit} of {order.ref} is not on the tick of {listed.tick} USD.")
    if Decimal(order.quantity) < listed.min_size:
        raise UnsendableOrder(f"{order.quantity} {order.symbol} is less than the venue takes: {listed.min_size}.")
    return library().Order(
        orderId=number,
        action=str(order.side),
        totalQuantity=float(order.quantity),
        orderType=str(order.type),
        **({"lmtPrice": float(order.limit)} if is_limit else {}),
        tif="IOC",
        account=account,
        orderRef=order.ref,
        outsideRth=False,
        transmit=True,
    )
