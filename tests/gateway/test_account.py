"""The account: what trades do to cash, positions, profits and the values that clients read."""

from __future__ import annotations

from decimal import Decimal

from aurora.gateway.account import Account, margin_of
from aurora.market.order import Side
from aurora.market.position import Position

BUY, SELL = Side.BUY, Side.SELL


def test_opening_realizes_nothing() -> None:
    """A trade that opens or adds has no realized profit; its commission is paid from cash."""
    account = Account("DU1", Decimal(1000))
    assert account.book("SPY", BUY, 2, Decimal(100), Decimal(1)) is None
    assert account.book("SPY", BUY, 2, Decimal(110), Decimal(1)) is None
    assert account.cash == 1000 - 420 - 2
    assert account.held("SPY").average_cost == 105


def test_closing_realizes_the_difference_less_its_commission() -> None:
    """A sale realizes price less average cost, and crossing through flat realizes only what it closes."""
    account = Account("DU1", Decimal(1000))
    account.book("SPY", BUY, 4, Decimal(100), Decimal(1))
    assert account.book("SPY", SELL, 2, Decimal(103), Decimal(1)) == 5
    assert account.book("SPY", SELL, 5, Decimal(110), Decimal(1)) == 19
    assert account.realized("SPY") == 24
    held = account.held("SPY")
    assert held == Position("SPY", -3, Decimal(110))
    assert account.book("SPY", BUY, 3, Decimal(100), Decimal(1)) == 29


def test_values_add_up() -> None:
    """Net liquidation is cash and stocks at the price given; at cost where there is none."""
    account = Account("DU1", Decimal(1000))
    account.book("SPY", BUY, 4, Decimal(100), Decimal(0))
    values = account.values({"SPY": Decimal(101)})
    assert (values["NetLiquidation"], values["UnrealizedPnL"], values["MaintMarginReq"]) == (
        "1004.00",
        "4.00",
        "101.00",
    )
    assert account.values({})["NetLiquidation"] == "1000.00"
    assert margin_of(Decimal(101)) == Decimal("25.25")


def test_a_correction_changes_cost_or_profit() -> None:
    """A dearer buy raises the cost of what is held; once it is sold, a dearer sale raises the profit."""
    account = Account("DU1", Decimal(1000))
    account.book("SPY", BUY, 4, Decimal(100), Decimal(0))
    account.correct("SPY", BUY, Decimal(4))
    assert account.cash == 596
    assert account.held("SPY").average_cost == 101
    account.book("SPY", SELL, 4, Decimal(101), Decimal(0))
    account.correct("SPY", SELL, Decimal(4))
    assert account.cash == 1004
    assert account.realized("SPY") == 4
