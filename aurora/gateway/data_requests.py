"""Requests for contracts and market data."""

from __future__ import annotations

from aurora.gateway import messages
from aurora.gateway.feed import DELAYED, REAL_TIME, Subscription
from aurora.gateway.gateway import Call, Gateway
from aurora.gateway.messages import error
from aurora.gateway.order_layout import read_contract
from aurora.gateway.session import Session
from aurora.gateway.wire import FieldError

MAX_SUBSCRIPTIONS = 100
NO_DEFINITION = "No security definition has been found for the request"
_NOT_SUBSCRIBED = "Requested market data is not subscribed."


def contract_details(call: Call) -> None:
    """Answer reqContractDetails, or 200."""
    call.fields.skip(1)
    request_id, query = call.fields.whole(), read_contract(call.fields)
    stock = call.gateway.listings.find(query)
    if stock is None:
        call.session.send(error(request_id, 200, NO_DEFINITION))
        return
    call.session.send(messages.contract_details(request_id, stock, call.gateway.now()))
    call.session.send(messages.contract_details_end(request_id))


def market_data_type(call: Call) -> None:
    """Note which kind of data the client takes when it has no real-time data."""
    call.fields.skip(1)
    kind = call.fields.whole()
    if kind not in range(1, 5):
        raise FieldError(f"the market data type was {kind}; it is 1 to 4")
    call.session.data_type = kind


def subscribe(call: Call) -> None:
    """Answer reqMktData: a stream of ticks, or one snapshot."""
    call.fields.skip(1)
    request_id, query = call.fields.whole(), read_contract(call.fields)
    if call.fields.flag():
        call.fields.skip(3)  # the delta-neutral contract
    call.fields.skip(1)  # generic ticks: what the feed has is sent anyway
    snapshot = call.fields.flag()
    stock = call.gateway.listings.find(query)
    refusal = (
        (request_id in call.session.subscriptions, 102, "Duplicate ticker ID."),
        (len(call.session.subscriptions) >= MAX_SUBSCRIPTIONS, 101, "Max number of tickers has been reached."),
        (stock is None, 200, NO_DEFINITION),
        (not call.gateway.entitled and call.session.data_type < DELAYED, 354, _NOT_SUBSCRIBED),
        (call.gateway.competing, 10197, "No market data during competing live call.session"),
    )
    for refused, code, text in refusal:
        if refused:
            call.session.send(error(request_id, code, text))
            return
    assert stock is not None
    call.session.send(messages.tick_request_parameters(request_id, stock))
    start(call.gateway, call.session, Subscription(request_id, stock))
    if snapshot:
        del call.session.subscriptions[request_id]
        call.session.send(messages.tick_snapshot_end(request_id))


def start(gateway: Gateway, session: Session, subscription: Subscription) -> None:
    """Begin or begin again to send ticks, real-time where they are subscribed to, else delayed."""
    request_id = subscription.request_id
    if not gateway.entitled:
        session.send(error(request_id, 10167, f"{_NOT_SUBSCRIBED} Displaying delayed market data."))
    kind = REAL_TIME if gateway.entitled else DELAYED
    session.subscriptions[request_id] = Subscription(request_id, subscription.stock, kind)
    session.send(messages.market_data_type(request_id, kind))
    if gateway.link_up and gateway.farm_up:
        gateway.send_ticks(session, request_id)


def unsubscribe(call: Call) -> None:
    """Answer cancelMktData: silence, or 300."""
    call.fields.skip(1)
    request_id = call.fields.whole()
    if call.session.subscriptions.pop(request_id, None) is None:
        call.session.send(error(request_id, 300, f"Can't find EId with tickerId:{request_id}"))
