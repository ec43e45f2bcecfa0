"""What the gateway sends: each message's id and its fields in order, at server version 176 to 178.

The reference is the decoders of ib_insync 0.9.86, ib_async 2.1.0 and ibapi 10.50, which agree; ibapi counts fields.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import IntEnum

from aurora.gateway.listings import TIME_ZONE, Listing, liquid_hours, trading_hours, venue_time
from aurora.gateway.orders import Execution, VenueOrder
from aurora.market.order import Side
from aurora.market.position import Position

NO_REQUEST = -1
"""The request id of what nobody asked for."""

UNSET_DOUBLE = "1.7976931348623157E308"
"""How IB writes a number that is not there, where empty would be read as 0."""

_ORDER_TYPES = "ACTIVETIM,DAY,GTC,IOC,LMT,MKT,WHATIF"
_PENDING_PRICE_REVISION = 178


class Out(IntEnum):
    """Message ids of the answers; a scenario names them in small letters."""

    TICK_PRICE = 1
    TICK_SIZE = 2
    ORDER_STATUS = 3
    ERROR = 4
    OPEN_ORDER = 5
    ACCOUNT_VALUE = 6
    PORTFOLIO_VALUE = 7
    ACCOUNT_TIME = 8
    NEXT_VALID_ID = 9
    CONTRACT_DETAILS = 10
    EXECUTION = 11
    MANAGED_ACCOUNTS = 15
    TICK_GENERIC = 45
    TICK_STRING = 46
    CURRENT_TIME = 49
    CONTRACT_DETAILS_END = 52
    OPEN_ORDER_END = 53
    ACCOUNT_DOWNLOAD_END = 54
    EXECUTION_END = 55
    TICK_SNAPSHOT_END = 57
    MARKET_DATA_TYPE = 58
    COMMISSION_REPORT = 59
    POSITION = 61
    POSITION_END = 62
    ACCOUNT_SUMMARY = 63
    ACCOUNT_SUMMARY_END = 64
    ACCOUNT_UPDATE_MULTI = 73
    ACCOUNT_UPDATE_MULTI_END = 74
    TICK_REQUEST_PARAMETERS = 81
    COMPLETED_ORDER = 101
    COMPLETED_ORDERS_END = 102


@dataclass(frozen=True, slots=True)
class Message:
    """One message to a client, not yet bytes."""

    out: Out
    fields: tuple[object, ...]

    @property
    def name(self) -> str:
        """Return the name by which scenarios know it: `order_status`."""
        return self.out.name.lower()


def error(request_id: int, code: int, text: str, advanced: str = "") -> Message:
    """Return a notice or error; `request_id` is a request's, an order's, or NO_REQUEST."""
    return Message(Out.ERROR, (2, request_id, code, text, advanced))


def managed_accounts(account: str) -> Message:
    """Return the accounts that the login may trade."""
    return Message(Out.MANAGED_ACCOUNTS, (1, account))


def next_valid_id(order_id: int) -> Message:
    """Return the lowest order id that the client may use."""
    return Message(Out.NEXT_VALID_ID, (1, order_id))


def current_time(now: datetime) -> Message:
    """Return the venue's clock in seconds since 1970."""
    return Message(Out.CURRENT_TIME, (1, int(now.timestamp())))


# ── Contracts ────────────────────────────────────────────────────────────────────────────────────────────────────────
def contract_details(request_id: int, stock: Listing, now: datetime) -> Message:
    """Return what IB knows of a stock; the hours are those from `now`'s day on."""
    fields = (
        request_id, stock.symbol, "STK", "", "0", "", "SMART", stock.instrument.currency, stock.symbol, stock.symbol,
        stock.symbol, stock.con_id, stock.tick, "", _ORDER_TYPES, f"SMART,{stock.primary_exchange}", 1, 0,
        stock.long_name, stock.primary_exchange, "", "", "", "", TIME_ZONE, trading_hours(now), liquid_hours(now),
        "", 0, 0, 1, "", "", "26", "", "COMMON", 1, 1, 100,
    )  # fmt: skip
    return Message(Out.CONTRACT_DETAILS, fields)


def contract_details_end(request_id: int) -> Message:
    """Return the end of the answer to a contract request."""
    return Message(Out.CONTRACT_DETAILS_END, (1, request_id))


def contract_fields(stock: Listing) -> tuple[object, ...]:
    """Return the eleven fields of a contract in orders, executions and positions, conId to tradingClass."""
    currency = stock.instrument.currency
    return (stock.con_id, stock.symbol, "STK", "", "0", "?", "", "SMART", currency, stock.symbol, stock.symbol)


# ── Market data ──────────────────────────────────────────────────────────────────────────────────────────────────────
def tick_price(request_id: int, kind: int, price: Decimal, size: int) -> Message:
    """Return a price tick with its size; -1 is no price."""
    return Message(Out.TICK_PRICE, (6, request_id, kind, price, size, 0))


def tick_size(request_id: int, kind: int, size: int) -> Message:
    """Return a size tick."""
    return Message(Out.TICK_SIZE, (6, request_id, kind, size))


def tick_generic(request_id: int, kind: int, value: int) -> Message:
    """Return a generic tick, like 49, halted."""
    return Message(Out.TICK_GENERIC, (6, request_id, kind, value))


def tick_string(request_id: int, kind: int, text: str) -> Message:
    """Return a text tick, like 45, the time of the last trade."""
    return Message(Out.TICK_STRING, (6, request_id, kind, text))


def tick_snapshot_end(request_id: int) -> Message:
    """Return the end of a snapshot."""
    return Message(Out.TICK_SNAPSHOT_END, (1, request_id))


def market_data_type(request_id: int, kind: int) -> Message:
    """Return what the ticks that follow are: 1 real-time, 2 frozen, 3 delayed, 4 delayed and frozen."""
    return Message(Out.MARKET_DATA_TYPE, (1, request_id, kind))


def tick_request_parameters(request_id: int, stock: Listing) -> Message:
    """Return the minimum tick of what was asked for."""
    return Message(Out.TICK_REQUEST_PARAMETERS, (request_id, stock.tick, "9c0001", 3))


# ── Orders ───────────────────────────────────────────────────────────────────────────────────────────────────────────
def order_status(order: VenueOrder) -> Message:
    """Return where an order stands."""
    fields = (
        order.order_id, order.status, order.filled, order.remaining, order.average_price, order.perm_id, 0,
        order.last_price, order.client_id, order.why_held, 0,
    )  # fmt: skip
    return Message(Out.ORDER_STATUS, fields)


def open_order_end() -> Message:
    """Return the end of the open orders."""
    return Message(Out.OPEN_ORDER_END, (1,))


def completed_orders_end() -> Message:
    """Return the end of the completed orders."""
    return Message(Out.COMPLETED_ORDERS_END, ())


def execution(request_id: int, fill: Execution, version: int) -> Message:
    """Return a fill; NO_REQUEST for one that happened just now."""
    order = fill.order
    fields = (
        request_id, order.order_id, *contract_fields(order.listing), fill.exec_id, venue_time(fill.at), order.account,
        order.listing.primary_exchange, "BOT" if order.side is Side.BUY else "SLD", fill.quantity, fill.price,
        order.perm_id, order.client_id, 0, fill.cumulative, fill.average_price, order.ref, "", "", "", 2,
    )  # fmt: skip
    return Message(Out.EXECUTION, fields + ((0,) if version >= _PENDING_PRICE_REVISION else ()))


def execution_end(request_id: int) -> Message:
    """Return the end of the executions."""
    return Message(Out.EXECUTION_END, (1, request_id))


def commission_report(fill: Execution) -> Message:
    """Return what a fill cost and realized."""
    currency = fill.order.listing.instrument.currency
    realized = UNSET_DOUBLE if fill.realized is None else fill.realized
    return Message(Out.COMMISSION_REPORT, (1, fill.exec_id, fill.commission, currency, realized, "", ""))


# ── The account ──────────────────────────────────────────────────────────────────────────────────────────────────────
def position(account: str, stock: Listing, held: Position) -> Message:
    """Return a position, signed, and its average cost."""
    return Message(Out.POSITION, (3, account, *contract_fields(stock), held.quantity, held.average_cost))


def position_end() -> Message:
    """Return the end of the positions."""
    return Message(Out.POSITION_END, (1,))


def account_value(key: str, value: str, currency: str, account: str) -> Message:
    """Return one value of the account."""
    return Message(Out.ACCOUNT_VALUE, (2, key, value, currency, account))


def portfolio_value(account: str, stock: Listing, held: Position, price: Decimal, realized: Decimal) -> Message:
    """Return a position with its market value at `price` and its profits in USD."""
    con_id, symbol, kind, expiry, strike, right, multiplier, _, *rest = contract_fields(stock)
    value = held.quantity * price
    fields = (
        8, con_id, symbol, kind, expiry, strike, right, multiplier, stock.primary_exchange, *rest, held.quantity,
        price, value, held.average_cost, value - held.quantity * held.average_cost, realized, account,
    )  # fmt: skip
    return Message(Out.PORTFOLIO_VALUE, fields)


def account_time(now: datetime) -> Message:
    """Return when the account's values were computed, like 09:35."""
    return Message(Out.ACCOUNT_TIME, (1, venue_time(now).split()[1][:5]))


def account_download_end(account: str) -> Message:
    """Return the end of an account's values."""
    return Message(Out.ACCOUNT_DOWNLOAD_END, (1, account))


def account_summary(request_id: int, account: str, tag: str, value: str, currency: str) -> Message:
    """Return one value of a summary."""
    return Message(Out.ACCOUNT_SUMMARY, (1, request_id, account, tag, value, currency))


def account_summary_end(request_id: int) -> Message:
    """Return the end of a summary."""
    return Message(Out.ACCOUNT_SUMMARY_END, (1, request_id))


def account_update_multi(request_id: int, account: str, key: str, value: str, currency: str) -> Message:
    """Return one value of an account to a request of its own."""
    return Message(Out.ACCOUNT_UPDATE_MULTI, (1, request_id, account, "", key, value, currency))


def account_update_multi_end(request_id: int) -> Message:
    """Return the end of those."""
    return Message(Out.ACCOUNT_UPDATE_MULTI_END, (1, request_id))
