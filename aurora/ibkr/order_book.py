"""Aurora's own book of orders at the venue, fed by raw events and keyed by orderRef and permId.

    sent → (openOrder, orderStatus, error, execution)* → a state that is final by evidence

An order is FILLED or CANCELLED only when the executions that came add up to what its status says; a fill that is told
of before its status, or after the cancel, is a fill. What a notice or a lost connection leaves open is UNKNOWN, and
stays so until the venue tells of the order again (trading rule 8).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from aurora.ibkr.codes import Meaning, meaning
from aurora.market.order import Fill, Order, OrderState, OrderStatus, Side

_WORKING = ("ApiPending", "PendingSubmit", "PreSubmitted", "Submitted", "PendingCancel")
_CANCELLED = ("Cancelled", "ApiCancelled")
_SIDES = {"BOT": Side.BUY, "BUY": Side.BUY, "SLD": Side.SELL, "SELL": Side.SELL, "SSHORT": Side.SELL}


@dataclass
class _Known:
    """One order, as it is known: ours by its ref, somebody else's by its permId."""

    order: Order
    is_ours: bool
    order_id: int = 0
    perm_id: int = 0
    client_id: int = 0
    status: str = ""
    filled: int = 0
    reason: str = ""
    rejected: bool = False
    doubtful: bool = False
    """Whether a notice, or a lost connection, left open what became of it."""
    absent: bool = False
    """Whether a full read that began after it was sent did not tell of it."""
    told: bool = False
    """Whether the venue ever told of it."""
    state: OrderState | None = None
    state_facts: tuple[object, ...] = ()


@dataclass
class OrderBook:
    """Every order that this connection sent or heard of.

    client_id: ours; other clients' orders, and those of a person in TWS, are foreign.
    is_whole:  what the venue says is taken for the whole truth only after all of it was read.
    """

    client_id: int
    now: Callable[[], datetime]
    _orders: dict[str, _Known] = field(default_factory=dict)
    _fills: dict[str, Fill] = field(default_factory=dict)
    _executed: dict[str, int] = field(default_factory=dict)
    """By ref, the shares that its fills add up to."""
    _by_id: dict[int, str] = field(default_factory=dict)
    _by_perm: dict[int, str] = field(default_factory=dict)
    _fees: dict[str, Decimal] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)
    _asked_about: set[str] = field(default_factory=set)

    # what we do

    def sending(self, order: Order, order_id: int) -> None:
        """Take note of an order that is about to be sent under `order_id`."""
        self._orders[order.ref] = _Known(order, is_ours=True, order_id=order_id, client_id=self.client_id)
        self._by_id[order_id] = order.ref

    def refuse(self, order: Order, reason: str) -> OrderState:
        """Take note of an order that was not sent, and will not be; return its state."""
        known = _Known(order, is_ours=True, rejected=True, told=True, reason=reason)
        self._orders[order.ref] = known
        return self._state(known)

    def knows(self, ref: str) -> bool:
        """Return whether a ref was sent, or heard of."""
        return ref in self._orders

    def order_id(self, ref: str) -> int | None:
        """Return under which number an order of this client works; None when nobody here can cancel it by number."""
        known = self._orders.get(ref)
        return None if known is None or known.client_id != self.client_id or not known.order_id else known.order_id

    # what the venue tells

    def on_open_order(self, order_id: int, contract: Any, order: Any, state: Any) -> None:
        """Take an openOrder in: an order that is there, or was, with its permId; a what-if probe is none."""
        if order.whatIf:
            return
        known = self._found(order_id, contract, order)
        known.perm_id = int(order.permId or known.perm_id)
        if known.perm_id:
            self._by_perm[known.perm_id] = known.order.ref
        known.order_id = int(order_id or known.order_id)
        known.client_id = int(order.clientId)
        if known.is_ours and known.client_id == self.client_id and known.order_id:
            self._by_id[known.order_id] = known.order.ref
        self._take(known, str(state.status), known.filled, "")

    def on_completed_order(self, contract: Any, order: Any, state: Any) -> None:
        """Take a completed order in: its end, whoever's it is."""
        known = self._found(0, contract, order)
        known.perm_id = int(order.permId or known.perm_id)
        filled = _whole(getattr(order, "filledQuantity", 0))
        self._take(known, str(state.status), max(filled, known.filled), str(state.completedStatus or ""))

    def on_status(self, order_id: int, status: str, filled: float, *rest: Any) -> None:
        """Take an orderStatus in; one of an order that nobody knows is kept for its openOrder, which follows."""
        perm_id, client_id = int(rest[2]), int(rest[5])
        ref = self._by_perm.get(perm_id) or (self._by_id.get(order_id) if client_id == self.client_id else None)
        if ref is not None:
            known = self._orders[ref]
            known.perm_id = perm_id or known.perm_id
            if perm_id:
                self._by_perm[perm_id] = ref
            self._take(known, status, max(_whole(filled), known.filled), "")

    def on_execution(self, _id: int, contract: Any, execution: Any) -> None:
        """Take an execution in; one whose id is known with a higher last part corrects it."""
        base, _, last = str(execution.execId).rpartition(".")
        revision = int(last) if base and last.isdigit() else 0
        id_ = base or str(execution.execId)
        known = self._fills.get(id_)
        if known is not None and revision < known.revision:
            return
        ref = execution.orderRef or self._by_perm.get(int(execution.permId), "")
        fill = Fill(
            ref=ref or f"perm-{execution.permId}",
            symbol=contract.symbol,
            side=_SIDES[execution.side],
            quantity=_whole(execution.shares),
            price=Decimal(str(execution.price)),
            fee=self._fees.get(str(execution.execId)),
            at=execution.time,
            execution_id=id_,
            revision=revision,
        )
        if known is not None:
            self._executed[known.ref] -= known.quantity
        self._executed[fill.ref] = self._executed.get(fill.ref, 0) + fill.quantity
        self._fills[id_] = fill
        self._seen.add(fill.ref)
        if ref in self._orders:
            self._heard_of(self._orders[ref])

    def on_commission(self, report: Any) -> None:
        """Take a commission in, for the execution that has it, come or still to come."""
        fee = Decimal(str(report.commission))
        if not fee.is_finite() or report.currency != "USD":
            return
        self._fees[str(report.execId)] = fee
        base, _, last = str(report.execId).rpartition(".")
        known = self._fills.get(base or str(report.execId))
        if known is not None and known.revision == (int(last) if base and last.isdigit() else 0):
            self._fills[known.execution_id] = replace(known, fee=fee)

    def on_error(self, order_id: int, code: int, text: str, *_: Any) -> None:
        """Take in what a code says of one of our orders."""
        ref = self._by_id.get(order_id)
        if ref is None:
            return
        known, what = self._orders[ref], meaning(code)
        if what is Meaning.REJECTED and known.status not in _WORKING[2:]:
            self._heard_of(known)
            known.rejected, known.reason = True, f"{code}: {text}"
        elif what is Meaning.REJECTED or what is Meaning.LIVE:
            known.reason = f"{code}: {text}"  # of an order that works: a change was refused, the order lives
        elif what is Meaning.CANCELLED:
            known.reason = f"{code}: {text}"  # its status says what it filled, and may follow; the notice does not
        elif what is Meaning.DOUBTFUL and not self._state(known).status.is_final:
            known.doubtful, known.reason = True, f"{code}: {text}"

    def lost(self) -> None:
        """The connection is gone: what had no end is in doubt."""
        for known in self._orders.values():
            if not self._state(known).status.is_final:
                known.doubtful, known.status = True, ""
                known.reason = "the connection was lost while it was open"

    def read_begins(self) -> None:
        """All of it is about to be read anew."""
        self._seen, self._asked_about = set(), set(self._orders)

    def read_ends(self) -> None:
        """All of it was read: of what it did not tell, the venue knows nothing now."""
        for ref in self._asked_about - self._seen:
            self._orders[ref].absent = not self._orders[ref].told or self._orders[ref].doubtful

    # what is known

    def told_of(self, ref: str) -> bool:
        """Return whether the venue spoke of an order in the last full read."""
        return ref in self._seen

    def state(self, ref: str) -> OrderState | None:
        """Return an order's state; None when it is not known here, or the venue did not tell of it in a full read."""
        known = self._orders.get(ref)
        return None if known is None or known.absent else self._state(known)

    def states(self) -> list[OrderState]:
        """Return every order but those that the venue knows nothing of, foreign ones too, in their order."""
        return [state for ref in self._orders if (state := self.state(ref)) is not None]

    def fills(self) -> list[Fill]:
        """Return all executions, each in its latest revision."""
        return list(self._fills.values())

    def _found(self, order_id: int, contract: Any, order: Any) -> _Known:
        """Return the order that a message is of, taken in if it is new."""
        perm_id, ours = int(order.permId or 0), int(order.clientId) == self.client_id and order_id > 0
        ref = self._by_perm.get(perm_id) or (self._by_id.get(order_id) if ours else None) or order.orderRef
        ref = ref or f"perm-{perm_id}"
        self._seen.add(ref)
        if ref not in self._orders:
            self._orders[ref] = _Known(self._foreign(ref, contract, order), is_ours=False)
        if perm_id:
            self._by_perm[perm_id] = ref
        return self._orders[ref]

    def _foreign(self, ref: str, contract: Any, order: Any) -> Order:
        limit = Decimal(str(order.lmtPrice))
        price = limit if limit.is_finite() and 0 < limit < Decimal(10) ** 9 else Decimal(0)
        quantity = _whole(order.totalQuantity) or _whole(getattr(order, "filledQuantity", 0))
        return Order(ref, contract.symbol, _SIDES[order.action], quantity, price, self.now().astimezone(UTC), price)

    def _heard_of(self, known: _Known) -> None:
        known.doubtful, known.absent, known.told = False, False, True

    def _take(self, known: _Known, status: str, filled: int, reason: str) -> None:
        self._heard_of(known)
        known.filled = filled
        known.reason = reason or known.reason
        if status in (*_WORKING, *_CANCELLED, "Filled", "Inactive"):
            known.status = status
        if status == "PendingCancel" and not known.reason:
            known.reason = "a cancel is on its way"

    def _state(self, known: _Known) -> OrderState:
        """Return an order's state, made anew only when something of it changed: each order's door asks for all."""
        executed = self._executed.get(known.order.ref, 0)
        facts = (known.status, known.filled, executed, known.doubtful, known.rejected, known.reason)
        if known.state is None or known.state_facts != facts:
            known.state, known.state_facts = self._judge(known, executed), facts
        return known.state

    def _judge(self, known: _Known, executed: int) -> OrderState:
        quantity = known.order.quantity
        filled = max(known.filled, executed)
        made = OrderState(known.order, OrderStatus.WORKING, filled, known.reason)
        if known.doubtful:
            return replace(made, status=OrderStatus.UNKNOWN)
        if quantity and executed >= quantity:
            return replace(made, status=OrderStatus.FILLED)
        if known.rejected or (known.status == "Inactive" and not filled):
            return replace(made, status=OrderStatus.REJECTED)
        if known.status in (*_CANCELLED, "Inactive") and executed == filled:
            return replace(made, status=OrderStatus.CANCELLED)
        if known.status == "":
            return replace(made, status=OrderStatus.PENDING)
        return made  # works; or an end whose executions have not all come


def _whole(shares: Any) -> int:
    """Return whole shares. Raises ValueError for a part of one: Aurora trades none, and must not round a position."""
    number = Decimal(str(shares))
    if not number.is_finite() or number > 10**12:
        return 0  # the wire's word for "not set"
    if number != number.to_integral_value():
        raise ValueError(f"{shares} is no whole number of shares")
    return int(number)
