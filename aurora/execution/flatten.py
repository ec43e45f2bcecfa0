"""Flatten: cancel what works, then reduce every position step by step until the book is empty (trading rule 22)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from aurora.brokers.base import Broker
from aurora.errors import VenueRefusal
from aurora.execution.recovery import BETWEEN_READS_S, Inquiry
from aurora.execution.router import Decision, ExitRouter, Settlement
from aurora.market.instrument import Instrument
from aurora.market.order import Order, OrderState, OrderType, Side
from aurora.market.position import Position
from aurora.market.quote import Quote
from aurora.quotes.base import QuoteSource

LADDER_BPS = tuple(map(Decimal, (10, 25, 50, 100, 200)))
OLDEST_QUOTE = timedelta(seconds=5)
RUNG_S = 2.0
LOOK_S = 0.05
CENT = Decimal("0.01")
CANCELS_END_S = 2.0
PATIENCE_S = 60.0
ALARM_S = 60.0


@dataclass
class Flattening:
    """What a flatten did: whether the venue's book is empty now, the orders it sent, and why it is not empty.

    drift: how the record disagrees with a venue that says twice that nothing is held, in words; "" is agreement.
    """

    flat: bool = False
    decisions: list[Decision] = field(default_factory=list)
    settlements: list[Settlement] = field(default_factory=list)
    reason: str = ""
    drift: str = ""


@dataclass(frozen=True)
class _Book:
    """What the venue says at one moment of the symbols that are to be flat."""

    positions: Sequence[Position]
    working: Sequence[OrderState]

    @property
    def is_flat(self) -> bool:
        return not self.positions and not self.working

    @property
    def text(self) -> str:
        """Return what is left, in words."""
        held = [f"{position.quantity} {position.symbol}" for position in self.positions]
        orders = [
            f"a working order to {state.order.side} {state.unfilled} {state.order.symbol}" for state in self.working
        ]
        return ", ".join(held + orders)


@dataclass
class _Exit:
    """One symbol's way out: the next rung of the ladder, when it is due, and what it waits for."""

    rung: int = 0
    due_s: float = 0.0
    waits_for: str = ""


class Flatten:
    """One flatten, from the cancels to an empty book.

    run = _cancel → (_look → _reduce each position that is due → a short wait → settle)* → Flattening

    Limit orders, immediate or cancel, at the far touch plus or minus 10, 25, 50, 100, 200 bps, two seconds apart for
    each symbol; one without a two-sided quote younger than five seconds waits. An order never exceeds what the venue
    holds less what is on its way already, so no position changes its sign; one whose fate nobody knows counts as on its
    way until there is evidence (`Inquiry`). A venue that does not answer is asked again;
    nothing is taken for flat that it did not say.

    symbols:     what to flatten; None is the whole account, and cancels everything, whoever's it is.
    patience_s:  after how long it gives up and says what is left; None never.
    on_alarm:    told each minute what is left, while anything is.
    is_stopping: whether a person wants it to end.
    at_market:   whether a person wants market orders: at any price, also without a quote; a halt is still waited for.
    """

    def __init__(
        self,
        router: ExitRouter,
        broker: Broker,
        source: QuoteSource,
        next_ref: Callable[[], str],
        *,
        symbols: Collection[str] | None = None,
        patience_s: float | None = PATIENCE_S,
        on_alarm: Callable[[str], object] = lambda _: None,
        is_stopping: Callable[[], bool] = bool,
        at_market: bool = False,
    ) -> None:
        self._router = router
        self._broker = broker
        self._source = source
        self._clock = source.clock
        self._next_ref = next_ref
        self._symbols = symbols
        self._patience_s = patience_s
        self._on_alarm = on_alarm
        self._is_stopping = is_stopping
        self._at_market = at_market
        self._exits: dict[str, _Exit] = {}
        self._trouble = ""
        """Why the venue's word on the book could not be had, when it was asked last."""
        self._inquiry = Inquiry(router.orders, broker, self._clock)
        self._done = Flattening()

    def run(self) -> Flattening:
        """Flatten, and return what came of it."""
        began = alarmed = asked = self._clock.monotonic()
        book = self._cancel()
        while book is None or not book.is_flat:
            now = self._clock.monotonic()
            if self._is_stopping() or (self._patience_s is not None and now >= began + self._patience_s):
                break
            if now >= alarmed + ALARM_S:
                alarmed = now
                self._on_alarm(self._left(book))
            for position in () if book is None else book.positions:
                self._reduce(position)
            self._clock.sleep(LOOK_S)
            # Of orders that are not ours nobody tells that they have ended: that has to be asked for.
            is_due = book is not None and book.working and self._clock.monotonic() >= asked + RUNG_S
            if is_due:
                asked = self._clock.monotonic()
            book = self._look_anew() if is_due else self._look()
            if book is not None and book.is_flat:
                book = self._look_twice()  # what was heard says so; now the venue has to
        self._settle()
        self._done.flat = book is not None and book.is_flat
        if not self._done.flat:
            self._done.reason = f"left after {self._clock.monotonic() - began:.0f} s: {self._left(book)}"
        return self._done

    def _cancel(self) -> _Book | None:
        """Cancel what works, and give it a moment to end: an order that fills meanwhile is no order to send twice."""
        until = self._clock.monotonic() + CANCELS_END_S
        is_asked = False
        while True:
            try:
                if not is_asked:
                    self._ask_cancels()
                    is_asked = True
            except VenueRefusal as refusal:
                self._trouble = refusal.what
            book = self._look()
            if is_asked and book is not None and not book.working:
                return self._look_twice()
            if self._clock.monotonic() >= until:
                return book
            self._clock.sleep(LOOK_S)

    def _ask_cancels(self) -> None:
        if self._symbols is None:
            self._broker.cancel_all()
            return
        for state in self._broker.open_orders():
            if state.order.symbol in self._symbols:
                self._broker.cancel(state.order.ref)

    def _look(self) -> _Book | None:
        """Return what the venue says now; None when it does not."""
        self._settle()
        try:
            if self._router.orders.day.open_refs():
                self._inquiry.step()
            positions, working = self._broker.positions(), self._broker.open_orders()
        except VenueRefusal as refusal:
            self._trouble = refusal.what
            return None
        self._trouble = ""
        return _Book(
            [held for held in positions if held.quantity and self._is_ours(held.symbol)],
            [state for state in working if self._is_ours(state.order.symbol)],
        )

    def _look_anew(self) -> _Book | None:
        """Ask the venue for all of it, and return what it says then."""
        try:
            self._broker.refresh()
        except VenueRefusal as refusal:
            self._trouble = refusal.what
            return None
        return self._look()

    def _look_twice(self) -> _Book | None:
        """Ask the venue anew; once more, seconds later, when it holds less than the record: it may have told a part."""
        book = self._look_anew()
        if book is None or not book.is_flat or not self._recorded():
            return book
        self._clock.sleep(BETWEEN_READS_S)
        book = self._look_anew()
        if book is not None and book.is_flat and (recorded := self._recorded()):
            self._done.drift = f"the venue holds nothing, asked twice; the record adds up to {recorded}"
        return book

    def _recorded(self) -> str:
        """Return what the record says is held, in words; "" is nothing."""
        return self._router.orders.day.holdings_in_words(self._is_ours)

    def _is_ours(self, symbol: str) -> bool:
        return self._symbols is None or symbol in self._symbols

    def _reduce(self, position: Position) -> None:
        """Send the next order of a symbol's ladder, if it is due and there is a price to send it at."""
        exit_ = self._exits.setdefault(position.symbol, _Exit())
        if self._clock.monotonic() < exit_.due_s:
            return
        try:
            shares = self._router.reducible(position.symbol)
            if not shares:
                exit_.waits_for = "what was sent before has no end yet"
                return
            quote = self._source.poll().get(position.symbol)
            now = self._clock.now()
            why = why_no_price(quote, now)
            exit_.waits_for = "it is halted" if quote is not None and quote.halted else "" if self._at_market else why
            if exit_.waits_for:
                return
            rung = LADDER_BPS[exit_.rung]
            if self._at_market:
                worth = position.average_cost if why or quote is None or quote.mid is None else quote.mid
                order = market_order(self._next_ref(), position.symbol, shares, now, worth)
            else:
                assert quote is not None
                order = exit_order(self._next_ref(), shares, quote, now, rung)
            decision = self._router.reduce(order, quote, rung)
        except VenueRefusal as refusal:
            exit_.waits_for = refusal.what
            return
        finally:
            exit_.due_s = max(exit_.due_s, self._clock.monotonic() + LOOK_S)
        self._done.decisions.append(decision)
        exit_.due_s = self._clock.monotonic() + RUNG_S
        exit_.waits_for = "" if decision.passed else decision.reason
        if decision.passed:
            exit_.rung = min(exit_.rung + 1, len(LADDER_BPS) - 1)

    def _settle(self) -> None:
        try:
            settlement = self._router.settle()
        except VenueRefusal as refusal:
            self._trouble = refusal.what
            return
        if settlement != Settlement():
            self._done.settlements.append(settlement)

    def _left(self, book: _Book | None) -> str:
        if book is None:
            return f"unknown, since the venue did not say: {self._trouble}"
        waits = [(position.symbol, self._exits.get(position.symbol, _Exit()).waits_for) for position in book.positions]
        return "; ".join([book.text, *(f"{symbol}: {why}" for symbol, why in waits if why)])


def flatten_book(router: ExitRouter, broker: Broker, source: QuoteSource, next_ref: Callable[[], str], *,
                 patience_s: float | None = PATIENCE_S) -> Flattening:  # fmt: skip
    """Flatten a session's whole book; see `Flatten`."""
    return Flatten(router, broker, source, next_ref, patience_s=patience_s).run()


def exit_order(ref: str, shares: int, quote: Quote, now: datetime, rung_bps: Decimal) -> Order:
    """Return the order that takes `shares` (signed, as held) out at the far touch ± `rung_bps`."""
    side = Side.SELL if shares > 0 else Side.BUY
    touch, mid = quote.far_touch(side)[0], quote.mid
    assert touch is not None
    assert mid is not None
    limit = Instrument(quote.symbol).round_passively(touch * (1 + side.sign * rung_bps / 10_000), side)
    return Order(ref, quote.symbol, side, abs(shares), limit, now, mid)


def market_order(ref: str, symbol: str, shares: int, now: datetime, worth: Decimal) -> Order:
    """Return the market order that takes `shares` (signed, as held) out, valued at `worth` USD a share."""
    side = Side.SELL if shares > 0 else Side.BUY
    worth = max(worth, CENT)  # what was had for nothing is worth something to the book
    return Order(ref, symbol, side, abs(shares), worth, now, worth, OrderType.MARKET)


def why_no_price(quote: Quote | None, now: datetime) -> str:
    """Return why no order can be priced on `quote`, or "" when one can."""
    if quote is None:
        return "it has no quote"
    if quote.halted:
        return "it is halted"
    if any(price is None or not price.is_finite() or price <= 0 for price in (quote.bid, quote.ask)):
        return "its quote is not two-sided"
    assert quote.bid is not None
    assert quote.ask is not None
    if quote.bid > quote.ask:
        return "its quote is crossed"
    age = now - quote.at
    if age > OLDEST_QUOTE:
        return f"its quote is {age.total_seconds():.1f} s old, limit {OLDEST_QUOTE.total_seconds():g} s"
    return ""
