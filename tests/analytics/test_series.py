from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from aurora.analytics.period import pool_sessions
from aurora.analytics.rollup import roll_up
from aurora.analytics.scan import PHASES
from aurora.analytics.series import MOST_POINTS, Series, period_series, session_series
from aurora.errors import RecordError
from tests.analytics.test_period import (
    CLOSED,
    FLATTEN,
    FOLDER,
    NOW,
    START,
    Line,
    decision,
    fill,
    header,
    iso,
    plain_drawdown,
    poll,
    quote,
    write,
)  # fmt: skip
from tests.steps.support import call


def series_of(root: Path, *lines: Line) -> Series:
    """Return the series of a record of these lines."""
    write(root, *lines)
    return session_series(root / FOLDER / "session.jsonl")


def held(number: int, bid: str | None, cash: str = "99000", shares: int = 10) -> Line:
    """Return a poll with so many shares of SPY held, its bid, and cash."""
    at = START + timedelta(seconds=5 * number)
    return poll(number, quotes={"SPY": quote(at, bid)}, positions={"SPY": shares}, cash=cash)


def test_each_poll_is_a_point(tmp_path: Path) -> None:
    """A point has its poll's time, its loop's own time, and cash plus what is held at the last valid bid."""
    found = series_of(tmp_path, header(), held(1, "100.00"), held(2, "99.00"), held(3, None), CLOSED)
    assert [point.at for point in found.points] == [START + timedelta(seconds=5 * number) for number in (1, 2, 3)]
    assert [point.loop_ms for point in found.points] == [float(len(PHASES))] * 3
    assert [point.equity_usd for point in found.points] == [100_000.0, 99_990.0, 99_990.0]
    assert (found.loops, found.subject) == ("each poll", "paper session, SPY, TSLA")


def test_equity_without_a_mark_is_unknown(tmp_path: Path) -> None:
    """What is held and was never seen with a bid has no worth; nor has what the venue did not tell."""
    lines = [held(1, None), held(2, "100.00"), {**held(3, "100.00"), "positions": None}, {**poll(4), "cash": None}]
    found = series_of(tmp_path, header(), *lines, CLOSED)
    assert [point.equity_usd for point in found.points] == [None, 100_000.0, None, None]
    assert (found.used_pct["loss"], found.used_pct["drawdown"]) == (None, None)


def test_long_sessions_keep_their_extremes_in_few_points(tmp_path: Path) -> None:
    """Where there are more polls than points, each stands for several: the slowest loop, the lowest equity."""
    count = 5 * MOST_POINTS
    times = {"phase_times_ms": dict.fromkeys(PHASES, 9.0)}
    lines = [
        {**held(number, "50.00" if number == 777 else "100.00"), **(times if number == 4321 else {})}
        for number in range(1, count + 1)
    ]
    found = series_of(tmp_path, header(), *lines, CLOSED)
    assert MOST_POINTS // 2 <= len(found.points) <= MOST_POINTS + 1
    assert max(point.loop_ms or 0 for point in found.points) == 9.0 * len(PHASES)
    assert min(point.low_usd or 0 for point in found.points) == 99_500.0
    assert found.loops == "slowest of 8 polls"
    assert (found.points[0].at, found.points[-1].equity_usd) == (START + timedelta(seconds=5), 100_000.0)


LIMITS = {
    "per_trade_notional_usd": "1000", "notional_daily_cap_usd": "25000", "daily_fee_cap_usd": "50",
    "daily_loss_limit_usd": "500", "max_drawdown_usd": "2000",
}  # fmt: skip


def test_limits_used_are_shares_of_the_records_own(tmp_path: Path) -> None:
    """Each limit's share is of what the record says the limit was, as the rollup counts what was used."""
    ended = {"ref": "a", "status": "FILLED", "filled": 5, "reason": ""}
    lines = [
        held(1, "100.00"),
        {**held(2, "95.00"), "decisions": [decision("a")], "fills": [fill("a")], "orders": [ended]},
    ]
    found = series_of(tmp_path, header(limits=LIMITS), *lines, FLATTEN, CLOSED)
    assert found.used_pct == pytest.approx({
        "largest trade": 50.05, "notional": 2.002, "fees": 2.0, "loss": 10.0, "drawdown": 2.5,
    })  # fmt: skip
    assert float(plain_drawdown(lines)) == 50.0
    assert found.slippage_bps == pytest.approx([2.0])


@pytest.mark.parametrize(
    "limits", [{}, dict.fromkeys(LIMITS, "0"), dict.fromkeys(LIMITS, "much"), dict.fromkeys(LIMITS, "NaN")]
)
def test_limits_that_are_not_recorded_have_no_share(tmp_path: Path, limits: Line) -> None:
    """Without a limit on record, or with one that is no positive number, nothing is divided by it."""
    found = series_of(tmp_path, header(limits=limits), poll(1), CLOSED)
    assert set(found.used_pct.values()) == {None}


def test_a_fee_that_was_not_told_makes_fees_unknown(tmp_path: Path) -> None:
    """Fees that can't be seen are not checked, never zero."""
    line = poll(1, decisions=[decision("a")], fills=[fill("a", fee=None)])
    assert series_of(tmp_path, header(limits=LIMITS), line, CLOSED).used_pct["fees"] is None


@pytest.mark.parametrize("wrong", [
    {"fills": [fill("nowhere")]},
    {"decisions": [decision("a", mid="0")], "fills": [fill("a")]},
    {"quotes": {"SPY": {"bid": "much"}}},
    {"phase_times_ms": {"quotes": float("nan")}},
    {"at": "noon"},
])  # fmt: skip
def test_a_damaged_record_is_refused(tmp_path: Path, wrong: Line) -> None:
    """Figures of a damaged record would be made up; it is refused as the rollup refuses it, and no traceback."""
    with pytest.raises(RecordError, match=r"session\.jsonl"):
        series_of(tmp_path, header(), poll(1, **wrong), CLOSED)


def test_a_real_sessions_series_agrees_with_its_rollup(tmp_path: Path) -> None:
    """Of a session that ran: a point for each poll and flatten, a slip for each fill, its equity at the end."""
    result = call("session.live", tmp_path, symbols=["SPY", "TSLA"], steps=120)
    path = tmp_path / result.recording
    rollup = roll_up(path, trade_cap_usd=Decimal(1000), notional_cap_usd=Decimal(25_000))
    found = session_series(path)
    lines = [json.loads(line)["type"] for line in path.read_text().splitlines()]
    assert len(found.points) == lines.count("poll") + lines.count("flatten")
    assert len(found.slippage_bps) == rollup.fills
    assert found.points[-1].equity_usd == float(rollup.cash_usd or 0)
    assert found.used_pct["notional"] == pytest.approx(float(rollup.notional_usd / 250))


def test_a_period_has_a_point_a_session(tmp_path: Path) -> None:
    """Sessions follow each other by their begin; P&L adds up, until one of them does not tell it."""
    later, last = ("sessions/2026-11-20T160000.000Z-bbbb", "sessions/2026-11-20T170000.000Z-cccc")
    for folder in (FOLDER, later):
        write(
            tmp_path,
            header(session=folder),
            poll(1, decisions=[decision("a")], fills=[fill("a")]),
            CLOSED,
            folder=folder,
        )
    write(tmp_path, header(session="c"), poll(1), {**CLOSED, "result": {"anomalies": []}}, folder=last)
    found = period_series(pool_sessions(tmp_path, "paper", NOW, 7), "paper", 7)
    assert [point.equity_usd for point in found.points] == [-1.5, -3.0, None]
    assert [point.at.hour for point in found.points] == [15, 16, 17]
    assert (len(found.slippage_bps), found.subject) == (2, "3 paper sessions of 7 days")
    assert set(found.used_pct) == {"largest trade", "notional"}
    assert iso(START).startswith("2026-11-20T15:00")


def test_a_period_without_a_session_has_nothing(tmp_path: Path) -> None:
    """Nothing recorded is nothing to draw, and nothing divides by zero."""
    found = period_series(pool_sessions(tmp_path, "paper", NOW, 7), "paper", 7)
    assert (found.points, found.slippage_bps) == ([], [])
    assert set(found.used_pct.values()) == {None}
