"""The two long messages, an open and a completed order, and the long request, a new order, field by field.

A plain stock order fills 136 fields in `openOrder` at server version 176, 135 from 177 on (faProfile is gone).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from aurora.gateway.listings import ContractQuery, venue_time
from aurora.gateway.messages import Message, Out, contract_fields
from aurora.gateway.orders import VenueOrder
from aurora.gateway.wire import FieldError, Fields
from aurora.market.order import OrderType

NO_FA_PROFILE = 177
_UNSET_LONG = "9223372036854775807"
_UNSET_INT = "2147483647"


@dataclass(frozen=True)
class Preview:
    """What a what-if order would do, in USD; None where only an order that works was asked about."""

    margin_before: Decimal
    margin_change: Decimal
    equity: Decimal
    commission: Decimal


@dataclass(frozen=True)
class OrderRequest:
    """A `placeOrder` as the client wrote it; what it asks for is judged elsewhere."""

    order_id: int
    contract: ContractQuery
    action: str
    quantity: Decimal | None
    type: str
    limit: Decimal | None
    tif: str
    account: str
    ref: str
    transmit: bool
    outside_rth: bool
    what_if: bool
    extras: tuple[str, ...]
    """Names of what it asks for beyond a plain order, like `parentId`."""


def open_order(order: VenueOrder, version: int, preview: Preview | None = None) -> Message:
    """Return an order that works; with `preview`, the answer to a what-if order."""
    fields = (
        order.order_id, *contract_fields(order.listing), *_terms(order), "", order.account, "", 0, order.ref,
        order.client_id, order.perm_id, order.terms.outside_rth, 0, 0, "",  # … goodAfterTime
        "", "", "", "", *_fa_profile(version), "", "", "", "", "", 0, "", -1, 0,  # … auctionStrategy
        "", "", "", "", "", 0, 0, 0, 0, "", 3, 0, 0, "", 0, 0,  # startingPrice … triggerMethod
        "", 0, "None", "", 0, "", "", "", "", 0, 0, "",  # volatility … deltaNeutralDesignatedLocation
        0, 0, "", "", "", "", "", 0, 0, 0,  # continuousUpdate … smartComboRoutingParams
        "", "", "", "", 0, "", "IB", 0, 0, "", 0,  # scaleInitLevelSize … solicited
        preview is not None, *_state(order, preview), 0, 0, 0,  # … conditions
        "None", "", "", "", "", "", "", 0, "", "", "", 0, 0, 0, 0, 0,  # adjustedOrderType … usePriceMgmtAlgo
        "", "", 0, "", "", "", "", "",  # duration … midOffsetAtHalf
    )  # fmt: skip
    return Message(Out.OPEN_ORDER, fields)


def completed_order(order: VenueOrder, version: int) -> Message:
    """Return an order that is done: filled, cancelled or rejected."""
    fields = (
        *contract_fields(order.listing), *_terms(order), "", order.account, "", 0, order.ref,
        order.perm_id, order.terms.outside_rth, 0, 0, "",  # … goodAfterTime
        "", "", "", *_fa_profile(version), "", "", "", "", "", 0, "", -1,  # faGroup … exemptCode
        "", "", "", "", "", 0, 0, 0, "", 3, 0, "", 0, "None", "", 0, 0, 0, "",  # startingPrice … deltaNeutral
        0, 0, "", "", "", 0, 0, 0,  # continuousUpdate … smartComboRoutingParams
        "", "", "", "", "", "IB", 0, 0, "", 0,  # scaleInitLevelSize … solicited
        order.status, 0, 0, 0,  # status … conditions
        "", "", 0, 0, 0, "", order.filled, 0, 0, "", 0, 0, _UNSET_LONG,  # trailStopPrice … parentPermId
        "" if order.completed is None else venue_time(order.completed), _completed_status(order),
        "", "", "", "", "",  # minTradeQty … midOffsetAtHalf
    )  # fmt: skip
    return Message(Out.COMPLETED_ORDER, fields)


def _terms(order: VenueOrder) -> tuple[object, ...]:
    terms = order.terms
    return (order.side, terms.quantity, terms.type, 0 if terms.limit is None else terms.limit, 0, terms.tif)


def _fa_profile(version: int) -> tuple[str, ...]:
    return ("",) if version < NO_FA_PROFILE else ()


def _state(order: VenueOrder, preview: Preview | None) -> tuple[object, ...]:
    if preview is None:
        return (order.status, *[""] * 9, "", "", "", "", "")
    after = preview.margin_before + preview.margin_change
    fee, currency = preview.commission, order.listing.instrument.currency
    return (
        order.status, preview.margin_before, preview.margin_before, preview.equity, preview.margin_change,
        preview.margin_change, -fee, after, after, preview.equity - fee, fee, fee, fee, currency, "",
    )  # fmt: skip


def _completed_status(order: VenueOrder) -> str:
    if order.filled == order.terms.quantity:
        return f"Filled Size: {order.filled}"
    return order.why_held or "Cancelled by Trader"


def read_contract(fields: Fields) -> ContractQuery:
    """Read the twelve fields of a contract in a request, conId to tradingClass."""
    con_id, symbol, kind = fields.whole(), fields.text(), fields.text()
    fields.skip(4)  # lastTradeDate, strike, right, multiplier: a stock has none
    exchange, primary, currency, local = (fields.text() for _ in range(4))
    fields.skip(1)  # tradingClass
    return ContractQuery(con_id, symbol, kind, exchange, primary, currency, local)


def read_order(fields: Fields, version: int) -> OrderRequest:  # Kept whole: it is the layout, field by field
    """Read a `placeOrder` behind its message id. Raises FieldError."""
    order_id, contract = fields.whole(), read_contract(fields)
    fields.skip(2)  # secIdType, secId
    action, quantity, kind, limit = fields.text(), fields.number(), fields.text(), fields.number()
    aux_price, tif, oca_group, account = fields.number(), fields.text(), fields.text(), fields.text()
    fields.skip(2)  # openClose, origin
    ref, transmit, parent_id = fields.text(), fields.flag(), fields.whole()
    fields.skip(4)  # blockOrder, sweepToFill, displaySize, triggerMethod
    outside_rth = fields.flag()
    fields.skip(1)  # hidden
    if contract.security_type == "BAG":
        raise FieldError("combination orders are not served by this simulated gateway")
    fields.skip(2)  # empty, discretionaryAmt
    good_after, good_till = fields.text(), fields.text()
    fields.skip(3 + (version < NO_FA_PROFILE))  # faGroup, faMethod, faPercentage, faProfile
    fields.skip(7)  # modelCode, shortSaleSlot, designatedLocation, exemptCode, ocaType, rule80A, settlingFirm
    all_or_none, minimum = fields.flag(), fields.number()
    fields.skip(13)  # percentOffset … volatilityType
    delta_neutral = fields.text()
    fields.skip(1 + (8 if delta_neutral else 0))  # deltaNeutralAuxPrice
    fields.skip(6)  # continuousUpdate … scaleSubsLevelSize
    increment = fields.number()
    fields.skip(7 if increment else 0)
    fields.skip(3)  # scaleTable, activeStartTime, activeStopTime
    hedge = fields.text()
    fields.skip(1 if hedge else 0)
    fields.skip(4)  # optOutSmartRouting, clearingAccount, clearingIntent, notHeld
    fields.skip(3 if fields.flag() else 0)  # deltaNeutralContract
    algo = fields.text()
    fields.skip(2 * fields.whole() if algo else 0)
    fields.skip(1)  # algoId
    what_if = fields.flag()
    fields.skip(4)  # orderMiscOptions, solicited, randomizeSize, randomizePrice
    conditions = fields.whole()
    asked = {
        "auxPrice": kind == OrderType.LIMIT and aux_price, "ocaGroup": oca_group, "parentId": parent_id,
        "goodAfterTime": good_after, "goodTillDate": good_till, "allOrNone": all_or_none, "minQty": minimum,
        "hedgeType": hedge, "algoStrategy": algo, "conditions": conditions,
    }  # fmt: skip
    return OrderRequest(
        order_id, contract, action, quantity, kind, limit, tif, account, ref, transmit, outside_rth, what_if,
        tuple(name for name, value in asked.items() if value),
    )  # fmt: skip
