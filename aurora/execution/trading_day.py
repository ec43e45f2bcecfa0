"""A trading day of one account, added up from its order journal: orders, fills, money, and what the limits count."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from aurora.clock import iso
from aurora.journal import Event
from aurora.market.order import Fill, Order, OrderState, OrderStatus, OrderType, Side
from aurora.risk.limits import DayUse, assumed_fee


@dataclass
class TradingDay:
    """What the journal says so far: apply(event)* → read; equal journals give equal days.

    orders:       by ref, in the order of their intents; UNKNOWN until the venue's answer is on record.
    fills:        by id, each in its latest revision.
    cash_usd:     what the fills brought and cost, fees included. holdings: signed shares by symbol.
    capital_usd:  frozen by the day's first session (trading rule 9); None before it.
    carried_pnl_usd: P&L of the days before. high_water_usd: the most that P&L ever was (since promotion or an unlock).
    unlocked:     which unlock the high-water mark was last begun anew for.
    held_at_intent: by ref, the signed shares of its symbol that were reckoned with when an order was meant.
    rejects:      the orders that the venue rejected.
    unresolved:   orders of earlier days whose end nobody knows, in words; a person's word ends them (trading rule 8).
    opened_at:    when the day's journal was begun.
    """

    use: DayUse = field(default_factory=DayUse)
    orders: dict[str, OrderState] = field(default_factory=dict)
    _filled: dict[str, int] = field(default_factory=dict)
    fills: dict[str, Fill] = field(default_factory=dict)
    holdings: dict[str, int] = field(default_factory=dict)
    cash_usd: Decimal = Decimal(0)
    capital_usd: Decimal | None = None
    carried_pnl_usd: Decimal = Decimal(0)
    high_water_usd: Decimal = Decimal(0)
    unlocked: str = ""
    last_prices: dict[str, Decimal] = field(default_factory=dict)
    held_at_intent: dict[str, int] = field(default_factory=dict)
    _fills_at_intent: dict[str, int] = field(default_factory=dict)
    """By ref, how many fills were on record when an order was meant."""
    rejects: set[str] = field(default_factory=set)
    unresolved: list[str] = field(default_factory=list)
    opened_at: str = ""

    def apply(self, event: Event) -> None:
        """Take one event of the journal in."""
        self.opened_at = self.opened_at or event.ts
        _APPLY.get(event.type, _ignore)(self, event.data)

    def open_refs(self) -> list[str]:
        """Return the orders whose end is not on record."""
        return [ref for ref, state in self.orders.items() if not state.status.is_final]

    def fees_missing(self) -> int:
        """Return how many fills have no commission on record yet."""
        return sum(fill.fee is None for fill in self.fills.values())

    def filled(self, ref: str) -> int:
        """Return the shares of an order that its fills add up to."""
        return self._filled.get(ref, 0)

    def held_after(self, ref: str) -> int:
        """Return the signed shares that were reckoned with when an order was meant, and what it filled since."""
        state = self.orders[ref]
        return self.held_at_intent[ref] + state.order.side.sign * max(state.filled, self.filled(ref))

    def holdings_in_words(self, counts: Callable[[str], bool] = lambda _: True) -> str:
        """Return what the record adds up to, of the symbols that count; "" is nothing."""
        return ", ".join(f"{shares} {symbol}" for symbol, shares in self.holdings.items() if shares and counts(symbol))

    def held_without(self, ref: str) -> frozenset[int]:
        """Return what the account may hold of an order's symbol now, if the order traded no more than its known fills.

        What was reckoned with when it was meant, and what traded since. Of an earlier order's fill that came on record
        later nobody knows whether the position had it already: the last of them may be missing, so it is all these
        numbers; and what the whole record adds up to is one, too.
        """
        symbol, refs = self.orders[ref].order.symbol, list(self.orders)
        earlier = set(refs[: refs.index(ref)])
        since = [fill for fill in list(self.fills.values())[self._fills_at_intent[ref] :] if fill.symbol == symbol]
        shares = self.held_at_intent[ref] + sum(_shares(fill) for fill in since if fill.ref not in earlier)
        found = {self.holdings.get(symbol, 0), shares}
        for fill in sorted((fill for fill in since if fill.ref in earlier), key=lambda fill: fill.at, reverse=True):
            shares += _shares(fill)
            found.add(shares)
        return frozenset(found)

    def pnl_usd(self, bids: Mapping[str, Decimal]) -> Decimal:
        """Return the day's own P&L after fees; holdings at their last valid bid, or the last price they traded at."""
        return self.cash_usd + sum(
            (shares * bids.get(symbol, self.last_prices[symbol]) for symbol, shares in self.holdings.items()),
            Decimal(0),
        )

    def total_pnl_usd(self, bids: Mapping[str, Decimal]) -> Decimal:
        """Return the P&L of this day and of those before it."""
        return self.carried_pnl_usd + self.pnl_usd(bids)

    def _begin(self, data: Mapping[str, Any]) -> None:
        self.carried_pnl_usd = Decimal(data["carried_pnl_usd"])
        self.high_water_usd = Decimal(data["high_water_usd"])
        self.unlocked = data["unlocked"]
        self.unresolved = list(data.get("unresolved", ()))

    def _resolve(self, _: Mapping[str, Any]) -> None:
        self.unresolved.clear()

    def _join(self, data: Mapping[str, Any]) -> None:
        self.capital_usd = Decimal(data["capital_usd"])

    def _mark(self, data: Mapping[str, Any]) -> None:
        self.high_water_usd = Decimal(data["pnl_usd"])
        self.unlocked = data["unlocked"]

    def _intend(self, data: Mapping[str, Any]) -> None:
        order = order_from_json(data)
        self.orders[order.ref] = OrderState(order, OrderStatus.UNKNOWN, reason="no answer is on record")
        self._fills_at_intent[order.ref] = len(self.fills)
        self.held_at_intent[order.ref] = data.get("held", self.holdings.get(order.symbol, 0))
        self.use.reserve(order, opens=data["opens"])

    def _state(self, data: Mapping[str, Any]) -> None:
        """Take an order's state in; what ended unfilled is given back, what its fills already showed is not."""
        state = replace(
            self.orders[data["ref"]], status=OrderStatus(data["status"]), filled=data["filled"], reason=data["reason"]
        )
        self.orders[data["ref"]] = state
        if state.status is OrderStatus.REJECTED:
            self.rejects.add(data["ref"])
        if state.status.is_final:
            self.use.count(state.order, max(state.filled, self.filled(state.order.ref)))

    def _fill(self, data: Mapping[str, Any]) -> None:
        """Take a fill in: a new one, a corrected one, or one whose commission has come."""
        fill = fill_from_json(data)
        if fill.id in self.fills:
            self._book(self.fills[fill.id], -1)
        self.fills[fill.id] = fill  # a corrected one keeps its place
        self._book(fill, 1)
        self.last_prices[fill.symbol] = fill.price
        state = self.orders.get(fill.ref)
        if state is not None and state.status.is_final:
            self.use.count(state.order, max(state.filled, self.filled(fill.ref)))

    def _lose_book(self, _: Mapping[str, Any]) -> None:
        self.cash_usd = self.pnl_usd({})
        self.holdings.clear()

    def _adopt(self, data: Mapping[str, Any]) -> None:
        """Take a position in that nothing explains: it is there, and costs the day nothing."""
        symbol, shares, price = data["symbol"], data["quantity"], Decimal(data["price"])
        self.holdings[symbol] = self.holdings.get(symbol, 0) + shares
        self.cash_usd -= shares * price
        self.last_prices.setdefault(symbol, price)

    def _book(self, fill: Fill, times: int) -> None:
        fee = assumed_fee(fill.quantity) if fill.fee is None else fill.fee
        shares = _shares(fill) * times
        self._filled[fill.ref] = self._filled.get(fill.ref, 0) + fill.quantity * times
        self.holdings[fill.symbol] = self.holdings.get(fill.symbol, 0) + shares
        self.cash_usd -= shares * fill.price + times * fee
        self.use.add_fee(times * fee)


def _ignore(_day: TradingDay, _data: Mapping[str, Any]) -> None:
    """An event that adds nothing up."""


_APPLY = {
    "day.opened": TradingDay._begin,
    "days.resolved": TradingDay._resolve,
    "session.joined": TradingDay._join,
    "high_water": TradingDay._mark,
    "book.lost": TradingDay._lose_book,
    "position.adopted": TradingDay._adopt,
    "order.intent": TradingDay._intend,
    "order.state": TradingDay._state,
    "fill": TradingDay._fill,
    "fill.corrected": TradingDay._fill,
    "fill.commission": TradingDay._fill,
}


def _shares(fill: Fill) -> int:
    return fill.side.sign * fill.quantity


def order_as_json(order: Order, *, opens: bool, held: int) -> dict[str, Any]:
    """Return an intent as JSON data."""
    return {**vars(order), "decided": iso(order.decided), "opens": opens, "held": held}


def order_from_json(data: Mapping[str, Any]) -> Order:
    """Return the order that `order_as_json` wrote."""
    return Order(
        ref=data["ref"],
        symbol=data["symbol"],
        side=Side(data["side"]),
        quantity=data["quantity"],
        limit=Decimal(data["limit"]),
        decided=datetime.fromisoformat(data["decided"]),
        decision_mid=Decimal(data["decision_mid"]),
        type=OrderType(data.get("type", OrderType.LIMIT)),
    )


def fill_from_json(data: Mapping[str, Any]) -> Fill:
    """Return the fill whose fields `vars` gave to the journal."""
    return Fill(
        ref=data["ref"],
        symbol=data["symbol"],
        side=Side(data["side"]),
        quantity=data["quantity"],
        price=Decimal(data["price"]),
        fee=None if data["fee"] is None else Decimal(data["fee"]),
        at=datetime.fromisoformat(data["at"]),
        execution_id=data["execution_id"],
        revision=data["revision"],
    )
