from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aurora.clock import ManualClock
from aurora.errors import JournalDamaged, JournalWriteError, LockHeld
from aurora.execution.order_journal import Book, OrderJournal
from aurora.journal import read_journal
from aurora.market.order import Fill, OrderState, OrderStatus, Side
from aurora.market.position import Position
from tests.trading import START, make_order

BOOK = Book("live", "paper", "DU1", START.date())
PRICE = Decimal("168.00")


def open_orders(root: Path, day: date = BOOK.day) -> OrderJournal:
    """Open the journal of a day."""
    return OrderJournal.open(root, replace(BOOK, day=day), ManualClock(START))


def reopened(orders: OrderJournal, root: Path) -> OrderJournal:
    """Close a journal and open it again, as the next session does."""
    orders.close()
    return open_orders(root)


def make_fill(quantity: int = 5, execution_id: str = "x-1", fee: str | None = "1.00", **more: Any) -> Fill:
    """Return a fill of the order a-1."""
    values: dict[str, Any] = {"ref": "a-1", "side": Side.BUY, "price": PRICE, "at": START, **more}
    money = None if fee is None else Decimal(fee)
    return Fill(symbol="SPY", quantity=quantity, fee=money, execution_id=execution_id, **values)


@pytest.fixture
def orders(tmp_path: Path) -> Iterator[OrderJournal]:
    """Yield a journal with the order a-1 (five SPY at 168.10) in it."""
    with closing(open_orders(tmp_path)) as journal:
        journal.intend(make_order(), opens=True, held=0)
        yield journal


def test_account_and_day_have_one_file(orders: OrderJournal, tmp_path: Path) -> None:
    """Trading rule 9: mode, venue, account and exchange day name the journal; each line is one event."""
    events = read_journal(tmp_path / "orders/live-paper-DU1/2026-01-05.jsonl").events
    assert [event.type for event in events] == ["day.opened", "order.intent"]
    assert (events[0].data["account"], events[1].data["ref"], events[1].data["limit"]) == ("DU1", "a-1", "168.10")


def test_intent_is_read_back_as_it_was(orders: OrderJournal, tmp_path: Path) -> None:
    """Trading rule 8: after a restart an order without an answer is UNKNOWN, counted whole, and its ref is used."""
    again = reopened(orders, tmp_path)
    state = again.day.orders["a-1"]
    assert (state.order, state.status) == (make_order(), OrderStatus.UNKNOWN)
    assert again.day.open_refs() == ["a-1"]
    assert again.day.use.notional_usd == again.day.use.opened_usd == 5 * Decimal("168.10")
    assert again.day.use.has_seen("a-1")
    again.close()


def test_unknown_never_times_out(orders: OrderJournal, tmp_path: Path) -> None:
    """Trading rule 8: however often the day is read again, an order without evidence stays open."""
    orders.doubt("a-1", "sending failed: the line is down")
    for _ in range(3):
        orders = reopened(orders, tmp_path)
    assert orders.day.orders["a-1"].reason == "sending failed: the line is down"
    assert (orders.day.open_refs(), orders.day.use.notional_usd) == (["a-1"], 5 * Decimal("168.10"))
    orders.close()


@pytest.mark.parametrize("status", [OrderStatus.CANCELLED, OrderStatus.REJECTED, OrderStatus.NOT_RECEIVED])
def test_only_a_final_answer_gives_notional_back(orders: OrderJournal, status: OrderStatus) -> None:
    """Trading rule 9: what works keeps its whole notional; what ended unfilled gives it back."""
    orders.told(OrderState(make_order(), OrderStatus.WORKING))
    working = orders.day.use.notional_usd
    orders.told(OrderState(make_order(), status))
    assert [working, orders.day.use.notional_usd] == [5 * Decimal("168.10"), 0]


def test_fill_counts_once_however_often_it_is_told(orders: OrderJournal, tmp_path: Path) -> None:
    """A duplicate execution adds nothing, in this session or the next one."""
    assert orders.take_fills([make_fill()]).fills == [make_fill()]
    assert orders.take_fills([make_fill(), make_fill()]).fills == []
    again = reopened(orders, tmp_path)
    assert again.take_fills([make_fill()]).fills == []
    assert (again.day.holdings, again.day.cash_usd) == ({"SPY": 5}, -5 * PRICE - 1)
    again.close()


def test_late_fill_is_counted_after_the_order_ended(orders: OrderJournal) -> None:
    """Trading rule 9: a fill that comes after the order's end takes its notional again."""
    orders.told(OrderState(make_order(), OrderStatus.CANCELLED))
    assert orders.take_fills([make_fill(2)]).fills == [make_fill(2)]
    assert orders.day.use.notional_usd == 2 * Decimal("168.10")
    assert orders.day.holdings == {"SPY": 2}


def test_end_and_its_fills_count_once(orders: OrderJournal) -> None:
    """The venue says "3 filled" and tells the fills later: three shares are counted, not six."""
    orders.told(OrderState(make_order(), OrderStatus.CANCELLED, filled=3))
    orders.take_fills([make_fill(1, "x-1"), make_fill(2, "x-2")])
    assert orders.day.use.notional_usd == 3 * Decimal("168.10")


def test_corrected_fill_replaces_the_first_one(orders: OrderJournal, tmp_path: Path) -> None:
    """A correction takes the place of what it corrects: shares, money and fees; an older revision changes nothing."""
    orders.take_fills([make_fill()])
    corrected = make_fill(4, price=Decimal("167.00"), fee="2.00", revision=1)
    assert orders.take_fills([corrected]).anomalies == []
    orders.take_fills([make_fill()])
    again = reopened(orders, tmp_path)
    assert (again.day.holdings, again.day.cash_usd) == ({"SPY": 4}, -4 * Decimal(167) - 2)
    assert again.day.use.fees_usd == 2
    assert again.day.filled(corrected.ref) == 4
    again.close()


def test_commission_may_come_late_or_never(orders: OrderJournal) -> None:
    """A commission that is not told yet counts as IBKR's minimum, never as zero, until it comes; then as it is."""
    orders.take_fills([make_fill(fee=None)])
    before = (orders.day.fees_missing(), orders.day.use.fees_usd)
    orders.take_fills([make_fill(fee="0.35")])
    assert before == (1, Decimal(1))
    assert (orders.day.fees_missing(), orders.day.use.fees_usd, orders.day.cash_usd) == (
        0, Decimal("0.35"), -5 * PRICE - Decimal("0.35"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("fills", "said"),
    [
        ([make_fill(ref="theirs")], "foreign execution x-1: BUY 5 SPY at 168.00 USD"),
        ([make_fill(), make_fill(3)], "two executions are called x-1: BUY 5 SPY at 168.00 USD, and BUY 3 SPY"),
        ([make_fill(), make_fill(1, "x-2")], "a-1: 6 shares were filled, 5 were ordered"),
    ],
)
def test_fills_that_cannot_be_are_anomalies_said_once(orders: OrderJournal, fills: list[Fill], said: str) -> None:
    """Trading rules 2, 11: a foreign execution, two of one id, and more than was ordered are each said, once."""
    (anomaly,) = orders.take_fills(fills).anomalies
    assert said in anomaly
    assert orders.take_fills(fills).anomalies == []


def test_second_session_of_an_account_is_refused(orders: OrderJournal, tmp_path: Path) -> None:
    """Two sessions at once would each count half of the day: the second one is refused, until the first has ended."""
    with pytest.raises(LockHeld, match="live-paper-DU1"):
        open_orders(tmp_path)
    reopened(orders, tmp_path).close()


def test_refused_disk_stops_openings_and_not_the_exit(orders: OrderJournal) -> None:
    """Trading rule 5: what opens is not sent without its line; the exit's journal is best effort, and still counted."""
    orders._journal._failed = True  # type: ignore[union-attr]
    with pytest.raises(JournalWriteError):
        orders.intend(make_order("a-2"), opens=True, held=0)
    assert not orders.day.use.has_seen("a-2")
    orders.intend(make_order("a-3", Side.SELL), opens=False, held=0, must=False)
    orders.take_fills([make_fill(), make_fill(5, "x-2", ref="a-3", side=Side.SELL)])
    assert orders.broken is not None
    assert (orders.day.use.has_seen("a-3"), orders.day.holdings["SPY"]) == (True, 0)


def test_capital_is_frozen_by_the_first_session(orders: OrderJournal, tmp_path: Path) -> None:
    """Trading rule 9: capital is min(profile, account) at the day's first session; only a profile lowers it."""
    first = orders.join("one", Decimal(100_000), Decimal(80_000))
    again = reopened(orders, tmp_path)
    later = [again.join("two", Decimal(limit), Decimal(120_000)) for limit in (100_000, 50_000)]
    assert [first, *later] == [80_000, 80_000, 50_000]
    again.close()


def test_pnl_and_high_water_go_on_the_next_day(orders: OrderJournal, tmp_path: Path) -> None:
    """Trading rule 9: the day's P&L begins at zero; what was won and lost before, and the highest of it, are kept."""
    orders.take_fills([make_fill(), make_fill(5, "x-2", side=Side.SELL, price=PRICE + 10)])
    assert orders.day.pnl_usd({}) == 48
    orders.mark(Decimal(48))
    orders.mark(Decimal(40))
    orders.close()
    tomorrow = open_orders(tmp_path, BOOK.day + timedelta(days=1))
    day = tomorrow.day
    assert [day.pnl_usd({}), day.total_pnl_usd({}), day.high_water_usd] == [0, 48, 48]
    assert tomorrow.day.use.notional_usd == 0
    tomorrow.close()


def test_unlock_begins_the_high_water_mark_anew_once(orders: OrderJournal, tmp_path: Path) -> None:
    """Trading rule 9: only an unlock lowers the high-water mark, and each unlock once."""
    for pnl, unlock in ((500, ""), (100, "u-1"), (50, "u-1")):
        orders.mark(Decimal(pnl), unlock)
    again = reopened(orders, tmp_path)
    assert (again.day.high_water_usd, again.day.unlocked) == (Decimal(100), "u-1")
    again.close()


def test_holdings_are_marked_at_the_last_bid(orders: OrderJournal) -> None:
    """Trading rule 9: longs are marked at the last valid bid, without one at the price they traded at."""
    orders.take_fills([make_fill(fee="0")])
    assert (orders.day.pnl_usd({}), orders.day.pnl_usd({"SPY": PRICE - 2})) == (Decimal(0), Decimal(-10))


def test_simulated_book_ends_with_its_session(orders: OrderJournal, tmp_path: Path) -> None:
    """A simulated book is gone after a crash: its open orders end, its shares count as sold at their last price."""
    orders.take_fills([make_fill(2, fee="0")])
    orders.lose_book()
    again = reopened(orders, tmp_path)
    assert again.day.open_refs() == []
    assert again.day.holdings == {}
    assert again.day.pnl_usd({"SPY": Decimal(1)}) == 0
    assert again.day.use.notional_usd == 2 * Decimal("168.10")
    again.close()


def test_torn_last_line_is_cut_and_the_rest_holds(orders: OrderJournal, tmp_path: Path) -> None:
    """A line that a crash left half written was never an order: its bytes went out only after the whole line."""
    orders.close()
    path = tmp_path / "orders/live-paper-DU1/2026-01-05.jsonl"
    with path.open("ab") as file:
        file.write(b'{"seq": 3, "prev"')
    again = open_orders(tmp_path)
    assert list(again.day.orders) == ["a-1"]
    again.close()


def test_changed_journal_is_refused(orders: OrderJournal, tmp_path: Path) -> None:
    """A journal that somebody changed counts for nothing: no session trades on it, and the lock is given back."""
    orders.join("one", Decimal(1), Decimal(1))
    orders.close()
    path = tmp_path / "orders/live-paper-DU1/2026-01-05.jsonl"
    path.write_text(path.read_text().replace('"quantity":5', '"quantity":1'))
    for _ in range(2):
        with pytest.raises(JournalDamaged):
            open_orders(tmp_path)


def test_empty_file_is_a_day_not_begun(tmp_path: Path) -> None:
    """A machine that died between making the file and its first line leaves an empty one: the day begins anew."""
    (tmp_path / "orders/live-paper-DU1").mkdir(parents=True)
    (tmp_path / "orders/live-paper-DU1/2026-01-05.jsonl").touch()
    orders = open_orders(tmp_path)
    assert orders.day.orders == {}
    orders.close()


def test_position_that_nothing_explains_is_adopted_once(orders: OrderJournal, tmp_path: Path) -> None:
    """What a flatten finds beyond the record is put on record, at its cost, so that what closes it is explained."""
    held = [Position("IBM", -3, Decimal(200)), Position("SPY", 7, PRICE)]
    assert orders.adopt(held) == ["-3 IBM"]  # the order a-1 for SPY has no end yet
    assert orders.adopt(held) == []
    again = reopened(orders, tmp_path)
    assert (again.day.holdings, again.day.pnl_usd({})) == ({"IBM": -3}, Decimal(0))
    again.close()
