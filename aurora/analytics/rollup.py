"""A session in figures, computed from its record alone: `session.jsonl` → SessionRollup."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from pathlib import Path
from typing import Any

from aurora.analytics.quantiles import nearest_rank
from aurora.errors import OperatorError, RecordError

ENOUGH_FILLS = 20
_PASSED = ("shadow", "broker")


@dataclass(frozen=True)
class HoldCount:
    """How many polls a tripwire held a symbol."""

    symbol: str
    kind: str
    polls: int


@dataclass(frozen=True)
class Holding:
    """What the session still held at its end: signed shares."""

    symbol: str
    quantity: int


@dataclass(frozen=True)
class SessionRollup:
    """A session in figures. Money in USD, slippage in basis points of the mid at the decision, without fees (rule 17).

    closed:           the record ends as a session ends; false: it was killed.
    orders, blocked:  let through, and stopped, by the router. holds: polls by symbol and tripwire.
    notional_usd:     what counted towards the daily cap; notional_cap_usd: the cap. opened_usd: the part that opened.
    day_notional_usd: the day's, with that of its sessions before, as this one's end told it; None where it did not.
    fees_usd:         commissions that were told; fees_missing: fills whose commission was not.
    largest_trade_usd: the biggest opening order as it was counted at send; trade_cap_usd: the cap. Of both caps
        the stricter one counts: what was asked for, or what the record says that the session was held to.
    within_caps:      both caps were kept, and breaches is empty.
    slippage_enough:  there were at least twenty fills; fewer say little.
    heartbeat_gaps:   waits between two polls of over two intervals; None where times or interval are not on record.
    hold_share_pct:   of its polls, halts left out, the symbol held most was held so many; None without any poll.
    """

    mode: str
    venue: str
    quotes: str
    realtime: bool
    symbols: list[str]
    closed: bool
    polls: int
    steps: int
    orders: int
    blocked: int
    fills: int
    fees_usd: Decimal
    fees_missing: int
    turnover_usd: Decimal
    notional_usd: Decimal
    notional_cap_usd: Decimal
    day_notional_usd: Decimal | None
    opened_usd: Decimal
    largest_trade_usd: Decimal
    trade_cap_usd: Decimal
    within_caps: bool
    breaches: list[str]
    holds: list[HoldCount]
    anomalies: list[str]
    fallbacks: int
    loop_p95_ms: Decimal | None
    heartbeat_gaps: int | None
    hold_share_pct: Decimal | None
    slippage_median_bps: Decimal | None
    slippage_p95_bps: Decimal | None
    slippage_enough: bool
    fee_p95_bps: Decimal | None
    flat: bool
    positions: list[Holding]
    cash_usd: Decimal | None


@dataclass
class Sums:
    """What the lines of a record add up to."""

    header: Mapping[str, Any] = field(default_factory=dict)
    decisions: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    unfilled: dict[str, int] = field(default_factory=dict)
    blocked: int = 0
    polls: int = 0
    steps: int = 0
    fills: list[Mapping[str, Any]] = field(default_factory=list)
    holds: Counter[tuple[str, str]] = field(default_factory=Counter)
    anomalies: list[str] = field(default_factory=list)
    fallbacks: int = 0
    loops_ms: list[float] = field(default_factory=list)
    polled: list[datetime | None] = field(default_factory=list)
    held: Counter[str] = field(default_factory=Counter)
    halted: Counter[str] = field(default_factory=Counter)
    positions: Mapping[str, int] = field(default_factory=dict)
    cash: Decimal | None = None
    flat: bool = False
    closed: Mapping[str, Any] | None = None

    def add(self, line: Mapping[str, Any]) -> None:
        """Add one line. Raises KeyError, TypeError, ValueError, AttributeError, InvalidOperation when it is damaged."""
        kind = line["type"]
        if kind == "session.opened":
            self.header = line
        elif kind == "poll":
            self._add_poll(line)
        elif kind == "flatten":
            self.flat = bool(line["flat"])
        elif kind == "session.closed":
            self.closed = line["result"]
        if kind in ("poll", "flatten"):
            self.add_trades(line)

    def _add_poll(self, line: Mapping[str, Any]) -> None:
        self.polls += 1
        self.steps += line["step"] is not None
        self.anomalies, self.fallbacks = list(line["anomalies"]), int(line["fallbacks"])
        loop_ms = sum(line["phase_times_ms"].values())
        if not math.isfinite(loop_ms):
            raise ValueError("a phase took a time that is no number")
        self.loops_ms.append(loop_ms)
        self.polled.append(datetime.fromisoformat(line["at"]) if "at" in line else None)
        for symbol, holds in line["holds"].items():
            kinds = [hold["kind"] for hold in holds]
            self.holds.update((symbol, kind) for kind in kinds)
            counts = self.halted if "halted" in kinds else self.held
            counts[symbol] += bool(kinds)

    def add_trades(self, line: Mapping[str, Any]) -> None:
        """Add the decisions, orders and fills of a line, and what was held after it. Raises as `add` does."""
        for decision in line["decisions"]:
            if decision["stage"] in _PASSED:
                self.decisions[decision["ref"]] = decision
            else:
                self.blocked += 1
        for order in line["orders"]:
            self.unfilled[order["ref"]] = self.decisions[order["ref"]]["quantity"] - order["filled"]
        self.fills += line["fills"]
        if line["positions"] is not None:  # null where the venue did not say: then the last that it said stands
            self.positions = line["positions"]
        self.cash = None if line["cash"] is None else Decimal(line["cash"])


def roll_up(path: Path, *, trade_cap_usd: Decimal, notional_cap_usd: Decimal) -> SessionRollup:
    """Return the figures of the session recorded at `path`, held against the two caps.

    Raises OperatorError when there is no such file, RecordError with file and line when it is damaged.
    """
    sums = Sums()
    for number, line in record_lines(path):
        try:
            sums.add(line)
        except (KeyError, TypeError, ValueError, AttributeError, InvalidOperation) as error:
            raise _damaged(path, number, f"{type(error).__name__}: {error}") from error
    if not sums.header:
        raise _damaged(path, 1, "there is no session.opened")
    try:
        rollup = _rollup(sums, trade_cap_usd, notional_cap_usd)
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise _damaged(path, 1, f"its figures can't be computed: {type(error).__name__}: {error}") from error
    endless = [name for name, value in vars(rollup).items() if isinstance(value, Decimal) and not value.is_finite()]
    if endless:
        raise _damaged(path, 1, f"{endless[0]} comes to no number")
    return rollup


def record_lines(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield number and content of each whole line of a session's record. Raises OperatorError, RecordError."""
    try:
        with path.open(encoding="utf-8", newline="\n") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.endswith("\n"):
                    return  # killed while it wrote: the record ends before it, and is not closed
                try:
                    yield number, json.loads(line)
                except ValueError as error:
                    raise _damaged(path, number, str(error)) from error
    except UnicodeDecodeError as error:
        raise _damaged(path, 0, "it is not text") from error
    except OSError as error:
        raise OperatorError(
            f"The session's record {path} can't be read: {error.strerror}.", todo="name the session.jsonl of a session"
        ) from error


def _damaged(path: Path, number: int, what: str) -> RecordError:
    return RecordError(
        f"{path}:{number}: not a line of a session's record: {what}.",
        means="its figures would be made up",
        todo="look for the file's copy in the run's folder",
    )


def _rollup(sums: Sums, trade_cap: Decimal, notional_cap: Decimal) -> SessionRollup:
    # Kept whole: one line a figure, in the order of the fields.
    notional, opened, largest = amounts(sums)
    trade_cap = _stricter(trade_cap, sums.header, "per_trade_notional_usd")
    notional_cap = _stricter(notional_cap, sums.header, "notional_daily_cap_usd")
    breaches = _breaches(notional, notional_cap, largest, trade_cap)
    slippage = [slippage_bps(fill, sums.decisions[fill["ref"]]) for fill in sums.fills]
    told = [fill for fill in sums.fills if fill["fee"] is not None]
    fees = [Decimal(fill["fee"]) / (fill["quantity"] * Decimal(fill["price"])) * 10_000 for fill in told]
    header, closed = sums.header, sums.closed
    day_notional = None if closed is None or "notional_usd" not in closed else Decimal(closed["notional_usd"])
    return SessionRollup(
        mode=header["mode"],
        venue=header["venue"],
        quotes=header["quotes"],
        realtime=header["realtime"],
        symbols=list(header["symbols"]),
        closed=closed is not None,
        polls=sums.polls,
        steps=sums.steps,
        orders=len(sums.decisions),
        blocked=sums.blocked,
        fills=len(sums.fills),
        fees_usd=sum((Decimal(fill["fee"]) for fill in told), Decimal(0)),
        fees_missing=len(sums.fills) - len(told),
        turnover_usd=sum((fill["quantity"] * Decimal(fill["price"]) for fill in sums.fills), Decimal(0)),
        notional_usd=notional,
        notional_cap_usd=notional_cap,
        day_notional_usd=None if day_notional is None else max(notional, day_notional),
        opened_usd=opened,
        largest_trade_usd=largest,
        trade_cap_usd=trade_cap,
        within_caps=not breaches,
        breaches=breaches,
        holds=[HoldCount(symbol, kind, polls) for (symbol, kind), polls in sorted(sums.holds.items())],
        anomalies=list(closed["anomalies"]) if closed else [*sums.anomalies, "the session was killed: no last line"],
        fallbacks=sums.fallbacks,
        loop_p95_ms=_rounded(nearest_rank(sums.loops_ms, 0.95)),
        heartbeat_gaps=_gaps(sums),
        hold_share_pct=_worst_hold_share(sums),
        slippage_median_bps=_rounded(nearest_rank(slippage, 0.5)),
        slippage_p95_bps=_rounded(nearest_rank(slippage, 0.95)),
        slippage_enough=len(slippage) >= ENOUGH_FILLS,
        fee_p95_bps=_rounded(nearest_rank(fees, 0.95)),
        flat=sums.flat,
        positions=[Holding(symbol, quantity) for symbol, quantity in sorted(sums.positions.items())],
        cash_usd=sums.cash,
    )


def _stricter(cap: Decimal, header: Mapping[str, Any], key: str) -> Decimal:
    """Return the cap that was asked for, or the record's own when that is less: the account was worth less that day."""
    return min(cap, Decimal(header.get("limits", {}).get(key, cap)))


def _gaps(sums: Sums) -> int | None:
    """Count waits of over two intervals, as rule 15 warms up again after one."""
    times = [at for at in sums.polled if at is not None and at.tzinfo is not None]
    interval = Decimal(str(sums.header.get("settings", {}).get("poll_sec", "NaN")))
    if not times or len(times) < sums.polls or not (interval.is_finite() and interval > 0):
        return None
    return sum((after - before).total_seconds() > 2 * interval for before, after in pairwise(times))


def _worst_hold_share(sums: Sums) -> Decimal | None:
    shares = [
        Decimal(100) * sums.held[symbol] / (sums.polls - sums.halted[symbol])
        for symbol in sums.header["symbols"]
        if sums.polls > sums.halted[symbol]
    ]
    return _rounded(max(shares, default=None))


def _breaches(notional: Decimal, notional_cap: Decimal, largest: Decimal, trade_cap: Decimal) -> list[str]:
    breaches = []
    if largest > trade_cap:
        breaches.append(f"largest opening order {largest:.2f} USD, limit a trade {trade_cap:.2f} USD")
    if notional > notional_cap:
        breaches.append(f"notional {notional:.2f} USD, daily cap {notional_cap:.2f} USD")
    return breaches


def amounts(sums: Sums) -> tuple[Decimal, Decimal, Decimal]:
    """Return all notional as the router counts it, the part that opened, and the largest opening order as sent."""
    notional = opened = largest = Decimal(0)
    for ref, decision in sums.decisions.items():
        price = max(Decimal(decision["limit"]), Decimal(decision["decision_mid"]))
        kept = price * (decision["quantity"] - sums.unfilled.get(ref, 0))
        notional += kept
        if decision["opens"]:
            opened += kept
            largest = max(largest, price * decision["quantity"])
    return notional, opened, largest


def slippage_bps(fill: Mapping[str, Any], decision: Mapping[str, Any]) -> Decimal:
    """Return what a fill lost against the mid at its decision, in basis points, without fees (rule 17)."""
    mid = Decimal(decision["decision_mid"])
    sign = 1 if fill["side"] == "BUY" else -1
    return sign * (Decimal(fill["price"]) - mid) / mid * 10_000


def _rounded(value: Decimal | float | None) -> Decimal | None:
    return None if value is None else round(Decimal(str(value)), 3)
