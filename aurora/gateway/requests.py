"""What clients ask: the table from a request's message id to what serves it."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

from aurora.gateway import account_requests, data_requests, messages, trading
from aurora.gateway.gateway import Call, Gateway
from aurora.gateway.messages import error
from aurora.gateway.session import Session
from aurora.gateway.wire import FieldError, Fields, WireError

Handler = Callable[[Call], None]


class In(IntEnum):
    """Message ids of the requests; a scenario names them in small letters."""

    REQ_MKT_DATA = 1
    CANCEL_MKT_DATA = 2
    PLACE_ORDER = 3
    CANCEL_ORDER = 4
    REQ_OPEN_ORDERS = 5
    REQ_ACCOUNT_UPDATES = 6
    REQ_EXECUTIONS = 7
    REQ_IDS = 8
    REQ_CONTRACT_DETAILS = 9
    SET_SERVER_LOG_LEVEL = 14
    REQ_AUTO_OPEN_ORDERS = 15
    REQ_ALL_OPEN_ORDERS = 16
    REQ_MANAGED_ACCTS = 17
    REQ_CURRENT_TIME = 49
    REQ_GLOBAL_CANCEL = 58
    REQ_MARKET_DATA_TYPE = 59
    REQ_POSITIONS = 61
    REQ_ACCOUNT_SUMMARY = 62
    CANCEL_ACCOUNT_SUMMARY = 63
    CANCEL_POSITIONS = 64
    REQ_ACCOUNT_UPDATES_MULTI = 76
    CANCEL_ACCOUNT_UPDATES_MULTI = 77
    REQ_COMPLETED_ORDERS = 99


def _ignore(call: Call) -> None:
    """Do nothing: TWS answers nothing either."""


def _ids(call: Call) -> None:
    call.session.send(messages.next_valid_id(call.gateway.venue.next_order_id(call.session.client_id)))


def _accounts(call: Call) -> None:
    call.session.send(messages.managed_accounts(call.gateway.venue.account.name))


def _time(call: Call) -> None:
    call.session.send(messages.current_time(call.gateway.now() + call.gateway.clock_skew))


HANDLERS: dict[In, Handler] = {
    In.REQ_MKT_DATA: data_requests.subscribe,
    In.CANCEL_MKT_DATA: data_requests.unsubscribe,
    In.PLACE_ORDER: trading.place_order,
    In.CANCEL_ORDER: trading.cancel_order,
    In.REQ_OPEN_ORDERS: trading.open_orders,
    In.REQ_ACCOUNT_UPDATES: account_requests.account_updates,
    In.REQ_EXECUTIONS: trading.executions,
    In.REQ_IDS: _ids,
    In.REQ_CONTRACT_DETAILS: data_requests.contract_details,
    In.SET_SERVER_LOG_LEVEL: _ignore,
    In.REQ_AUTO_OPEN_ORDERS: trading.auto_open_orders,
    In.REQ_ALL_OPEN_ORDERS: trading.all_open_orders,
    In.REQ_MANAGED_ACCTS: _accounts,
    In.REQ_CURRENT_TIME: _time,
    In.REQ_GLOBAL_CANCEL: trading.global_cancel,
    In.REQ_MARKET_DATA_TYPE: data_requests.market_data_type,
    In.REQ_POSITIONS: account_requests.positions,
    In.REQ_ACCOUNT_SUMMARY: account_requests.summary,
    In.CANCEL_ACCOUNT_SUMMARY: account_requests.cancel_summary,
    In.CANCEL_POSITIONS: account_requests.cancel_positions,
    In.REQ_ACCOUNT_UPDATES_MULTI: account_requests.multi,
    In.CANCEL_ACCOUNT_UPDATES_MULTI: account_requests.cancel_multi,
    In.REQ_COMPLETED_ORDERS: trading.completed_orders,
}


def serve(gateway: Gateway, session: Session, values: list[str]) -> None:
    """Serve one request. Raises WireError for an id that no request has; a bad field is answered (error 320)."""
    try:
        request = In(int(values[0]))
    except ValueError:
        session.transmit(error(messages.NO_REQUEST, 505, f"FATAL ERROR: Unknown message id. {values[0][:40]!r}"))
        raise WireError(f"the message id was {values[0][:40]!r}; there is no such request") from None
    rest = values[1:]

    def handle() -> None:
        try:
            HANDLERS[request](Call(gateway, session, Fields(rest)))
        except FieldError as fault:
            text = f"Error reading request. {request.name.lower()}: {fault}"
            session.send(error(messages.NO_REQUEST, 320, text))

    gateway.faults.around(session, request.name.lower(), rest, handle)
