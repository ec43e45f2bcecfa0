from __future__ import annotations

import json
import math
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aurora.analytics.rollup import HoldCount, Holding, SessionRollup, roll_up
from aurora.errors import OperatorError, RecordError

Line = dict[str, Any]
HEADER: Line = {
    "type": "session.opened", "schema": 1, "mode": "live", "venue": "simulated", "quotes": "dummy:seed=7",
    "realtime": False, "symbols": ["SPY", "TSLA"],
}  # fmt: skip


def decision(ref: str, side: str = "BUY", quantity: int = 5, *, opens: bool = True, stage: str = "broker") -> Line:
    """Return a decision at a mid of 100 with a limit ten cents away."""
    limit = "100.10" if side == "BUY" else "99.90"
    return {"ref": ref, "side": side, "quantity": quantity, "limit": limit, "decision_mid": "100.00",
            "opens": opens, "stage": stage, "reason": "", "symbol": "SPY"}  # fmt: skip


def fill(ref: str, side: str = "BUY", quantity: int = 5, price: str = "100.02", fee: str | None = "1.00") -> Line:
    """Return a fill."""
    return {"ref": ref, "symbol": "SPY", "side": side, "quantity": quantity, "price": price, "fee": fee}


def poll(step: int | None = 1, **more: Any) -> Line:
    """Return a poll's line in which nothing happened, but for `more`."""
    return {
        "type": "poll", "n": 1, "step": step, "holds": {}, "decisions": [], "orders": [], "fills": [],
        "positions": {}, "cash": "100000", "anomalies": [], "fallbacks": 0,
        "phase_times_ms": {"quotes": 1.0, "risk": 0.5}, **more,
    }  # fmt: skip


FLATTEN: Line = {
    "type": "flatten",
    "decisions": [],
    "orders": [],
    "fills": [],
    "positions": {},
    "cash": "99990",
    "flat": True,
}
CLOSED: Line = {"type": "session.closed", "result": {"anomalies": []}}


@pytest.fixture
def roll(tmp_path: Path) -> Callable[..., SessionRollup]:
    """Return a function that rolls up a record of the lines that it is given."""

    def write_and_roll(*lines: Line | str, trade: int = 1000, day: int = 5000) -> SessionRollup:
        path = tmp_path / "session.jsonl"
        path.write_text("".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines))
        return roll_up(path, trade_cap_usd=Decimal(trade), notional_cap_usd=Decimal(day))

    return write_and_roll


def test_commission_that_was_not_told_is_counted_as_missing(roll: Callable[..., SessionRollup]) -> None:
    """Trading rule 4: fees that can't be seen are said to be missing; they are in no figure, and never a zero."""
    fills = [fill("a-1", quantity=2), fill("a-1", quantity=3, fee=None)]
    rollup = roll(HEADER, poll(decisions=[decision("a-1")], fills=fills), FLATTEN, CLOSED)
    assert (rollup.fees_usd, rollup.fees_missing) == (Decimal("1.00"), 1)
    assert rollup.fee_p95_bps == Decimal("49.99")


def test_head_is_the_sessions(roll: Callable[..., SessionRollup]) -> None:
    """A rollup says which mode, venue and quotes its figures are of."""
    rollup = roll(HEADER, poll(None), poll(), FLATTEN, CLOSED)
    assert (rollup.mode, rollup.venue, rollup.quotes, rollup.realtime) == ("live", "simulated", "dummy:seed=7", False)
    assert (rollup.polls, rollup.steps, rollup.closed, rollup.flat) == (2, 1, True, True)


def test_trades_are_added_up(roll: Callable[..., SessionRollup]) -> None:
    """Orders, fills, fees and turnover are sums over the record; blocked orders are counted apart."""
    rollup = roll(
        HEADER,
        poll(decisions=[decision("a"), decision("b", stage="limits")]),
        poll(orders=[{"ref": "a", "filled": 5}], fills=[fill("a")], decisions=[decision("c", "SELL", opens=False)]),
        FLATTEN | {"orders": [{"ref": "c", "filled": 5}], "fills": [fill("c", "SELL", price="99.99", fee="1.25")]},
        CLOSED,
    )
    assert (rollup.orders, rollup.blocked, rollup.fills) == (2, 1, 2)
    assert rollup.fees_usd == Decimal("2.25")
    assert rollup.turnover_usd == 5 * Decimal("100.02") + 5 * Decimal("99.99")
    assert (rollup.largest_trade_usd, rollup.opened_usd) == (Decimal("500.50"), Decimal("500.50"))
    assert rollup.notional_usd == Decimal("500.50") + Decimal("500.00")
    assert rollup.cash_usd == 99_990


def test_shadow_orders_count_as_orders(roll: Callable[..., SessionRollup]) -> None:
    """A shadow session's orders were let through, too."""
    assert roll(HEADER, poll(decisions=[decision("a", stage="shadow")]), FLATTEN, CLOSED).orders == 1


def test_unfilled_rest_does_not_count(roll: Callable[..., SessionRollup]) -> None:
    """Trading rule 9: what ended unfilled is given back."""
    rollup = roll(HEADER, poll(decisions=[decision("a")], orders=[{"ref": "a", "filled": 2}]), FLATTEN, CLOSED)
    assert rollup.notional_usd == 2 * Decimal("100.10")


@pytest.mark.parametrize(
    ("trade", "day", "breaches"),
    [
        (501, 501, []),
        (500, 501, ["largest opening order 500.50 USD, limit a trade 500.00 USD"]),
        (501, 500, ["notional 500.50 USD, daily cap 500.00 USD"]),
    ],
)
def test_caps_are_checked_again(roll: Callable[..., SessionRollup], trade: int, day: int, breaches: list[str]) -> None:
    """The caps are held against the record once more, independent of the router that kept them."""
    rollup = roll(HEADER, poll(decisions=[decision("a")]), FLATTEN, CLOSED, trade=trade, day=day)
    assert (rollup.breaches, rollup.within_caps) == (breaches, not breaches)
    assert (rollup.trade_cap_usd, rollup.notional_cap_usd) == (Decimal(trade), Decimal(day))


def test_slippage_is_signed_and_without_fees(roll: Callable[..., SessionRollup]) -> None:
    """Trading rule 17: slippage is side × (fill − mid) / mid in bps, without fees; under twenty fills say little."""
    rollup = roll(
        HEADER,
        poll(
            decisions=[decision("a"), decision("b", "SELL")],
            fills=[fill("a", price="100.02", fee="9.99"), fill("b", "SELL", price="99.95")],
        ),
        FLATTEN,
        CLOSED,
    )
    assert (rollup.slippage_median_bps, rollup.slippage_p95_bps) == (Decimal(2), Decimal(5))
    assert rollup.slippage_enough is False


def test_twenty_fills_are_enough(roll: Callable[..., SessionRollup]) -> None:
    """Trading rule 17: from twenty fills on, slippage can be used."""
    rollup = roll(HEADER, poll(decisions=[decision("a")], fills=[fill("a")] * 20), FLATTEN, CLOSED)
    assert rollup.slippage_enough
    assert rollup.fee_p95_bps == pytest.approx(Decimal("19.996"))


def test_the_stricter_cap_counts(roll: Callable[..., SessionRollup]) -> None:
    """Capital is frozen by the day's first session: a session held to less has that for its cap, never more."""
    for own, cap in (("400", 400), ("90000", 1000)):
        header = {**HEADER, "limits": {"per_trade_notional_usd": own, "notional_daily_cap_usd": "450"}}
        rollup = roll(header, poll(decisions=[decision("a-1")]), FLATTEN, CLOSED)
        assert [rollup.trade_cap_usd, rollup.notional_cap_usd] == [cap, 450]
        assert not rollup.within_caps
    with pytest.raises(RecordError, match="can't be computed"):
        roll({**HEADER, "limits": {"per_trade_notional_usd": "much"}}, poll(), CLOSED)


def test_the_days_notional_is_what_the_session_told_at_its_end(roll: Callable[..., SessionRollup]) -> None:
    """Sessions of a day share its cap, and each tells the day's sum; never less than its own record, never a guess."""
    bought = poll(decisions=[decision("a-1")])
    own = roll(HEADER, bought, FLATTEN, CLOSED).notional_usd
    for told, day in (("4000", 4000), ("0", own), (None, None)):
        result = {"anomalies": []} if told is None else {"anomalies": [], "notional_usd": told}
        assert roll(HEADER, bought, FLATTEN, {**CLOSED, "result": result}).day_notional_usd == day
    assert roll(HEADER, bought).day_notional_usd is None


def test_nothing_traded_has_no_slippage(roll: Callable[..., SessionRollup]) -> None:
    """Of no fills, slippage and fees are unknown, not zero."""
    rollup = roll(HEADER, FLATTEN, CLOSED)
    assert (rollup.slippage_median_bps, rollup.fee_p95_bps, rollup.loop_p95_ms) == (None, None, None)


def test_holds_are_counted_by_symbol_and_reason(roll: Callable[..., SessionRollup]) -> None:
    """HOLDs are polls by symbol and tripwire."""
    stale, wide = {"kind": "stale", "reason": ""}, {"kind": "wide", "reason": ""}
    rollup = roll(
        HEADER, poll(holds={"SPY": [stale]}), poll(holds={"SPY": [stale, wide], "TSLA": [wide]}), FLATTEN, CLOSED
    )
    assert rollup.holds == [HoldCount("SPY", "stale", 2), HoldCount("SPY", "wide", 1), HoldCount("TSLA", "wide", 1)]


def test_the_most_held_symbol_is_told_without_halts(roll: Callable[..., SessionRollup]) -> None:
    """As the circuit breaker counts: the share is of the worst symbol's polls, and a halt is the venue's doing."""
    stale, halted = {"kind": "stale", "reason": ""}, {"kind": "halted", "reason": ""}
    polls = [poll(), poll(holds={"SPY": [stale], "TSLA": [halted, stale]}), poll(), poll()]
    assert roll(HEADER, *polls, FLATTEN, CLOSED).hold_share_pct == Decimal(25)
    polls = [poll(holds={"SPY": [halted], "TSLA": [halted]})]
    assert roll(HEADER, *polls, FLATTEN, CLOSED).hold_share_pct is None


def test_lost_heartbeats_are_waits_of_over_two_intervals(roll: Callable[..., SessionRollup]) -> None:
    """Exactly two intervals are none; without the interval, or one poll's time, nobody knows."""
    opened = {**HEADER, "settings": {"poll_sec": "5"}}
    at = [poll(at=f"2026-11-20T15:00:{second:02}.000000Z") for second in (0, 5, 15, 26, 31)]
    assert roll(opened, *at, CLOSED).heartbeat_gaps == 1
    for head, polls in ((HEADER, at), (opened, [*at, poll()]), (opened, []), ({**opened, "settings": {}}, at)):
        assert roll(head, *polls, CLOSED).heartbeat_gaps is None


def test_latency_is_of_the_loops(roll: Callable[..., SessionRollup]) -> None:
    """The p95 is over the sums of each loop's phases."""
    polls = [poll(phase_times_ms={"quotes": float(n), "record": 0.5}) for n in range(1, 21)]
    assert roll(HEADER, *polls, FLATTEN, CLOSED).loop_p95_ms == Decimal("19.5")


def test_killed_session_is_an_anomaly(roll: Callable[..., SessionRollup]) -> None:
    """A record that was cut by a kill is not closed, not flat, and says so among the anomalies."""
    rollup = roll(HEADER, poll(positions={"SPY": 5}, fallbacks=1, anomalies=["first"]), '{"type":"po')
    assert (rollup.closed, rollup.flat, rollup.fallbacks) == (False, False, 1)
    assert rollup.anomalies == ["first", "the session was killed: no last line"]
    assert rollup.positions == [Holding("SPY", 5)]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ((), ":1: not a line of a session's record: there is no session.opened"),
        ((HEADER, "{\n"), ":2: not a line"),
        ((HEADER, {"type": "poll"}), ":2: not a line of a session's record: KeyError"),
        ((HEADER, poll(cash="much")), ":2: not a line of a session's record: InvalidOperation"),
        ((HEADER, poll(orders=[{"ref": "x", "filled": 1}])), ":2: not a line of a session's record: KeyError: 'x'"),
        ((HEADER, []), ":2: not a line"),
        ((HEADER, poll(phase_times_ms={"quotes": math.nan})), ":2: not a line"),
        ((HEADER, poll(cash="NaN")), ":1: not a line of a session's record: cash_usd comes to no number"),
        ((HEADER, poll(fills=[fill("x")])), ":1: not a line of a session's record: its figures can't be computed"),
        (
            (HEADER, poll(decisions=[decision("a") | {"decision_mid": "0"}], fills=[fill("a")])),
            "its figures can't be computed: DivisionByZero",
        ),
    ],
)
def test_damaged_record_is_refused_by_file_and_line(
    roll: Callable[..., SessionRollup], lines: tuple[Any, ...], said: str
) -> None:
    """Figures of a damaged record would be made up: it is refused with file and line."""
    with pytest.raises(RecordError) as caught:
        roll(*lines)
    assert said in caught.value.what


def test_missing_record_is_an_operators_error(tmp_path: Path) -> None:
    """A record that is not there is told by name."""
    with pytest.raises(OperatorError, match=r"nowhere\.jsonl can't be read"):
        roll_up(tmp_path / "nowhere.jsonl", trade_cap_usd=Decimal(1), notional_cap_usd=Decimal(1))


def test_binary_is_refused(tmp_path: Path) -> None:
    """A file that is not text is no record."""
    (tmp_path / "x").write_bytes(b"\xff\xfe\n")
    with pytest.raises(RecordError, match="not text"):
        roll_up(tmp_path / "x", trade_cap_usd=Decimal(1), notional_cap_usd=Decimal(1))
