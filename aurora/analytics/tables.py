"""A period's rollup as lines for people: a plain table, or Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from aurora.analytics.period import PeriodRollup
from aurora.analytics.quantiles import Spread
from aurora.analytics.slo import SloFinding

UNKNOWN = "unknown"
_FIGURES = {
    "sessions, closed, on real-time quotes": ("sessions", "closed", "realtime"),
    "polls, steps": ("polls", "steps"),
    "orders, blocked": ("orders", "blocked"),
    "acknowledged, rejected, unanswered": ("acknowledged", "rejected", "unanswered"),
    "fills": ("fills",),
    "turnover, notional, USD": ("turnover_usd", "notional_usd"),
    "most used of the daily cap, of the cap a trade, %": ("notional_share_pct", "largest_trade_share_pct"),
    "fees, USD; fills without a fee": ("fees_usd", "fees_missing"),
    "P&L, deepest drawdown, USD": ("pnl_usd", "drawdown_usd"),
    "HOLDs, false HOLDs, % of looks": ("hold_share_pct", "false_hold_pct"),
    "fallbacks, heartbeat gaps": ("fallbacks", "heartbeat_gaps"),
    "quotes without a spread": ("one_sided",),
}


def rollup_lines(rollup: PeriodRollup, *, markdown: bool) -> Iterator[str]:
    """Yield the lines of a rollup; what could not be told says `unknown`."""
    head = f"{rollup.mode}: {rollup.sessions} sessions since {rollup.since:%Y-%m-%d %H:%MZ}, {_list(rollup.symbols)}"
    yield f"# {head}" if markdown else head
    verdict = "all of it could be read" if rollup.known else "UNKNOWN: there is none, or not all of it could be read"
    yield from ("", verdict, "") if markdown else (verdict,)
    rows = [(name, ", ".join(shown(getattr(rollup, key)) for key in keys)) for name, keys in _FIGURES.items()]
    rows += [(f"HOLDs of {hold.symbol}, {hold.kind}", str(hold.polls)) for hold in rollup.holds]
    yield from table(("figure", "value"), rows, markdown=markdown)
    yield ""
    spreads = [rollup.slippage_bps, *rollup.slippage_by, rollup.fee_bps, rollup.spread_bps, rollup.quote_age_s]
    names = [
        "slippage_bps",
        *(f"  {found.name}" for found in rollup.slippage_by),
        "fee_bps",
        "spread_bps",
        "quote_age_s",
    ]
    pairs = [*zip(names, spreads, strict=True), *((f"{phase.name} ms", phase) for phase in rollup.phases_ms)]
    yield from table(
        ("spread", "samples", "median", "p95", "p99"), [_row(name, found) for name, found in pairs], markdown=markdown
    )
    if not rollup.slippage_enough:
        yield from ("", f"slippage: {rollup.fills} fills, fewer than 20: unknown, and only advice")
    yield from _notes(rollup)


def slo_lines(findings: Sequence[SloFinding], profile: str, *, markdown: bool) -> Iterator[str]:
    """Yield the promises of a profile with what became of them, as a table."""
    yield ""
    yield f"## SLOs of the profile {profile}" if markdown else f"SLOs of the profile {profile}"
    if markdown:
        yield ""
    rows = [
        (found.name, shown(found.value), shown(found.limit), found.unit, _verdict(found), found.why)
        for found in findings
    ]
    yield from table(("SLO", "value", "limit", "unit", "verdict", "what"), rows, markdown=markdown)


def _verdict(found: SloFinding) -> str:
    return found.verdict if found.blocks or found.verdict == "met" else f"{found.verdict}, advice"


def _notes(rollup: PeriodRollup) -> Iterator[str]:
    notes = [f"anomaly: {anomaly}" for anomaly in rollup.anomalies]
    notes += [f"no session on: {_list(rollup.missing_days)}"] if rollup.missing_days else []
    notes += [f"problem: {problem.file}: {problem.what} ({problem.count})" for problem in rollup.problems]
    yield from ("", *(f"- {note}" for note in notes)) if notes else ()


def _row(name: str, found: Spread) -> tuple[str, ...]:
    return (name, str(found.samples), shown(found.p50), shown(found.p95), shown(found.p99))


def table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]], *, markdown: bool) -> Iterator[str]:
    """Yield a table's lines, Markdown or plain with columns set under each other."""
    if markdown:
        yield from (f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}")
        yield from (f"| {' | '.join(cell.strip().replace('|', '/') for cell in row)} |" for row in rows)
        return
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for row in (heads, *rows):
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def shown(value: Any) -> str:
    """Return a figure as text; None is `unknown`."""
    if value is None:
        return UNKNOWN
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _list(names: list[str]) -> str:
    return ", ".join(names) or "none"
