"""Holds the figures of a session or a period against what the profile promises: rollup + profile → findings.

    session_findings | period_findings → SloFinding (met, missed, unknown) → judge → SloVerdict, for gates

What is not known is never met. The daily and per-trade caps, fallbacks, anomalies and reconcile block; loop time, lost
heartbeats, HOLDs, slippage and fees advise (trading rules 11 and 17: what grows into an anomaly blocks as one).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from aurora.analytics.period import PeriodRollup
from aurora.analytics.rollup import ENOUGH_FILLS, SessionRollup
from aurora.profile import Profile

Verdict = Literal["met", "missed", "unknown"]


@dataclass(frozen=True)
class SloFinding:
    """One promise, and whether it was kept.

    value, limit: what was measured and what was promised, in `unit`; None where it is not known.
    blocks:       a miss is red; otherwise it is advice. why: what was compared, or why nobody knows.
    """

    name: str
    verdict: Verdict
    value: Decimal | None
    limit: Decimal | None
    unit: str
    blocks: bool
    why: str


@dataclass(frozen=True)
class SloVerdict:
    """All findings, and those that a gate looks at, in words.

    missed, unknown: of the promises that block. advice: of the others, those that were not met.
    """

    findings: list[SloFinding]
    missed: list[str]
    unknown: list[str]
    advice: list[str]


@dataclass(frozen=True)
class _Figure:
    """What is compared. below: the value must be under the limit, not at it. doubt: why the value says nothing."""

    name: str
    value: object
    limit: object
    unit: str
    what: str
    doubt: str = ""
    below: bool = False
    blocks: bool = False


def judge(findings: list[SloFinding]) -> SloVerdict:
    """Return the findings sorted into what gates ask."""
    unmet = [finding for finding in findings if finding.verdict != "met"]
    return SloVerdict(
        findings=findings,
        missed=[in_words(each) for each in unmet if each.blocks and each.verdict == "missed"],
        unknown=[in_words(each) for each in unmet if each.blocks and each.verdict == "unknown"],
        advice=[in_words(each) for each in unmet if not each.blocks],
    )


def in_words(finding: SloFinding) -> str:
    """Return a finding as one line: name, value, limit, verdict and why."""
    value, limit = (_text(amount) for amount in (finding.value, finding.limit))
    return f"{finding.name} {value}, limit {limit} {finding.unit}: {finding.verdict} ({finding.why})"


def _text(amount: Decimal | None) -> str:
    return "unknown" if amount is None else f"{amount:f}"


def session_findings(rollup: SessionRollup, profile: Profile) -> list[SloFinding]:
    """Return what became of the profile's promises in one session.

    Whether it reconciled is no figure of its record: the step that asks the venue has a gate of its own.
    """
    figures = [
        _loop(rollup.loop_p95_ms, profile),
        _heartbeats(rollup.heartbeat_gaps),
        _holds(rollup.hold_share_pct, profile, "the most held symbol's polls"),
        _Figure("trade_notional", rollup.largest_trade_usd, rollup.trade_cap_usd, "USD", _TRADE, blocks=True),
        _Figure("daily_notional", rollup.day_notional_usd, rollup.notional_cap_usd, "USD", _DAY, blocks=True),
        *_costs(
            rollup.fills,
            rollup.fees_missing,
            (rollup.slippage_median_bps, rollup.slippage_p95_bps, rollup.fee_p95_bps),
            profile,
        ),
        *_zeros(rollup.fallbacks, len(rollup.anomalies)),
    ]
    partly = "" if rollup.closed else "the record has no end: what came after it is not known"
    return [_found(figure, partly if rollup.polls else "the record has no poll") for figure in figures]


def period_findings(rollup: PeriodRollup, profile: Profile) -> list[SloFinding]:
    """Return what became of the profile's promises over some days; shares of caps are of those in each record."""
    loop = next((phase.p95 for phase in rollup.phases_ms if phase.name == "loop"), None)
    percent = Decimal(100)
    figures = [
        _loop(loop, profile),
        _heartbeats(rollup.heartbeat_gaps),
        _holds(rollup.hold_share_pct, profile, "looks at all symbols together"),
        _Figure("trade_notional", rollup.largest_trade_share_pct, percent, "% of its cap", _TRADE, blocks=True),
        _Figure("daily_notional", rollup.notional_share_pct, percent, "% of its cap", _DAY, blocks=True),
        *_costs(
            rollup.fills,
            rollup.fees_missing,
            (rollup.slippage_bps.p50, rollup.slippage_bps.p95, rollup.fee_bps.p95),
            profile,
        ),
        *_zeros(rollup.fallbacks, len(rollup.anomalies)),
        *_reconciled(rollup),
    ]
    partly = "" if rollup.known else "not all of the records could be read"
    return [_found(figure, partly if rollup.polls else "there is no poll on record") for figure in figures]


_TRADE = "largest opening order as it was sent, against the cap a trade"
_DAY = "all that was sent, as the router counts it, against the daily cap"


def _section(profile: Profile, name: str) -> Mapping[str, Any]:
    """Return a part of a profile; an empty one where a project's profiles have none."""
    section = profile.values.get(name)
    return section if isinstance(section, Mapping) else {}


def _loop(p95_ms: Decimal | None, profile: Profile) -> _Figure:
    what = "p95 of a loop's own time; under the limit, not at it"
    return _Figure("loop_p95", p95_ms, _section(profile, "slo").get("loop_p95_ms"), "ms", what, below=True)


def _heartbeats(gaps: int | None) -> _Figure:
    return _Figure("heartbeat_losses", gaps, 0, "waits", "over two poll intervals long")


def _holds(share_pct: Decimal | None, profile: Profile, of: str) -> _Figure:
    return _Figure("hold_share", share_pct, _section(profile, "slo").get("max_hold_share_pct"), "%", f"HOLDs, of {of}")


def _costs(
    fills: int, fees_missing: int, bps: tuple[Decimal | None, Decimal | None, Decimal | None], profile: Profile
) -> Iterator[_Figure]:
    median, p95, fee = bps
    risk, slo = _section(profile, "risk"), _section(profile, "slo")
    few = "" if fills >= ENOUGH_FILLS else f"{fills} fills; fewer than {ENOUGH_FILLS} say little"
    untold = f"the commissions of {fees_missing} fills were not told" if fees_missing else ""
    limit, what = _with_tolerance("median", risk.get("slippage_bps"), slo.get("slippage_tolerance_bps"))
    yield _Figure("slippage_median", median, limit, "bps", what, few)
    yield _Figure("slippage_p95", p95, slo.get("slippage_p95_bps"), "bps", "p95", few)
    limit, what = _with_tolerance("p95", risk.get("fee_bps"), slo.get("fee_tolerance_bps"))
    yield _Figure("fee_p95", fee, limit, "bps", what, untold or few)


def _with_tolerance(rank: str, expected: object, tolerance: object) -> tuple[Decimal | None, str]:
    low, more = _amount(expected), _amount(tolerance)
    limit = None if low is None or more is None else low + more
    return limit, f"{rank}, against {expected} expected + {tolerance}"


def _zeros(fallbacks: int, anomalies: int) -> Iterator[_Figure]:
    yield _Figure("fallbacks", fallbacks, 0, "times", "the model gave no answer", blocks=True)
    yield _Figure("anomalies", anomalies, 0, "times", "the session was locked out", blocks=True)


def _reconciled(rollup: PeriodRollup) -> Iterator[_Figure]:
    """Yield nothing where no session sent orders to a venue that outlives it: there is nothing to compare with."""
    if not rollup.to_reconcile:
        return
    left = rollup.to_reconcile - rollup.reconciled
    what = f"live sessions at a venue without a clean reconcile after them in their run, of {rollup.to_reconcile}"
    yield _Figure("unreconciled", left, 0, "sessions", what, blocks=True)


def _found(figure: _Figure, partly: str) -> SloFinding:
    value, limit = _amount(figure.value), _amount(figure.limit)
    verdict: Verdict
    why = figure.what
    if limit is None:
        verdict, why = "unknown", "the profile promises nothing here"
    elif figure.doubt or value is None:
        verdict, why = "unknown", figure.doubt or partly or f"{figure.what}: it could not be told"
    elif value > limit or (figure.below and value == limit):
        verdict = "missed"
    elif partly:
        verdict, why = "unknown", partly  # more of the record could only make it worse
    else:
        verdict = "met"
    return SloFinding(figure.name, verdict, value, limit, figure.unit, figure.blocks, why)


def _amount(value: object) -> Decimal | None:
    """Return a number as a finite Decimal; None for what is none, NaN and infinity among them."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    amount = Decimal(str(value))
    return amount if amount.is_finite() else None
