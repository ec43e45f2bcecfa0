"""Rolls up all sessions of a mode over some days: `find_recordings` → `scan` each → PeriodRollup."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from aurora.analytics.quantiles import Spread, spread_of, spread_of_counts
from aurora.analytics.recordings import Problem, Recording, unpacked_recordings
from aurora.analytics.rollup import ENOUGH_FILLS, HoldCount, Sums, amounts, slippage_bps
from aurora.analytics.scan import Scan, scan
from aurora.market.calendar import session_hours
from aurora.market.hours import exchange_day

_SKEW = timedelta(minutes=5)


@dataclass(frozen=True)
class PeriodRollup:
    """Sessions of one mode in figures. Money in USD; what could not be told is None, and named in `problems`.

    known:             there were sessions, each closed, and nothing of them was unreadable or in doubt.
    profiles:          what the sessions ran under, the newest first.
    missing_days:      exchange days of the window, over by now, on which no session ran.
    acknowledged:      orders that the venue ended with a fill or a cancel; unanswered: sent, and no end is on record.
    notional_share_pct: the most of the daily cap that an exchange day's sessions used together (each its own, where
        quotes were generated or recorded); largest_trade_share_pct: of the cap a trade.
    pnl_usd:           the sum over sessions; None when one of them has none. drawdown_usd: the deepest in a session.
    false_hold_pct:    of symbol-polls: held for age or a missed quote alone, and fit again one poll later.
    slippage_enough:   there were at least twenty fills; fewer say little (rule 17).
    to_reconcile:      live sessions at a venue that outlives them; reconciled: those that their run found clean after.
    """

    mode: str
    days: int
    since: datetime
    until: datetime
    known: bool
    sessions: int
    closed: int
    realtime: int
    missing_days: list[str]
    symbols: list[str]
    profiles: list[str]
    polls: int
    steps: int
    orders: int
    blocked: int
    acknowledged: int
    rejected: int
    unanswered: int
    fills: int
    turnover_usd: Decimal
    notional_usd: Decimal
    notional_share_pct: Decimal | None
    largest_trade_share_pct: Decimal | None
    fees_usd: Decimal
    fees_missing: int
    pnl_usd: Decimal | None
    drawdown_usd: Decimal | None
    holds: list[HoldCount]
    hold_share_pct: Decimal | None
    false_hold_pct: Decimal | None
    anomalies: list[str]
    fallbacks: int
    heartbeat_gaps: int | None
    one_sided: int
    fee_bps: Spread
    slippage_bps: Spread
    slippage_enough: bool
    slippage_by: list[Spread]
    spread_bps: Spread
    quote_age_s: Spread
    phases_ms: list[Spread]
    to_reconcile: int
    reconciled: int
    problems: list[Problem]


@dataclass
class Pool:
    """What the sessions add up to. read, scans, pnl and the lists of `shares`: one entry a session that was read."""

    recordings: list[Recording]
    closed: int = 0
    read: list[Recording] = field(default_factory=list)
    scans: list[Scan] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    trades: Counter[str] = field(default_factory=Counter)
    usd: dict[str, Decimal] = field(default_factory=lambda: dict.fromkeys(("turnover", "notional", "fees"), Decimal(0)))
    pnl: list[Decimal | None] = field(default_factory=list)
    shares: dict[str, list[Decimal | None]] = field(default_factory=lambda: {"notional": [], "trade": []})
    days: dict[str, list[Decimal | None]] = field(default_factory=dict)
    fee_bps: list[Decimal] = field(default_factory=list)
    slippage: list[tuple[str, Decimal]] = field(default_factory=list)
    anomalies: list[str] = field(default_factory=list)
    gaps_known: bool = True


def roll_up_period(root: Path, mode: str, now: datetime, days: int) -> PeriodRollup:
    """Return the figures of the sessions of `mode` (paper, shadow, live) that began in the last `days` days."""
    return _period(pool_sessions(root, mode, now, days), mode, days, now)


def pool_sessions(
    root: Path, mode: str, now: datetime, days: int, why_not: Callable[[Recording, Scan], str] = lambda *_: ""
) -> Pool:
    """Scan the sessions of `mode` of the last `days` days, those of archived runs included, and add them up.

    why_not: tells why a session is left out, "" for one that counts; it is a problem then.
    """
    import duckdb  # noqa: PLC0415 - 40 ms and 60 MB that only rollups need

    with unpacked_recordings(root, mode, now - timedelta(days=days), now) as (recordings, problems):
        pool = Pool(recordings, problems=problems)
        for recording in recordings:
            poll_sec = _interval(recording.header)
            pool.gaps_known &= poll_sec is not None
            try:
                scanned = scan(recording.path, poll_sec)
            except (duckdb.Error, OSError) as error:
                pool.problems.append(Problem(recording.name, f"it can't be read: {str(error).splitlines()[0][:200]}"))
                continue
            if left_out := why_not(recording, scanned):
                pool.problems.append(Problem(recording.name, left_out))
                continue
            pool.read.append(recording)
            pool.scans.append(scanned)
            pool.problems += _problems(recording, scanned)
            _add_trades(pool, recording, scanned)
            _add_end(pool, recording, scanned)
    pool.problems += _overlaps(recordings)
    return pool


def _interval(header: Mapping[str, Any]) -> Decimal | None:
    settings = header.get("settings")
    return _positive(settings.get("poll_sec")) if isinstance(settings, Mapping) else None


def _positive(value: object) -> Decimal | None:
    try:
        number = Decimal(str(value))
    except ArithmeticError:
        return None
    return number if number.is_finite() and number > 0 else None


def _problems(recording: Recording, scanned: Scan) -> Iterator[Problem]:
    counts = {
        "lines are no lines of a session's record": scanned.unreadable,
        "polls lack a time, quotes, holds, fallbacks or phase times that can be read": scanned.unfit,
        "polls are earlier than the one before, or have its number": scanned.back,
        "it ends in half a line": int(scanned.half_line),
        "its equity is not known at every poll, so its drawdown is not": int(not scanned.equity_known),
        "it has no session.closed: the session was killed, or still runs": int(scanned.result is None),
    }
    yield from (Problem(recording.name, what, count) for what, count in counts.items() if count)
    opened = _instant(recording.header["at"])
    if opened is None:
        yield Problem(recording.name, "the time of its first line can't be read")
    elif recording.header["realtime"] and abs(opened - recording.began) > _SKEW:
        what = f"it says {opened:%Y-%m-%d %H:%MZ}, and its run began {recording.began:%H:%MZ}: a clock is wrong"
        yield Problem(recording.name, what)


def _instant(text: object) -> datetime | None:
    try:
        instant = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return instant if instant.tzinfo is not None else None


def _overlaps(recordings: Iterable[Recording]) -> Iterator[Problem]:
    names = Counter((recording.header.get("session"), recording.header["at"]) for recording in recordings)
    for (session, _), count in names.items():
        if count > 1:
            yield Problem(str(session), "is recorded more than once; its figures are counted as often", count)


def _add_trades(pool: Pool, recording: Recording, scanned: Scan) -> None:
    sums, broken = Sums(), 0
    for decisions, orders, fills in scanned.trades:
        try:
            line = {"decisions": decisions, "orders": orders, "fills": fills, "positions": None, "cash": None}
            sums.add_trades(line)
            pool.trades.update(f"ended {order['status']}" for order in orders)
        except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError):
            broken += 1
    sent = [decision for decision in sums.decisions.values() if decision["stage"] == "broker"]
    pool.trades.update(orders=len(sums.decisions), blocked=sums.blocked, sent=len(sent), ended=len(sums.unfilled))
    pool.trades["unanswered"] += sum(decision["ref"] not in sums.unfilled for decision in sent)
    for fill in sums.fills:
        broken += not _add_fill(pool, fill, sums.decisions)
    try:
        notional, _, largest = amounts(sums)
    except (KeyError, TypeError, ArithmeticError):
        broken, notional, largest = broken + 1, Decimal("NaN"), Decimal("NaN")
    _add_caps(pool, recording, notional, largest)
    if broken:
        pool.problems.append(Problem(recording.name, "decisions, orders or fills can't be read", broken))


def _add_fill(pool: Pool, fill: Mapping[str, Any], decisions: Mapping[str, Any]) -> bool:
    """Add a fill; return whether all of it could be told."""
    try:
        worth = Decimal(fill["price"]) * fill["quantity"]
        slip = slippage_bps(fill, decisions[fill["ref"]])
        fee = None if fill["fee"] is None else Decimal(fill["fee"])
        key = f"{fill['symbol']} {fill['side']}"
        bps = None if fee is None else fee / worth * 10_000
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return False
    if not (slip.is_finite() and worth.is_finite() and worth > 0 and (fee is None or fee.is_finite())):
        return False
    pool.trades["fills"] += 1
    pool.usd["turnover"] += worth
    pool.slippage.append((key, slip))
    if fee is None or bps is None:
        pool.trades["fees missing"] += 1
    else:
        pool.usd["fees"] += fee
        pool.fee_bps.append(bps)
    return True


def _add_caps(pool: Pool, recording: Recording, notional: Decimal, largest: Decimal) -> None:
    pool.usd["notional"] += notional if notional.is_finite() else 0
    limits = recording.header.get("limits")
    caps = limits if isinstance(limits, Mapping) else {}
    for name, key, used in (
        ("notional", "notional_daily_cap_usd", notional),
        ("trade", "per_trade_notional_usd", largest),
    ):
        cap = _positive(caps.get(key))
        pool.shares[name].append(used / cap * 100 if cap is not None and used.is_finite() else None)
    own = str(exchange_day(recording.began)) if recording.header["realtime"] is True else recording.name
    pool.days.setdefault(f"{own} {recording.header['venue']}", []).append(pool.shares["notional"][-1])


def _add_end(pool: Pool, recording: Recording, scanned: Scan) -> None:
    result = scanned.result or {}
    pool.closed += scanned.result is not None
    pnl = _finite(result.get("pnl_usd"))
    if scanned.result is not None and pnl is None:
        pool.problems.append(Problem(recording.name, "its end tells no P&L"))
    pool.pnl.append(pnl)
    told = result.get("anomalies")
    found = told if isinstance(told, list) else scanned.anomalies
    pool.anomalies += [f"{recording.name}: {str(anomaly)[:300]}" for anomaly in found]


def _finite(value: object) -> Decimal | None:
    try:
        number = Decimal(str(value))
    except ArithmeticError:
        return None
    return number if number.is_finite() else None


def _period(pool: Pool, mode: str, days: int, now: datetime) -> PeriodRollup:
    # Kept whole: one line a figure, in the order of the fields.
    since, recordings, scans, trades = now - timedelta(days=days), pool.recordings, pool.scans, pool.trades
    holds: Counter[tuple[str, str]] = sum((scanned.holds for scanned in scans), Counter())
    looks = sum(scanned.symbol_polls for scanned in scans)
    falls = [scanned.drawdown_usd if scanned.equity_known else None for scanned in scans]
    by: dict[str, list[Decimal]] = {}
    for key, slip in pool.slippage:
        by.setdefault(key, []).append(slip)
    return PeriodRollup(
        mode=mode,
        days=days,
        since=since,
        until=now,
        known=bool(scans) and not pool.problems,
        sessions=len(recordings),
        closed=pool.closed,
        realtime=sum(recording.header["realtime"] is True for recording in recordings),
        missing_days=_missing_days(recordings, since, now),
        symbols=sorted({symbol for recording in recordings for symbol in recording.header["symbols"]}),
        profiles=list(dict.fromkeys(_profile(recording.header) for recording in reversed(recordings))),
        polls=sum(scanned.polls for scanned in scans),
        steps=sum(scanned.steps for scanned in scans),
        orders=trades["orders"],
        blocked=trades["blocked"],
        acknowledged=trades["ended FILLED"] + trades["ended CANCELLED"],
        rejected=trades["ended REJECTED"],
        unanswered=trades["unanswered"],
        fills=trades["fills"],
        turnover_usd=pool.usd["turnover"],
        notional_usd=pool.usd["notional"],
        notional_share_pct=_worst([_together(shares) for shares in pool.days.values()]),
        largest_trade_share_pct=_worst(pool.shares["trade"]),
        fees_usd=pool.usd["fees"],
        fees_missing=trades["fees missing"],
        pnl_usd=None if not pool.pnl or None in pool.pnl else sum((pnl for pnl in pool.pnl if pnl), Decimal(0)),
        drawdown_usd=_worst(falls),
        holds=[HoldCount(symbol, kind, polls) for (symbol, kind), polls in sorted(holds.items())],
        hold_share_pct=_share(sum(scanned.held_polls for scanned in scans), looks),
        false_hold_pct=_share(sum(scanned.false_holds for scanned in scans), looks),
        anomalies=pool.anomalies,
        fallbacks=sum(scanned.fallbacks for scanned in scans),
        heartbeat_gaps=sum(scanned.gaps for scanned in scans) if scans and pool.gaps_known else None,
        one_sided=sum(scanned.one_sided for scanned in scans),
        fee_bps=spread_of("fee_bps", pool.fee_bps),
        slippage_bps=spread_of("slippage_bps", [slip for _, slip in pool.slippage]),
        slippage_enough=len(pool.slippage) >= ENOUGH_FILLS,
        slippage_by=[spread_of(key, slips) for key, slips in sorted(by.items())],
        spread_bps=spread_of_counts("spread_bps", [scanned.spread_bps for scanned in scans]),
        quote_age_s=spread_of_counts("quote_age_s", [scanned.quote_age_s for scanned in scans]),
        phases_ms=[
            spread_of_counts(name, [scanned.phases_ms[name] for scanned in scans])
            for name in (scans[0].phases_ms if scans else ())
        ],
        to_reconcile=sum(recording.reconciled is not None for recording in recordings),
        reconciled=sum(recording.reconciled is True for recording in recordings),
        problems=pool.problems,
    )


def _profile(header: Mapping[str, Any]) -> str:
    profile = header.get("profile")
    return str(profile.get("name"))[:80] if isinstance(profile, Mapping) else "not on record"


def _missing_days(recordings: Iterable[Recording], since: datetime, now: datetime) -> list[str]:
    ran = {exchange_day(recording.began) for recording in recordings}
    day, missing = exchange_day(since), []
    while day <= exchange_day(now):
        hours = session_hours(day)
        if hours is not None and since <= hours[0] and hours[1] <= now and day not in ran:
            missing.append(day.isoformat())
        day += timedelta(days=1)
    return missing


def _worst(values: list[Decimal | None]) -> Decimal | None:
    """Return the greatest; None when there is none, or one of them is not known."""
    known = [value for value in values if value is not None]
    return round(max(known), 3) if known and len(known) == len(values) else None


def _together(values: list[Decimal | None]) -> Decimal | None:
    known = [value for value in values if value is not None]
    return sum(known, Decimal(0)) if len(known) == len(values) else None


def _share(part: int, whole: int) -> Decimal | None:
    return round(Decimal(part) * 100 / whole, 3) if whole else None
