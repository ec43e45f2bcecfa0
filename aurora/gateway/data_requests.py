"""Requests for contracts and market data."""

from __future__ import annotations

from aurora.gateway import messages
from aurora.gateway.feed import DELAYED, REAL_TIME, Subscription
from aurora.gateway.gateway import Gateway
from aurora.gateway.messages import error
from aurora.gateway.order_layout import read_contract
from aurora.gateway.session import Session
from aurora.gateway.wire import FieldError, Fields

MAX_SUBSCRIPTIONS = 100
NO_DEFINITION = "No security definition has been found for the request"
_NOT_SUBSCRIBED = "Requested market data is not subscribed."


def contract_details(gateway: Gateway, session: Session, fields: Fields) -> None:
    """Answer reqContractDetails, or 200."""
    fields.skip(1)
    request_id, query = fields.whole(), read_contract(fields)
    stock = gateway.listings.find(query)
    if stock is None:
        session.send(error(request_id, 200, NO_DEFINITION))
        return
    session.send(messages.contract_details(request_id, stock, gateway.now()))
    session.send(messages.contract_details_end(request_id))


def market_data_type(gateway: Gateway, session: Session, fields: Fields) -> None:
    """Note which kind of data the client takes when it has no real-time data."""
    fields.skip(1)
    kind = fields.whole()
    if kind not in range(1, 5):
        raise FieldError(f"the market data type was {kind}; it is 1 to 4")
    session.data_type = kind


def subscribe(gateway: Gateway, session: Session, fields: Fields) -> None:
    """Answer reqMktData: a stream of ticks, or one snapshot."""
    fields.skip(1)
    request_id, query = fields.whole(), read_contract(fields)
    if fields.flag():
        fields.skip(3)  # the delta-neutral contract
    fields.skip(1)  # generic ticks: what the feed has is sent anyway
    snapshot = fields.flag()
    stock = gateway.listings.find(query)
    refusal = (
        (request_id in session.subscriptions, 102, "Duplicate ticker ID."),
        (len(session.subscriptions) >= MAX_SUBSCRIPTIONS, 101, "Max number of tickers has been reached."),
        (stock is None, 200, NO_DEFINITION),
        (not gateway.entitled and session.data_type < DELAYED, 354, _NOT_SUBSCRIBED),
        (gateway.competing, 10197, "No market data during competing live session"),
    )
    for refused, code, text in refusal:
        if refused:
            session.send(error(request_id, code, text))
            return
    assert stock is not None
    session.send(messages.tick_request_parameters(request_id, stock))
    start(gateway, session, Subscription(request_id, stock))
    if snapshot:
        del session.subscriptions[request_id]
        session.send(messages.tick_snapshot_end(request_id))


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


def unsubscribe(gateway: Gateway, session: Session, fields: Fields) -> None:
    """Answer cancelMktData: silence, or 300."""
    fields.skip(1)
    request_id = fields.whole()
    if session.subscriptions.pop(request_id, None) is None:
        session.send(error(request_id, 300, f"Can't find EId with tickerId:{request_id}"))
