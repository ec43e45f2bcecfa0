from __future__ import annotations

import json
import math
import random
import shutil
import tarfile
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurora.analytics.period import PeriodRollup, roll_up_period
from aurora.analytics.scan import PHASES

Line = dict[str, Any]
NOW = datetime(2026, 11, 20, 22, 0, tzinfo=UTC)
FOLDER = "sessions/2026-11-20T150000.000Z-abcd"
START = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
SYMBOLS = ("SPY", "TSLA")


def iso(instant: datetime) -> str:
    """Return an instant as a record has it."""
    return instant.isoformat(timespec="microseconds").replace("+00:00", "Z")


def header(**more: Any) -> Line:
    """Return a record's first line."""
    return {
        "type": "session.opened", "schema": 1, "session": "s", "mode": "paper", "venue": "simulated",
        "quotes": "ibkr", "realtime": True, "symbols": list(SYMBOLS), "settings": {"poll_sec": "5"},
        "limits": {"per_trade_notional_usd": "1000", "notional_daily_cap_usd": "25000"}, "at": iso(START), **more,
    }  # fmt: skip


def quote(at: datetime, bid: str | None = "100.00", ask: str | None = "100.02") -> Line:
    """Return a quote."""
    return {"at": iso(at), "bid": bid, "ask": ask, "bid_size": 1, "ask_size": 1, "halted": False}


def poll(number: int, **more: Any) -> Line:
    """Return a poll in which nothing happened, but for `more`."""
    at = START + timedelta(seconds=5 * number)
    return {
        "type": "poll", "n": number, "step": number, "at": iso(at), "quotes": {"SPY": quote(at)}, "holds": {},
        "decisions": [], "orders": [], "fills": [], "positions": {}, "cash": "100000", "anomalies": [], "fallbacks": 0,
        "phase_times_ms": dict.fromkeys(PHASES, 1.0), **more,
    }  # fmt: skip


def decision(ref: str, side: str = "BUY", quantity: int = 5, mid: str = "100.00") -> Line:
    """Return a decision that was sent."""
    return {"ref": ref, "symbol": "SPY", "side": side, "quantity": quantity, "limit": "100.10", "decision_mid": mid,
            "opens": side == "BUY", "stage": "broker", "reason": ""}  # fmt: skip


def fill(ref: str, price: str = "100.02", side: str = "BUY", fee: str | None = "1.00") -> Line:
    """Return a fill of five shares."""
    return {"ref": ref, "symbol": "SPY", "side": side, "quantity": 5, "price": price, "fee": fee, "at": iso(START)}


CLOSED: Line = {"type": "session.closed", "at": iso(START), "result": {"pnl_usd": "-1.5", "anomalies": []}}
FLATTEN: Line = {"type": "flatten", "at": iso(START), "decisions": [], "orders": [], "fills": [], "positions": {},
                 "cash": "100000", "flat": True}  # fmt: skip


def write(root: Path, *lines: Line | bytes, folder: str = FOLDER) -> None:
    """Write a record."""
    path = root / folder / "session.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = (line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines)
    path.write_bytes(b"".join(raw))


def roll(root: Path, mode: str = "paper", days: int = 7) -> PeriodRollup:
    """Roll up what is recorded."""
    return roll_up_period(root, mode, NOW, days)


def problems(rollup: PeriodRollup) -> list[tuple[str, int]]:
    """Return what is wrong, without the files."""
    return [(problem.what, problem.count) for problem in rollup.problems]


# ── An independent computation ───────────────────────────────────────────────────────────────────────────────────────
def plain_rank(values: list[Any], share: float) -> Any:
    """Return a quantile by nearest rank, the slow way."""
    return sorted(values)[math.ceil(share * len(values)) - 1] if values else None


def thousandths(value: float) -> Decimal:
    """Round to three places as the rollup says that it does."""
    return Decimal(math.floor(value * 1000 + 0.5)) / 1000


def plain_false_holds(polls: list[Line]) -> int:
    """Count looks held for age or a missed quote alone, of a symbol that is seen and fit at the next poll."""
    return sum(
        {hold["kind"] for hold in holds} <= {"stale", "missed"}
        and symbol in after["quotes"]
        and not after["holds"].get(symbol)
        for this, after in pairwise(polls)
        for symbol, holds in this["holds"].items()
    )  # fmt: skip


def plain_drawdown(polls: list[Line]) -> Decimal:
    """Return the deepest fall of cash and holdings at the last valid bid."""
    bids: dict[str, Decimal] = {}
    peak, fall = Decimal("-Infinity"), Decimal(0)
    for line in polls:
        for symbol, seen in line["quotes"].items():
            if seen is not None and seen["bid"] is not None:
                bids[symbol] = Decimal(seen["bid"])
        worth = sum((quantity * bids[symbol] for symbol, quantity in line["positions"].items()), Decimal(0))
        equity = Decimal(line["cash"]) + worth
        peak = max(peak, equity)
        fall = max(fall, peak - equity)
    return fall


cents = st.integers(9000, 11000).map(lambda value: f"{value / 100:.2f}")
kinds = st.sampled_from(["stale", "missed", "wide", "halted"])


@st.composite
def records(draw: st.DrawFn) -> list[Line]:
    """Draw the polls of a session; the first one sees a whole quote of each symbol."""
    polls = []
    for number in range(1, draw(st.integers(1, 12)) + 1):
        at = START + timedelta(seconds=5 * number)
        quotes: dict[str, Any] = {}
        for symbol in SYMBOLS:
            bid, wide = draw(cents), draw(st.integers(0, 50))
            shown = draw(st.booleans()) or number == 1
            ask = f"{float(bid) + wide / 100:.2f}"
            ticked = at - timedelta(microseconds=draw(st.integers(0, 3_000_000)))
            quotes[symbol] = quote(ticked, bid if shown else None, ask)
        holds = {
            symbol: [{"kind": kind, "reason": ""} for kind in found]
            for symbol in SYMBOLS
            if (found := draw(st.lists(kinds, max_size=2, unique=True)))
        }
        times = {name: draw(st.integers(0, 9_999)) / 1000 for name in PHASES}
        held = {symbol: draw(st.integers(1, 9)) for symbol in draw(st.sets(st.sampled_from(SYMBOLS)))}
        traded: Line = {}
        if draw(st.booleans()):
            ref = f"r-{number}"
            fee = draw(st.sampled_from([None, "1.00", "0.35"]))
            side = draw(st.sampled_from(["BUY", "SELL"]))
            traded = {
                "decisions": [decision(ref, side, mid=draw(cents))],
                "fills": [fill(ref, draw(cents), side, fee)],
                "orders": [{"ref": ref, "status": "FILLED", "filled": 5, "reason": ""}],
            }
        cash = f"{draw(st.integers(90_000_00, 110_000_00)) / 100:.2f}"
        polls.append(
            poll(number, quotes=quotes, holds=holds, phase_times_ms=times, positions=held, cash=cash, **traded)
        )
    return polls


@settings(max_examples=60, deadline=None)
@given(polls=records())
def test_figures_are_those_of_a_plain_computation(polls: list[Line]) -> None:
    """Every figure equals what Python alone makes of the same lines."""
    with TemporaryDirectory() as folder:
        root = Path(folder)
        write(root, header(), *polls, CLOSED)
        found = roll(root)
    assert found.known, found.problems
    assert (found.polls, found.sessions, found.closed) == (len(polls), 1, 1)
    assert {(hold.symbol, hold.kind): hold.polls for hold in found.holds} == Counter(
        (symbol, hold["kind"]) for line in polls for symbol, holds in line["holds"].items() for hold in holds
    )
    looks = len(polls) * 2
    held = sum(len(line["holds"]) for line in polls)
    assert found.hold_share_pct == round(Decimal(held) * 100 / looks, 3)
    assert found.false_hold_pct == round(Decimal(plain_false_holds(polls)) * 100 / looks, 3)
    assert found.drawdown_usd == round(plain_drawdown(polls), 3)
    for spread in found.phases_ms:
        values = [
            thousandths(sum(times[name] for name in PHASES) if spread.name == "loop" else times[spread.name])
            for times in (line["phase_times_ms"] for line in polls)
        ]
        assert (spread.p50, spread.p95, spread.p99) == tuple(plain_rank(values, share) for share in (0.5, 0.95, 0.99))
    quotes = [seen for line in polls for seen in line["quotes"].values()]
    whole = [(float(seen["bid"]), float(seen["ask"])) for seen in quotes if seen["bid"] is not None]
    spreads = [thousandths((ask - bid) / ((ask + bid) / 2) * 10000) for bid, ask in whole]
    assert (found.spread_bps.samples, found.one_sided) == (len(whole), len(quotes) - len(whole))
    assert (found.spread_bps.p50, found.spread_bps.p95) == (plain_rank(spreads, 0.5), plain_rank(spreads, 0.95))
    check_trades(found, polls)


def check_trades(found: PeriodRollup, polls: list[Line]) -> None:
    """Hold orders, fills, fees and slippage against a plain computation."""
    mids = {made["ref"]: Decimal(made["decision_mid"]) for line in polls for made in line["decisions"]}
    fills = [made for line in polls for made in line["fills"]]
    slips, fees = [], []
    for made in fills:
        price, mid = Decimal(made["price"]), mids[made["ref"]]
        slips.append((price - mid if made["side"] == "BUY" else mid - price) / mid * 10_000)
        fees += [] if made["fee"] is None else [Decimal(made["fee"]) / (price * 5) * 10_000]
    assert (found.orders, found.fills, found.acknowledged, found.unanswered) == (len(mids), len(fills), len(fills), 0)
    assert found.turnover_usd == sum((Decimal(made["price"]) * 5 for made in fills), Decimal(0))
    assert found.fees_missing == len(fills) - len(fees)
    for spread, values in ((found.slippage_bps, slips), (found.fee_bps, fees)):
        expected = [plain_rank(values, share) for share in (0.5, 0.95, 0.99)]
        assert [spread.p50, spread.p95, spread.p99] == [
            None if value is None else pytest.approx(value, abs=Decimal("0.0005")) for value in expected
        ]


# ── Bad input ────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("line", [b'{"type":"po\n', b"\xff\xfe{}\n", b"[]\n", b"3\n", b"null\n", b'{"type":"later"}\n'])
def test_line_that_is_none_is_counted(tmp_path: Path, line: bytes) -> None:
    """A line that is no line of a record is named and counted, and the rollup is not known."""
    write(tmp_path, header(), poll(1), line, poll(2), CLOSED)
    found = roll(tmp_path)
    assert found.polls == 2
    assert problems(found) == [("lines are no lines of a session's record", 1)]
    assert not found.known


def test_killed_while_it_wrote(tmp_path: Path) -> None:
    """Half a line at the end is named beside what the killed session lacks; its P&L is unknown, no zero."""
    write(tmp_path, header(), poll(1), b'{"type":"poll","n":2')
    found = roll(tmp_path)
    assert [what for what, _ in problems(found)] == [
        "lines are no lines of a session's record",
        "it ends in half a line",
        "it has no session.closed: the session was killed, or still runs",
    ]
    assert (found.pnl_usd, found.closed, found.known) == (None, 0, False)


@pytest.mark.parametrize(
    ("first", "said"),
    [
        (header(schema=0), "it is of schema 0; this version reads schema 1"),
        (header(schema=None), "it is of schema None; this version reads schema 1"),
        ({"type": "poll"}, "its first line is no session.opened"),
        (b"", "its first line is not whole: nobody knows which session it is of"),
        ({"type": "session.opened", "schema": 1, "symbols": []}, "its first line lacks what a session.opened has"),
    ],
)
def test_record_of_another_schema_is_named(tmp_path: Path, first: Line | bytes, said: str) -> None:
    """A record that this version can't read is named, not left out."""
    write(tmp_path, first)
    found = roll(tmp_path)
    assert problems(found) == [(said, 1)]
    assert not found.known


@pytest.mark.parametrize(
    "broken",
    [
        {"fallbacks": "many"}, {"phase_times_ms": 3}, {"quotes": []}, {"at": "noon"}, {"holds": None}, {"n": None},
        {"phase_times_ms": {"quotes": 1.0}},
    ],
)  # fmt: skip
def test_poll_that_lacks_something_is_counted(tmp_path: Path, broken: Line) -> None:
    """A poll with a part that can't be read is counted; the rollup is not known."""
    write(tmp_path, header(), poll(1), poll(2, **broken), poll(3), CLOSED)
    found = roll(tmp_path)
    assert ("polls lack a time, quotes, holds, fallbacks or phase times that can be read", 1) in problems(found)
    assert not found.known


@pytest.mark.parametrize("mid", ["0", "NaN", "much"])
def test_mid_that_is_none_divides_nothing(tmp_path: Path, mid: str) -> None:
    """A fill whose mid is zero or no number has no slippage: it is counted as a problem, and in no figure."""
    write(tmp_path, header(), poll(1, decisions=[decision("a", mid=mid)], fills=[fill("a")]), CLOSED)
    found = roll(tmp_path)
    assert "decisions, orders or fills can't be read" in [what for what, _ in problems(found)]
    assert (found.slippage_bps.samples, found.slippage_bps.p50, found.known) == (0, None, False)


def test_clock_that_goes_back_is_counted(tmp_path: Path) -> None:
    """Polls that are earlier than the one before, or have its number, are counted."""
    write(tmp_path, header(), poll(2), poll(3, at=poll(1)["at"]), poll(3, at=poll(4)["at"]), CLOSED)
    assert ("polls are earlier than the one before, or have its number", 2) in problems(roll(tmp_path))


def test_clocks_that_differ_are_named(tmp_path: Path) -> None:
    """A record on real-time quotes whose own time is far from its run's is named; generated quotes have any time."""
    write(tmp_path, header(at=iso(START + timedelta(hours=1))), poll(1), CLOSED)
    assert "a clock is wrong" in problems(roll(tmp_path))[0][0]
    write(tmp_path, header(at=iso(START + timedelta(hours=1)), realtime=False), poll(1), CLOSED)
    assert problems(roll(tmp_path)) == []


def test_run_of_tomorrow_is_named(tmp_path: Path) -> None:
    """A record from after now was made by a clock that is wrong; it is not counted."""
    write(tmp_path, header(), poll(1), CLOSED, folder="sessions/2026-11-21T150000.000Z-abcd")
    found = roll(tmp_path)
    assert (found.sessions, found.known) == (0, False)
    assert "after now: a clock is wrong" in problems(found)[0][0]


def test_drawdown_without_a_mark_is_unknown(tmp_path: Path) -> None:
    """What is held and was never seen with a bid has no worth: the drawdown is unknown, no zero."""
    write(tmp_path, header(), poll(1, positions={"IBM": 5}), CLOSED)
    found = roll(tmp_path)
    assert (found.drawdown_usd, found.known) == (None, False)


@pytest.mark.parametrize("seed", range(6))
def test_drawdown_of_a_long_record_is_found_slice_by_slice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Followed a few polls at a time, peak and last bids carried on, equity falls as far as over the whole record."""
    drawn, polls = random.Random(seed), []
    for number in range(1, 61):
        at = START + timedelta(seconds=5 * number)
        shown = [symbol for symbol in SYMBOLS if number == 1 or drawn.random() < 0.2]  # most slices see no quote of one
        bids = {symbol: f"{drawn.randint(9000, 11000) / 100:.2f}" for symbol in shown}
        quotes = {symbol: quote(at, bids[symbol], "120.00") if symbol in bids else None for symbol in SYMBOLS}
        held = {symbol: drawn.randint(1, 20) for symbol in SYMBOLS if drawn.random() < 0.7}
        polls.append(poll(number, quotes=quotes, positions=held, cash=str(drawn.randint(90_000, 110_000))))
    last = {**FLATTEN, "positions": {"SPY": 3}, "cash": "80000"}
    write(tmp_path, header(), *polls, last, CLOSED)
    whole = roll(tmp_path).drawdown_usd
    assert whole == plain_drawdown([*polls, {**last, "quotes": {}}])
    for size in (1, 7, 59, 60):
        monkeypatch.setattr("aurora.analytics.scan.SLICE", size)
        assert roll(tmp_path).drawdown_usd == whole
    write(tmp_path, header(), *polls[:30], {**polls[30], "positions": {"IBM": 1}}, *polls[31:], last, CLOSED)
    monkeypatch.setattr("aurora.analytics.scan.SLICE", 7)
    assert roll(tmp_path).drawdown_usd is None


def test_nothing_recorded_is_unknown(tmp_path: Path) -> None:
    """No session is no proof: every share is unknown, and nothing divides by zero."""
    found = roll(tmp_path)
    assert (found.known, found.hold_share_pct, found.pnl_usd, found.heartbeat_gaps) == (False, None, None, None)


def test_session_without_trades_has_figures(tmp_path: Path) -> None:
    """A session that traded nothing is whole: its slippage is unknown, its HOLD share is zero."""
    write(tmp_path, header(), poll(1), poll(2), CLOSED)
    found = roll(tmp_path)
    assert (found.known, found.fills, found.slippage_bps.p50, found.slippage_enough) == (True, 0, None, False)
    assert (found.hold_share_pct, found.pnl_usd, found.notional_share_pct) == (Decimal(0), Decimal("-1.5"), Decimal(0))


def test_caps_that_are_not_recorded_are_unknown(tmp_path: Path) -> None:
    """Without a cap on record, the share of it that was used is unknown."""
    write(tmp_path, header(limits={"notional_daily_cap_usd": "0"}), poll(1), CLOSED)
    found = roll(tmp_path)
    assert (found.notional_share_pct, found.largest_trade_share_pct) == (None, None)


# ── What counts ──────────────────────────────────────────────────────────────────────────────────────────────────────
def test_days_without_a_session_are_named(tmp_path: Path) -> None:
    """Exchange days of the window that are over and had no session are named; weekends are none."""
    write(tmp_path, header(), poll(1), CLOSED)
    assert roll(tmp_path).missing_days == ["2026-11-16", "2026-11-17", "2026-11-18", "2026-11-19"]


def test_other_modes_and_older_ones_do_not_count(tmp_path: Path) -> None:
    """Sessions of another mode, and from before the window, are not counted."""
    write(tmp_path, header(), poll(1), CLOSED)
    write(tmp_path, header(mode="live"), poll(1), CLOSED, folder="sessions/2026-11-20T160000.000Z-bbbb")
    write(tmp_path, header(), poll(1), CLOSED, folder="sessions/2026-11-01T160000.000Z-cccc")
    assert (roll(tmp_path).sessions, roll(tmp_path, "live").sessions, roll(tmp_path, days=30).sessions) == (1, 1, 2)


def test_rehearsal_of_the_kill_switch_is_no_session(tmp_path: Path) -> None:
    """What a run's rehearsal of the kill switch recorded is not counted; its session is."""
    run = tmp_path / "runs/2026-11-20T150000Z-go-live"
    for step in ("kill", "live"):
        write(tmp_path, header(session=step), poll(1), CLOSED, folder=f"{run.relative_to(tmp_path)}/artifacts/{step}/1")
    plan = [{"id": "kill", "uses": "session.rehearse_kill_switch"}, {"id": "live", "uses": "session.paper"}]
    (run / "journal.jsonl").write_text(json.dumps({"data": {"plan": plan}}) + "\n")
    assert roll(tmp_path).sessions == 1


def test_gaps_are_waits_of_over_two_intervals(tmp_path: Path) -> None:
    """A wait of more than two intervals is a gap; where the interval is not recorded, gaps are unknown."""
    write(tmp_path, header(), poll(1), poll(3), poll(6), CLOSED)
    assert roll(tmp_path).heartbeat_gaps == 1
    write(tmp_path, header(settings={}), poll(1), poll(3), poll(6), CLOSED)
    assert roll(tmp_path).heartbeat_gaps is None


def test_orders_without_an_end_are_counted(tmp_path: Path) -> None:
    """An order that was sent and has no end on record is unanswered; a rejected one is no acknowledged one."""
    orders = [{"ref": "a", "status": "REJECTED", "filled": 0, "reason": ""}]
    write(tmp_path, header(), poll(1, decisions=[decision("a"), decision("b")]), poll(2, orders=orders), CLOSED)
    found = roll(tmp_path)
    assert (found.acknowledged, found.rejected, found.unanswered) == (0, 1, 1)


def test_folder_with_wildcards_means_itself(tmp_path: Path) -> None:
    """A project whose path has brackets and stars reads its own records alone."""
    write(tmp_path / "[ab]*", header(), poll(1), CLOSED)
    assert roll(tmp_path / "[ab]*").polls == 1


# ── Caps of a day, archives, reconciles ──────────────────────────────────────────────────────────────────────────────
LATER = "sessions/2026-11-20T170000.000Z-bbbb"


def traded(quantity: int = 150) -> tuple[Line, Line]:
    """Return two polls in which so many shares were bought at 100.10 at the most."""
    ended = {"ref": "a", "status": "FILLED", "filled": quantity, "reason": ""}
    return poll(1, decisions=[decision("a", quantity=quantity)]), poll(2, orders=[ended])


def test_sessions_of_one_day_use_one_cap(tmp_path: Path) -> None:
    """On the venue's own quotes the daily cap is the day's: two sessions of 60 % are over it, not 60 % twice."""
    for folder in (FOLDER, LATER):
        write(tmp_path, header(session=folder), *traded(), CLOSED, folder=folder)
    found = roll(tmp_path)
    assert found.notional_share_pct == Decimal("120.120")
    assert found.largest_trade_share_pct is not None


def test_generated_quotes_have_a_day_of_their_own(tmp_path: Path) -> None:
    """A session on generated or recorded quotes keeps its own caps, as its order journal does."""
    for folder in (FOLDER, LATER):
        write(tmp_path, header(session=folder, realtime=False), *traded(), CLOSED, folder=folder)
    assert roll(tmp_path).notional_share_pct == Decimal("60.060")


def test_one_unknown_share_makes_the_day_unknown(tmp_path: Path) -> None:
    """A session without its cap on record makes its day's share unknown, whatever the others came to."""
    write(tmp_path, header(), *traded(), CLOSED)
    write(tmp_path, header(session="t", limits={}), *traded(), CLOSED, folder=LATER)
    assert roll(tmp_path).notional_share_pct is None


RUN = "2026-11-20T150000.000Z-go-live"
PLAN = [{"id": "live", "uses": "session.live"}, {"id": "eod/reconcile", "uses": "reconcile.account"}]


def write_journal(root: Path, *ends: tuple[str, Any]) -> None:
    """Write a run's journal: its plan, and the ends of steps with their outputs."""
    events = [{"type": "step.finished", "data": {"step": step, "outputs": outputs}} for step, outputs in ends]
    lines = [{"type": "run.opened", "data": {"plan": PLAN}}, *events]
    (root / "runs" / RUN / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.parametrize(
    ("ends", "clean"),
    [
        ([("live", {}), ("eod/reconcile", {"clean": True})], 1),
        ([("live", {}), ("eod/reconcile", {"clean": False})], 0),
        ([("live", {}), ("eod/reconcile", None)], 0),
        ([("live", {})], 0),
        ([("eod/reconcile", {"clean": True}), ("live", {})], 0),
        ([("live", {}), ("eod/reconcile", {"clean": "yes"})], 0),
    ],
)
def test_a_live_session_counts_as_reconciled_by_its_run(tmp_path: Path, ends: Any, clean: int) -> None:
    """Only a clean reconcile after the session, in the same run, counts; a missing or broken one does not."""
    write(tmp_path, header(mode="live", venue="paper"), poll(1), CLOSED, folder=f"runs/{RUN}/artifacts/live/1")
    write_journal(tmp_path, *ends)
    found = roll(tmp_path, "live")
    assert (found.to_reconcile, found.reconciled) == (1, clean)
    (tmp_path / "runs" / RUN / "journal.jsonl").write_text("{")
    assert roll(tmp_path, "live").reconciled == 0


def test_what_ended_with_its_venue_is_not_reconciled(tmp_path: Path) -> None:
    """A simulated book ends with its session, and nothing was sent in paper and shadow: there is nothing to compare."""
    write(tmp_path, header(mode="live"), poll(1), CLOSED)
    assert roll(tmp_path, "live").to_reconcile == 0
    write(tmp_path, header(mode="shadow", venue="paper"), poll(1), CLOSED)
    assert roll(tmp_path, "shadow").to_reconcile == 0


def put_away(root: Path) -> Path:
    """Pack the run as housekeeping does, its folder gone, and return the archive."""
    path = root / "runs" / f"{RUN}.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(root / "runs" / RUN, RUN)
    shutil.rmtree(root / "runs" / RUN)
    return path


def test_an_archived_run_counts_as_if_its_folder_were_there(tmp_path: Path) -> None:
    """What housekeeping has put away is read out of its archive: the same figures, by the same names."""
    write(tmp_path, header(mode="live", venue="paper"), *traded(), CLOSED, folder=f"runs/{RUN}/artifacts/live/1")
    write_journal(tmp_path, ("live", {}), ("eod/reconcile", {"clean": True}))
    before = roll(tmp_path, "live")
    assert (before.sessions, before.reconciled, before.known) == (1, 1, True)
    put_away(tmp_path)
    assert roll(tmp_path, "live") == before
    assert not list((tmp_path / "runs").glob(f"{RUN}/*"))


def test_an_archive_beside_its_folder_counts_once(tmp_path: Path) -> None:
    """A run that was brought back lies there twice; it is one session."""
    write(tmp_path, header(), poll(1), CLOSED, folder=f"runs/{RUN}/artifacts/paper/1")
    raw = put_away(tmp_path)
    with tarfile.open(raw) as tar:
        tar.extractall(tmp_path / "runs", filter="data")
    assert roll(tmp_path).sessions == 1


def test_an_archive_that_is_damaged_is_named(tmp_path: Path) -> None:
    """A cut archive is a problem by name, and the period is not known; one from before the window is not opened."""
    write(tmp_path, header(), poll(1), CLOSED, folder=f"runs/{RUN}/artifacts/paper/1")
    path = put_away(tmp_path)
    path.write_bytes(path.read_bytes()[:40])
    found = roll(tmp_path)
    assert (found.sessions, found.known) == (0, False)
    assert [problem.file for problem in found.problems] == [f"runs/{RUN}.tar.gz"]
    path.rename(path.with_name("2026-10-01T150000.000Z-go-live.tar.gz"))
    assert roll(tmp_path).problems == []


def test_an_archive_writes_nothing_outside(tmp_path: Path) -> None:
    """Members that are no record of that run (links, ways up, other names) are not unpacked."""
    (tmp_path / "runs").mkdir()
    secret = tmp_path / "session.jsonl"
    secret.write_text("{}\n")
    with tarfile.open(tmp_path / "runs" / f"{RUN}.tar.gz", "w:gz") as tar:
        for name in (
            f"{RUN}/artifacts/../../../session.jsonl",
            f"/{RUN}/artifacts/x/1/session.jsonl",
            "other/session.jsonl",
        ):
            tar.add(secret, name)
        link = tarfile.TarInfo(f"{RUN}/artifacts/paper/1/session.jsonl")
        link.type, link.linkname = tarfile.SYMTYPE, str(secret)
        tar.addfile(link)
    found = roll(tmp_path)
    assert found.sessions == 0
    assert all("can't be unpacked" in problem.what for problem in found.problems)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs", "session.jsonl"]
