from __future__ import annotations

from decimal import Decimal

from aurora.execution.router import Decision, Settlement, Stage
from aurora.market.order import Fill, OrderState, OrderStatus, Side
from aurora.market.position import Position
from aurora.session.tally import Tally, equity_usd
from tests.trading import START, make_order


def test_decisions_are_counted_by_how_far_they_came() -> None:
    """Orders are those that every check let through; sent ones went to a broker; the others are blocked."""
    tally = Tally()
    for stage in Stage:
        tally.count_decision(Decision(make_order(), True, stage, ""))
    assert (tally.orders, tally.orders_sent, tally.blocked) == (2, 1, len(Stage) - 2)
    assert tally.largest_trade_usd == 5 * Decimal("168.10")


def test_fills_and_rejects_are_counted() -> None:
    """Turnover is shares times price; a reject is told apart from a cancel."""
    fills = tuple(Fill("a", "SPY", side, 3, Decimal(100), Decimal(1), START) for side in Side)
    ends = tuple(OrderState(make_order(), status) for status in (OrderStatus.REJECTED, OrderStatus.CANCELLED))
    tally = Tally()
    tally.count_settlement(Settlement(fills, ends))
    assert (tally.fills, tally.turnover_usd, tally.rejected) == (2, Decimal(600), 1)


def test_decided_bars_are_those_of_the_poorest_symbol() -> None:
    """Trading rule 18: bars decided are those of the symbol that has the fewest; one without any has none."""
    tally = Tally()
    for symbols in (["SPY", "TSLA"], ["SPY"], ["SPY"]):
        tally.count_bars(symbols)
    assert tally.bars_decided(["SPY", "TSLA"]) == 1
    assert tally.bars_decided(["SPY", "IBM"]) == 0


def test_longs_are_marked_at_the_last_bid() -> None:
    """Trading rule 9: longs are marked at the last valid bid; without one, at what they cost."""
    held = [Position("SPY", 2, Decimal(90)), Position("TSLA", 1, Decimal(50))]
    assert equity_usd(Decimal(1000), held, {"SPY": Decimal(100)}) == 1250
