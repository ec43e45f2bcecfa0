"""The long messages, counted: clients read them by position."""

from __future__ import annotations

from decimal import Decimal

import pytest

from aurora.gateway.listings import Listings
from aurora.gateway.order_layout import Preview, completed_order, open_order, read_order
from aurora.gateway.orders import Terms, TimeInForce, VenueOrder
from aurora.gateway.wire import FieldError, Fields
from aurora.market.order import OrderType, Side
from tests.gateway.kit import order_fields
from tests.gateway.venues import make_venue


def _order() -> VenueOrder:
    venue, _ = make_venue()
    terms = Terms(10, OrderType.LIMIT, Decimal("99.5"), TimeInForce.GTC)
    return venue.new_order(Listings(["SPY"])["SPY"], Side.BUY, terms, client_id=3, order_id=8, ref="r")


@pytest.mark.parametrize(("version", "fields"), [(176, 136), (177, 135), (178, 135)])
def test_an_open_order_has_as_many_fields_as_clients_read(version: int, fields: int) -> None:
    """A plain stock order fills 136 fields at version 176 and 135 later, its message id among them."""
    assert 1 + len(open_order(_order(), version).fields) == fields
    state = Preview(Decimal(1), Decimal(2), Decimal(3), Decimal(4))
    assert 1 + len(open_order(_order(), version, state).fields) == fields


def test_a_completed_order_is_one_shorter_later() -> None:
    """FaProfile is gone from version 177 on."""
    assert len(completed_order(_order(), 176).fields) - len(completed_order(_order(), 177).fields) == 1


def test_an_order_is_read_as_it_was_written() -> None:
    """Side, quantity, price, reference and what-if come from their places among 115 fields."""
    fields = order_fields(4, "SELL", 10, "LMT", "99.5", tif="IOC", ref="r", what_if=1, account="DU1", symbol="TSLA")
    assert len(fields) == 115
    order = read_order(Fields([str(field) for field in fields[1:]]), 176)
    assert (order.order_id, order.action, order.quantity, order.type) == (4, "SELL", Decimal(10), "LMT")
    assert (order.limit, order.tif, order.ref, order.account) == (Decimal("99.5"), "IOC", "r", "DU1")
    assert (order.what_if, order.transmit, order.contract.symbol, order.extras) == (True, True, "TSLA", ())


def test_what_a_plain_order_does_not_have_is_named() -> None:
    """A parent, a good-after time or an OCA group is not dropped silently."""
    fields = order_fields(4, "SELL", 10, "LMT", "99.5", parent=3)
    assert read_order(Fields([str(field) for field in fields[1:]]), 176).extras == ("parentId",)


def test_combinations_are_refused() -> None:
    """A BAG order has another layout, which is not read."""
    fields = [str(field) for field in order_fields(4, "SELL", 10, "LMT", "99.5")[1:]]
    fields[3] = "BAG"
    with pytest.raises(FieldError, match="combination"):
        read_order(Fields(fields), 176)
