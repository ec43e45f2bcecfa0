"""The picture of a running session: what it is, quotes, weights, positions, limits used, and how to stop it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from aurora.commands.session_summary import KILL_HINT, headline
from aurora.engine.console import one_line
from aurora.session.bars import WARM_UP_BARS
from aurora.session.sight import Sight, is_passed

CELL = 60
LEAST_ROWS = 3
_SIMULATED = "bold black on cyan"
_REAL = "bold white on red"


def picture(sight: Sight, *, rows: int, silent_s: float) -> RenderableType:
    """Return the whole picture for a terminal of so many rows.

    silent_s: seconds of the machine's own time since the record grew: what hangs must not look alive.
    """
    if not sight.header:
        return Text("the session has not begun", style="dim")
    parts: list[RenderableType] = [*_head(sight, silent_s), *_money(sight), *_trouble(sight), *_orders(sight)]
    left = rows - len(parts) - 3  # the table's own head, its last line, and the hint
    parts.append(_quotes(sight, max(LEAST_ROWS, left)))
    parts.append(Text(KILL_HINT, style="bold yellow", no_wrap=True, overflow="ellipsis"))
    return Group(*parts)


def _line(text: str, style: str = "") -> Text:
    return Text(one_line(text), style=style, no_wrap=True, overflow="ellipsis")


def _head(sight: Sight, silent_s: float) -> Iterator[Text]:
    header, poll = sight.header, sight.poll
    head = Text(no_wrap=True, overflow="ellipsis")
    head.append(f" {one_line(headline(header))} ", _SIMULATED if header["venue"] == "simulated" else _REAL)
    head.append(one_line(f"  profile {header['profile']['name']}  quotes {header['quotes']}  model {header['model']}"))
    yield head
    p95 = sight.loop_p95_ms()
    parts = [f"poll {poll.get('n', 0)}", _step(sight), str(poll.get("at", ""))[:19].replace("T", " ") + " UTC"]
    parts.append("no loop yet" if p95 is None else f"loop p95 {p95:.1f} ms")
    parts.append(f"last look {silent_s:.1f} s ago")
    yield _line(" · ".join(parts), "dim")


def _step(sight: Sight) -> str:
    step, steps = sight.poll.get("step"), sight.header["settings"]["steps"]
    if sight.result is not None:
        return f"ended: {sight.result['ended']}"
    if sight.is_flattening:
        return "leaving"
    if step is None:
        return f"warming up, {WARM_UP_BARS} bars"
    return f"step {step}" + (f" of {steps}" if steps is not None else "")


def _money(sight: Sight) -> Iterator[Text]:
    limits, day = sight.header["limits"], sight.day
    pnl = day.pnl_usd(sight.bids)
    fall = day.high_water_usd - day.total_pnl_usd(sight.bids)
    known = sight.poll.get("cash")
    cash = "unknown" if known is None else f"{Decimal(known):,.2f} USD"
    yield _line(f"P&L of the day {pnl:+,.2f} USD after fees · cash {cash}", "green" if pnl >= 0 else "red")
    used = Text("limits used  ", no_wrap=True, overflow="ellipsis")
    for name, value, limit in (
        ("notional", day.use.notional_usd, limits["notional_daily_cap_usd"]),
        ("fees", day.use.fees_usd, limits["daily_fee_cap_usd"]),
        ("loss", max(Decimal(0), -pnl), limits["daily_loss_limit_usd"]),
        ("drawdown", max(Decimal(0), fall), limits["max_drawdown_usd"]),
    ):
        share = 100 * value / Decimal(limit) if Decimal(limit) else Decimal(100)
        style = "red" if share >= 90 else "yellow" if share >= 60 else ""
        used.append(f"{name} {value:,.0f} of {Decimal(limit):,.0f}, {share:.0f} %", style)
        used.append("  ")
    yield used


def _trouble(sight: Sight) -> Iterator[Text]:
    for anomaly in sight.anomalies[:LEAST_ROWS]:
        yield _line(f"ANOMALY, locked out: {anomaly}", "bold red")
    if len(sight.anomalies) > LEAST_ROWS:
        yield _line(f"… and {len(sight.anomalies) - LEAST_ROWS} anomalies more", "bold red")
    share = sight.hold_share_pct()
    calm = "" if sight.anomalies else "no anomaly · "
    yield _line(f"{calm}HOLDs: {sum(sight.held.values())}, the worst symbol {share:.1f} % of its polls")


def _orders(sight: Sight) -> Iterator[Text]:
    yield _line(f"orders {sight.orders} let through · {sight.blocked} blocked · fills {sight.fills}")
    for decision in sight.recent:
        what = f"  {decision['side']} {decision['quantity']} {decision['symbol']} at {decision['limit']}"
        if is_passed(decision):
            state = sight.day.orders.get(decision["ref"])
            yield _line(f"{what}  {'sent' if state is None else f'{state.status} {state.filled}'}", "dim")
        else:
            yield _line(f"{what}  blocked, {decision['stage']}: {decision['reason']}", "yellow")


def _quotes(sight: Sight, rows: int) -> Table:
    poll = sight.poll
    table = Table(box=None, padding=(0, 1), pad_edge=False)
    table.add_column("symbol", no_wrap=True)
    for name in ("bid", "ask", "age s", "spread bps", "weight %", "shares"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True, overflow="ellipsis")
    quotes = poll.get("quotes", {})
    positions, holds = poll.get("positions") or {}, poll.get("holds", {})
    # what is held or stands still comes first: a small terminal must not hide it
    symbols = sorted(quotes, key=lambda symbol: (not positions.get(symbol), symbol not in holds, symbol))
    shown = symbols if len(symbols) <= rows else symbols[: rows - 1]
    for symbol in shown:
        table.add_row(*_row(symbol, poll), style="yellow" if symbol in holds else "")
    if len(shown) < len(symbols):
        table.add_row(f"… {len(symbols) - len(shown)} more", style="dim")
    return table


def _row(symbol: str, poll: Mapping[str, Any]) -> Iterator[str]:
    quote = poll["quotes"][symbol] or {}
    yield one_line(symbol, 12)
    yield str(quote.get("bid") or "–")
    yield str(quote.get("ask") or "–")
    yield f"{_seconds(quote.get('at'), poll['at']):.1f}" if quote else "–"
    yield _spread_bps(quote)
    weight = poll["weights"].get(symbol)
    yield "–" if weight is None else f"{100 * Decimal(weight):+.2f}"
    yield "?" if poll["positions"] is None else str(poll["positions"].get(symbol, 0))
    holds = [f"HOLD {hold['reason']}" for hold in poll["holds"].get(symbol, ())]
    yield one_line("; ".join([*holds, *poll["notes"].get(symbol, ())]), CELL)


def _seconds(start: Any, end: Any) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()


def _spread_bps(quote: Mapping[str, Any]) -> str:
    if not quote.get("bid") or not quote.get("ask"):
        return "–"
    bid, ask = Decimal(quote["bid"]), Decimal(quote["ask"])
    mid = (bid + ask) / 2
    return f"{(ask - bid) / mid * 10_000:.1f}" if mid > 0 else "–"
