"""Requests about orders: what each client may do, and what TWS answers when it may not."""

from __future__ import annotations

from dataclasses import dataclass

from aurora.gateway import messages, order_layout
from aurora.gateway.account import margin_of
from aurora.gateway.data_requests import NO_DEFINITION
from aurora.gateway.gateway import Call, Gateway
from aurora.gateway.listings import Listing
from aurora.gateway.messages import error
from aurora.gateway.order_layout import OrderRequest, Preview
from aurora.gateway.orders import Status, Terms, TimeInForce, VenueOrder
from aurora.gateway.session import Session
from aurora.market.order import OrderType, Side

MAX_ORDER_ID = 2**31 - 1
_INVALID = "Error validating request.-'bW' : cause - "
_POOR = "Order rejected - reason:We are unable to accept your order. Your Available Funds are insufficient."
_SIDES = {"": "", "BUY": Side.BUY, "BOT": Side.BUY, "SELL": Side.SELL, "SLD": Side.SELL}


@dataclass(frozen=True)
class Refusal:
    """Why TWS takes no order: its code and words."""

    code: int
    text: str


# ── Placing ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def place_order(call: Call) -> None:
    """Answer placeOrder: a new order, a changed one, or what one would do (what-if)."""
    request = order_layout.read_order(call.fields, call.session.version)
    call.gateway.when_linked(lambda: _place(call.gateway, call.session, request))


def _place(gateway: Gateway, session: Session, request: OrderRequest) -> None:
    venue = gateway.venue
    old = venue.find(session.client_id, request.order_id)
    refusal = _id_refusal(gateway, session, request, old) or _refusal(gateway, request)
    if refusal is not None:
        session.send(error(request.order_id, refusal.code, refusal.text))
        return
    stock = gateway.listings.find(request.contract)
    assert stock is not None
    assert request.quantity is not None
    terms = Terms(
        int(request.quantity), OrderType(request.type), request.limit if request.type == OrderType.LIMIT else None,
        TimeInForce(request.tif or TimeInForce.DAY), request.transmit, request.outside_rth,
    )  # fmt: skip
    is_change = old is not None and not request.what_if
    order = old if old is not None and is_change else venue.new_order(
        stock, Side(request.action), terms,
        client_id=session.client_id, order_id=request.order_id, ref=request.ref,
    )  # fmt: skip
    venue.use_order_id(session.client_id, request.order_id)
    if request.what_if:
        session.send(order_layout.open_order(order, session.version, _preview(gateway, order)))
        return
    refusal = _money_refusal(gateway, order, terms)
    if refusal is not None:
        session.send(error(request.order_id, refusal.code, refusal.text))
    elif is_change:
        venue.modify(order, terms)
    else:
        venue.place(order)


def _id_refusal(gateway: Gateway, session: Session, request: OrderRequest, old: VenueOrder | None) -> Refusal | None:
    if not 0 < request.order_id <= MAX_ORDER_ID:
        return Refusal(320, f"Error reading request. Order id {request.order_id} is outside 1 to {MAX_ORDER_ID}")
    if old is None and request.order_id < gateway.venue.next_order_id(session.client_id):
        return Refusal(103, "Duplicate order id")
    if old is None or request.what_if:
        return None
    if old.status is Status.FILLED:
        return Refusal(104, "Cannot modify a filled order.")
    if old.status.is_done:
        return Refusal(103, "Duplicate order id")
    stock = gateway.listings.find(request.contract)
    if (stock, request.action) != (old.listing, old.side) or request.ref != old.ref:
        return Refusal(105, "Order being modified does not match original order.")
    return None


def _refusal(gateway: Gateway, request: OrderRequest) -> Refusal | None:
    stock = gateway.listings.find(request.contract)
    if gateway.settings.read_only:
        return Refusal(321, _INVALID + "The API interface is currently in Read-Only mode.")
    if stock is None:
        return Refusal(200, NO_DEFINITION)
    if request.account not in ("", gateway.venue.account.name):
        return Refusal(321, f"{_INVALID}Invalid account code '{request.account}'.")
    return _shape_refusal(request) or _price_refusal(gateway, request, stock)


def _shape_refusal(request: OrderRequest) -> Refusal | None:
    quantity = request.quantity
    cases = (
        (request.action not in tuple(Side), 321, f"{_INVALID}Invalid side"),
        (not quantity, 434, "The order size cannot be zero."),
        (quantity is None or quantity < 0 or quantity % 1, 10243,
         "Fractional-sized order cannot be placed via API. Please use desktop version."),
        (request.type not in tuple(OrderType), 387, "Unsupported order type for this exchange and security type."),
        (request.tif not in ("", *TimeInForce), 111, "The TIF (Tif type) and the order type are incompatible."),
        (request.extras, 321, f"{_INVALID}not served by this simulated gateway: {', '.join(request.extras)}"),
    )  # fmt: skip
    return next((Refusal(code, text) for wrong, code, text in cases if wrong), None)


def _price_refusal(gateway: Gateway, request: OrderRequest, stock: Listing) -> Refusal | None:
    quote = gateway.venue.book.quote(stock.symbol)
    if quote is not None and quote.halted:
        return Refusal(154, "Orders cannot be transmitted for a halted security")
    if request.type == OrderType.LIMIT:
        limit = request.limit
        if limit is None or limit <= 0:
            return Refusal(321, f"{_INVALID}The limit price is missing")
        if limit % stock.tick:
            return Refusal(110, "The price does not conform to the minimum price variation for this contract.")
    return None


def _money_refusal(gateway: Gateway, order: VenueOrder, terms: Terms) -> Refusal | None:
    equity, margin = gateway.venue.account.margin(gateway.venue.prices())
    held = gateway.venue.account.held(order.listing.symbol).quantity
    if held * order.side.sign < 0 and terms.quantity <= abs(held):
        return None  # it only closes what is there
    needed = margin_of(gateway.venue.worth_of(order, terms))
    if needed <= equity - margin:
        return None
    return Refusal(201, f"{_POOR} Available: {equity - margin} USD, needed: {needed} USD")


def _preview(gateway: Gateway, order: VenueOrder) -> Preview:
    equity, margin = gateway.venue.account.margin(gateway.venue.prices())
    worth = gateway.venue.worth_of(order, order.terms)
    return Preview(margin, margin_of(order.side.sign * worth), equity, gateway.venue.fee_of(order, worth))


# ── Cancelling ───────────────────────────────────────────────────────────────────────────────────────────────────────
def cancel_order(call: Call) -> None:
    """Answer cancelOrder: only the client that placed an order can name it."""
    call.fields.skip(1)
    order_id = call.fields.whole()
    call.gateway.when_linked(lambda: _cancel(call.gateway, call.session, order_id))


def _cancel(gateway: Gateway, session: Session, order_id: int) -> None:
    order = gateway.venue.find(session.client_id, order_id)
    if order is None:
        text = f"OrderId {order_id} that needs to be cancelled is not found."
        session.send(error(order_id, 10147, text))
    elif order.status.is_done:
        text = f"OrderId {order_id} that needs to be cancelled can not be cancelled, state: {order.status}."
        session.send(error(order_id, 10148, text))
    else:
        gateway.venue.cancel(order)
        session.send(error(order_id, 202, "Order Canceled - reason:"))


def global_cancel(call: Call) -> None:
    """Cancel every order of the account, whoever placed it."""
    call.gateway.when_linked(lambda: _cancel_everything(call.gateway))


def _cancel_everything(gateway: Gateway) -> None:
    for order in list(gateway.venue.working()):
        gateway.venue.cancel(order)
        for session in gateway.listeners(order):
            session.send(error(order.order_id, 202, "Order Canceled - reason:"))


# ── Reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def open_orders(call: Call) -> None:
    """Answer reqOpenOrders: the client's own; client 0 sees the manual ones, too."""
    _send_orders(call.session, [o for o in call.gateway.venue.working() if o.client_id == call.session.client_id])


def all_open_orders(call: Call) -> None:
    """Answer reqAllOpenOrders: those of every client and of TWS."""
    _send_orders(call.session, list(call.gateway.venue.working()))


def auto_open_orders(call: Call) -> None:
    """Bind manual orders to client 0 from now on; others may not (327)."""
    call.fields.skip(1)
    bind = call.fields.flag()
    if call.session.client_id != 0:
        call.session.send(error(messages.NO_REQUEST, 327, "Only the default client (i.e 0) can auto bind orders."))
        return
    call.session.auto_bind = bind


def _send_orders(session: Session, orders: list[VenueOrder]) -> None:
    for order in orders:
        session.send(order_layout.open_order(order, session.version))
        session.send(messages.order_status(order))
    session.send(messages.open_order_end())


def completed_orders(call: Call) -> None:
    """Answer reqCompletedOrders; with `apiOnly` without those of TWS."""
    api_only = call.fields.flag()
    for order in call.gateway.venue.orders:
        if order.status.is_done and not (api_only and order.is_manual):
            call.session.send(order_layout.completed_order(order, call.session.version))
    call.session.send(messages.completed_orders_end())


def executions(call: Call) -> None:
    """Answer reqExecutions: of all clients; commissions only of the own ones, or all to the master client."""
    call.fields.skip(1)
    request_id, client_id, account = call.fields.whole(), call.fields.whole(), call.fields.text()
    call.fields.skip(1)  # since when: the gateway has one day
    symbol, kind = call.fields.text(), call.fields.text()
    call.fields.skip(1)  # the exchange
    side = _SIDES.get(call.fields.text().upper())
    is_master = call.session.client_id == call.gateway.settings.master_client_id
    for fill in list(call.gateway.venue.executions):
        order = fill.order
        if (
            client_id in (0, order.client_id)
            and account in ("", order.account)
            and symbol in ("", order.listing.symbol)
            and kind in ("", "STK")
            and side in ("", order.side)
        ):
            call.session.send(messages.execution(request_id, fill, call.session.version))
            if is_master or call.session.client_id == order.client_id:
                call.session.send(messages.commission_report(fill))
    call.session.send(messages.execution_end(request_id))
