"""A session in words: what it is, and at its end how it ended, what it used, and where its record lies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

KILL_HINT = "Ctrl-C ends it flat · touch kill.flag stops everything at once"
_VENUES = {"live": "LIVE VENUE, REAL MONEY", "paper": "PAPER ACCOUNT"}


def headline(header: Mapping[str, Any]) -> str:
    """Return what a session is, from a map with its mode and venue: no two kinds of session look alike."""
    return f"{str(header['mode']).upper()} on {_VENUES.get(str(header['venue']), str(header['venue']).upper())}"


def summary_lines(summary: Mapping[str, Any], folder: str) -> Iterator[str]:
    """Yield the lines of a session's summary; `folder` is where it is."""
    simulated = " (simulated: no order left this machine)" if summary["venue"] == "simulated" else ""
    yield f"{headline(summary)}{simulated}"
    yield f"  profile {summary['profile']} · quotes {summary['quotes']} · {', '.join(summary['symbols'])}"
    result = summary["result"]
    yield from [f"  ✘ {str(summary['error']).partition(chr(10))[0]}"] if result is None else _figures(result)
    yield f"  exit {summary['exit_code']} · record {folder}/ (a session by hand: not sealed, no evidence)"


def _figures(result: Mapping[str, Any]) -> Iterator[str]:
    good = not (result["anomalies"] or result["halted"]) and result["flat"]
    yield f"  {'✔' if good else '✘'} ended: {result['ended']}; {'flat' if result['flat'] else 'NOT FLAT'}"
    if result["left"]:
        yield f"  ✘ left: {result['left']}"
    for anomaly in result["anomalies"]:
        yield f"  ✘ anomaly: {anomaly}"
    if result["locked_out"] and result["mode"] == "live":
        yield "  ✘ live is locked out until: invoke unlock --root-cause TEXT"
    yield (
        f"  {result['polls']} polls, {result['steps']} steps · {result['orders']} orders "
        f"({result['orders_sent']} sent), {result['blocked']} blocked, {result['rejected']} rejected, "
        f"{result['fills']} fills · {result['holds']} HOLDs, the worst symbol {result['hold_share_pct']} %"
    )
    p95 = "no loop" if result["loop_p95_ms"] is None else f"loop p95 {result['loop_p95_ms']} ms"
    yield (
        f"  P&L {result['pnl_usd']} USD after fees · notional of the day {result['notional_usd']} USD · "
        f"fees {result['fees_usd']} USD · {p95}"
    )
