"""What figures are drawn from: how a session went, poll by poll, and how sessions followed each other.

session.jsonl → session_series | Pool → period_series → Series → figures
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from aurora.analytics.period import Pool
from aurora.analytics.quantiles import nearest_rank, spread_of_counts
from aurora.analytics.rollup import Sums, amounts, record_lines, slippage_bps
from aurora.errors import RecordError

MOST_POINTS = 1_000
"""A line has so many points at the most; of a longer session each stands for several polls."""

_LIMITS = {
    "largest trade": "per_trade_notional_usd",
    "notional": "notional_daily_cap_usd",
    "fees": "daily_fee_cap_usd",
    "loss": "daily_loss_limit_usd",
    "drawdown": "max_drawdown_usd",
}


@dataclass(frozen=True)
class Point:
    """Some polls, or a session: when it began, its slowest (or 95th percentile) loop, and the equity it ended with.

    low_usd: the lowest equity. What is not known is None.
    """

    at: datetime
    loop_ms: float | None
    equity_usd: float | None
    low_usd: float | None


@dataclass(frozen=True)
class Series:
    """What is drawn. slippage_bps: of each fill. used_pct: of each limit, how much was used at the most.

    subject: whose figures these are, for titles. loops, equities: what a point stands for, in words.
    """

    subject: str
    loops: str
    equities: str
    points: list[Point]
    slippage_bps: list[float]
    used_pct: dict[str, float | None]


@dataclass
class _Line:
    """Points of a line whose length nobody knows; when there are too many, each two become one."""

    polls: int = 1
    points: list[Point] = field(default_factory=list)
    _some: list[Point] = field(default_factory=list)

    def add(self, point: Point) -> None:
        """Add a poll."""
        self._some.append(point)
        if len(self._some) == self.polls:
            self.points.append(_joined(self._some))
            self._some = []
        if len(self.points) > MOST_POINTS:
            pairs = [self.points[index : index + 2] for index in range(0, len(self.points), 2)]
            self.points, self.polls = [_joined(pair) for pair in pairs], self.polls * 2

    def whole(self) -> list[Point]:
        """Return the points, the unfinished last one among them."""
        return [*self.points, _joined(self._some)] if self._some else self.points


@dataclass
class _Falls:
    """How far equity fell below its first value, and below its highest so far, in USD."""

    known: bool = True
    first: float | None = None
    peak: float = -math.inf
    loss: float = 0.0
    fall: float = 0.0

    def add(self, equity: float | None) -> None:
        """Add the equity after a poll."""
        if equity is None:
            self.known = False
            return
        self.first = equity if self.first is None else self.first
        self.peak = max(self.peak, equity)
        self.loss, self.fall = max(self.loss, self.first - equity), max(self.fall, self.peak - equity)


def _joined(points: list[Point]) -> Point:
    loops = [point.loop_ms for point in points if point.loop_ms is not None]
    lows = [point.low_usd for point in points if point.low_usd is not None]
    return replace(points[-1], at=points[0].at, loop_ms=max(loops, default=None), low_usd=min(lows, default=None))


def session_series(path: Path) -> Series:
    """Return what the session recorded at `path` is drawn from. Raises as `roll_up` does."""
    sums, line, falls, bids = Sums(), _Line(), _Falls(), dict[str, Decimal]()
    for number, data in record_lines(path):
        try:
            sums.add(data)
            if data["type"] in ("poll", "flatten") and "at" in data:
                point = _point(data, sums, bids)
                line.add(point)
                falls.add(point.equity_usd)
        except (KeyError, TypeError, ValueError, AttributeError, InvalidOperation) as error:
            raise RecordError(f"{path}:{number}: not a line of a session's record: {error}.") from error
    points = line.whole()
    of = ", ".join(str(symbol) for symbol in sums.header.get("symbols", []))
    each = "each poll" if line.polls == 1 else f"slowest of {line.polls} polls"
    try:
        slips = [float(slippage_bps(fill, sums.decisions[fill["ref"]])) for fill in sums.fills]
        used = _used(sums, falls)
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise RecordError(f"{path}: its figures can't be computed: {type(error).__name__}: {error}.") from error
    finite = [slip for slip in slips if math.isfinite(slip)]
    return Series(f"{sums.header.get('mode')} session, {of}", each, "poll", points, finite, used)


def _point(data: Mapping[str, Any], sums: Sums, bids: dict[str, Decimal]) -> Point:
    for symbol, quote in data.get("quotes", {}).items():
        bid = Decimal(quote["bid"]) if quote and quote["bid"] is not None else Decimal(0)
        if bid.is_finite() and bid > 0:
            bids[symbol] = bid
    told = data["positions"] is not None and sums.cash is not None and all(each in bids for each in data["positions"])
    equity = None
    if told and sums.cash is not None:
        equity = _finite(sums.cash + sum((held * bids[each] for each, held in data["positions"].items()), Decimal(0)))
    loop = sums.loops_ms[-1] if data["type"] == "poll" else None
    return Point(datetime.fromisoformat(data["at"]), loop, equity, equity)


def _used(sums: Sums, falls: _Falls) -> dict[str, float | None]:
    notional, _, largest = amounts(sums)
    fees = [Decimal(fill["fee"]) if fill["fee"] is not None else None for fill in sums.fills]
    known = [fee for fee in fees if fee is not None]
    is_told = falls.known and falls.first is not None
    used = {
        "largest trade": float(largest),
        "notional": float(notional),
        "fees": float(sum(known, Decimal(0))) if len(known) == len(fees) else None,
        "loss": falls.loss if is_told else None,
        "drawdown": falls.fall if is_told else None,
    }
    limits = sums.header.get("limits", {})
    return {name: _percent(used[name], limits.get(key)) for name, key in _LIMITS.items()}


def period_series(pool: Pool, mode: str, days: int) -> Series:
    """Return what the sessions of a period are drawn from: a point a session, its P&L added to those before."""
    points: list[Point] = []
    total = Decimal(0)
    for recording, scanned, pnl in zip(pool.read, pool.scans, pool.pnl, strict=True):
        loop = spread_of_counts("loop", [scanned.phases_ms["loop"]]).p95
        known = pnl is not None and not any(point.equity_usd is None for point in points)
        total += pnl or 0
        ended = float(total) if known else None
        points.append(Point(recording.began, None if loop is None else float(loop), ended, ended))
    return Series(
        f"{len(pool.read)} {mode} sessions of {days} days",
        "p95 of a session",
        "session",
        points,
        [float(slip) for _, slip in pool.slippage],
        {"largest trade": _most(pool.shares["trade"]), "notional": _most_of_days(pool)},
    )


def _most_of_days(pool: Pool) -> float | None:
    days = pool.days.values()
    if any(share is None for shares in days for share in shares):
        return None
    return _most([sum((share for share in shares if share is not None), Decimal(0)) for shares in days])


def _most(shares: Iterable[Decimal | None]) -> float | None:
    known = list(shares)
    rank = nearest_rank([share for share in known if share is not None], 1)
    return None if rank is None or None in known else float(rank)


def _percent(used: float | None, limit: object) -> float | None:
    try:
        cap = float(str(limit))
    except ValueError:
        return None
    return used / cap * 100 if used is not None and math.isfinite(cap) and cap > 0 else None


def _finite(value: float | Decimal) -> float | None:
    return float(value) if math.isfinite(value) else None
