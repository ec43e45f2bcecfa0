from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from aurora.analytics.period import PeriodRollup
from aurora.analytics.quantiles import Spread
from aurora.analytics.rollup import SessionRollup
from aurora.analytics.slo import SloFinding, judge, period_findings, session_findings
from aurora.analytics.tables import slo_lines
from aurora.profile import Profile, Section
from tests.trading import START, make_profile

BLOCKS = {"trade_notional", "daily_notional", "fallbacks", "anomalies", "unreconciled"}
LIMITS: dict[str, tuple[str, Any]] = {
    "loop_p95": ("loop_p95_ms", Decimal(250)),
    "heartbeat_losses": ("heartbeat_gaps", 0),
    "hold_share": ("hold_share_pct", Decimal(5)),
    "trade_notional": ("largest_trade_usd", Decimal(1000)),
    "daily_notional": ("day_notional_usd", Decimal(25_000)),
    "slippage_median": ("slippage_median_bps", Decimal("2.5")),
    "slippage_p95": ("slippage_p95_bps", Decimal(10)),
    "fee_p95": ("fee_p95_bps", Decimal(25)),
    "fallbacks": ("fallbacks", 0),
}
"""Each promise of a session: the figure that it is about, and its limit in the profile `sim`."""


def session(**more: Any) -> SessionRollup:
    """Return a session that keeps every promise, but for `more`."""
    values: dict[str, Any] = {
        "mode": "shadow", "venue": "simulated", "quotes": "ibkr", "realtime": True, "symbols": ["SPY"], "closed": True,
        "polls": 131, "steps": 120, "orders": 30, "blocked": 0, "fills": 30, "fees_usd": Decimal(30), "fees_missing": 0,
        "turnover_usd": Decimal(9000), "notional_usd": Decimal(9000), "notional_cap_usd": Decimal(25_000),
        "day_notional_usd": Decimal(9000),
        "opened_usd": Decimal(4500), "largest_trade_usd": Decimal(990), "trade_cap_usd": Decimal(1000),
        "within_caps": True, "breaches": [], "holds": [], "anomalies": [], "fallbacks": 0, "loop_p95_ms": Decimal(5),
        "heartbeat_gaps": 0, "hold_share_pct": Decimal(1), "slippage_median_bps": Decimal(1),
        "slippage_p95_bps": Decimal(3), "slippage_enough": True, "fee_p95_bps": Decimal(12), "flat": True,
        "positions": [], "cash_usd": Decimal(99_000),
    }  # fmt: skip
    return SessionRollup(**{**values, **more})


def spread(name: str, *ranks: str) -> Spread:
    """Return thirty samples at these quantiles."""
    return Spread(name, 30, *(Decimal(rank) for rank in ranks))


def period(**more: Any) -> PeriodRollup:
    """Return a period that keeps every promise, but for `more`."""
    values: dict[str, Any] = {
        "mode": "live", "days": 7, "since": START, "until": START, "known": True, "sessions": 5, "closed": 5,
        "realtime": 5, "missing_days": [], "symbols": ["SPY"], "profiles": ["sim"], "polls": 600, "steps": 550,
        "orders": 30, "blocked": 0, "acknowledged": 30, "rejected": 0, "unanswered": 0, "fills": 30,
        "turnover_usd": Decimal(9000), "notional_usd": Decimal(9000), "notional_share_pct": Decimal(40),
        "largest_trade_share_pct": Decimal(99), "fees_usd": Decimal(30), "fees_missing": 0, "pnl_usd": Decimal(-9),
        "drawdown_usd": Decimal(9), "holds": [], "hold_share_pct": Decimal(1), "false_hold_pct": Decimal(0),
        "anomalies": [], "fallbacks": 0, "heartbeat_gaps": 0, "one_sided": 0, "fee_bps": spread("fee", "9", "12", "14"),
        "slippage_bps": spread("slip", "1", "3", "4"), "slippage_enough": True, "slippage_by": [],
        "spread_bps": spread("spread", "1", "2", "3"), "quote_age_s": spread("age", "0.1", "0.5", "1"),
        "phases_ms": [spread("quotes", "1", "2", "3"), spread("loop", "1", "5", "9")], "to_reconcile": 0,
        "reconciled": 0, "problems": [],
    }  # fmt: skip
    return PeriodRollup(**{**values, **more})


@pytest.fixture(scope="module")
def profile() -> Profile:
    """Return the profile `sim`."""
    return make_profile()


def named(findings: list[SloFinding], name: str) -> SloFinding:
    """Return the finding of that name."""
    (found,) = [finding for finding in findings if finding.name == name]
    return found


def test_a_good_session_and_a_good_week_keep_every_promise(profile: Profile) -> None:
    """Each promise of the document's list is looked at, and a clean session meets all of them."""
    of_session, of_period = session_findings(session(), profile), period_findings(period(), profile)
    assert [finding.name for finding in of_session] == [*LIMITS, "anomalies"]
    assert [finding.name for finding in of_period] == [*LIMITS, "anomalies"]
    for findings in (of_session, of_period):
        assert {finding.verdict for finding in findings} == {"met"}
        assert {finding.name for finding in findings if finding.blocks} == BLOCKS - {"unreconciled"}
        verdict = judge(findings)
        assert (verdict.missed, verdict.unknown, verdict.advice) == ([], [], [])


@pytest.mark.parametrize("name", LIMITS)
def test_at_its_limit_a_promise_is_kept_but_for_the_loops(profile: Profile, name: str) -> None:
    """Loop time must be under its target (the document's p95 < target); what is capped may be at its cap."""
    field, limit = LIMITS[name]
    found = named(session_findings(session(**{field: limit}), profile), name)
    assert (found.value, found.limit) == (limit, limit)
    assert found.verdict == ("missed" if name == "loop_p95" else "met")


@pytest.mark.parametrize("name", LIMITS)
def test_over_its_limit_a_promise_is_missed(profile: Profile, name: str) -> None:
    """Just over the limit is a miss; of caps and fallbacks it blocks, of the others it advises."""
    field, limit = LIMITS[name]
    over = limit + (1 if isinstance(limit, int) else Decimal("0.001"))
    verdict = judge(session_findings(session(**{field: over}), profile))
    assert named(verdict.findings, name).verdict == "missed"
    (said,) = verdict.missed if name in BLOCKS else verdict.advice
    assert said.startswith(f"{name} {over}, limit {limit} ")
    assert (len(verdict.missed), len(verdict.advice)) == ((1, 0) if name in BLOCKS else (0, 1))


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize("value", [None, Decimal("NaN"), Decimal("Infinity"), float("nan"), "5", True])
def test_what_is_no_number_is_unknown(profile: Profile, name: str, value: object) -> None:
    """None, NaN, infinity, text and truth are no measurement: the promise is unknown, and no gate is green."""
    field, _ = LIMITS[name]
    verdict = judge(session_findings(session(**{field: value}), profile))
    found = named(verdict.findings, name)
    assert (found.verdict, found.value) == ("unknown", None)
    assert len(verdict.unknown if name in BLOCKS else verdict.advice) == 1


def test_one_anomaly_is_a_miss(profile: Profile) -> None:
    """Zero anomalies is the promise; each one is counted."""
    verdict = judge(session_findings(session(anomalies=["reject of a-1"]), profile))
    assert verdict.missed == ["anomalies 1, limit 0 times: missed (the session was locked out)"]


@pytest.mark.parametrize(("fills", "met"), [(0, False), (19, False), (20, True)])
def test_few_fills_say_nothing_of_costs(profile: Profile, fills: int, met: bool) -> None:
    """Trading rule 17: under twenty fills slippage is unknown, whatever it came to, and that is advice."""
    verdict = judge(session_findings(session(fills=fills, slippage_p95_bps=Decimal(999 if not met else 1)), profile))
    costs = [named(verdict.findings, name) for name in ("slippage_median", "slippage_p95", "fee_p95")]
    assert {found.verdict for found in costs} == ({"met"} if met else {"unknown"})
    assert verdict.missed == verdict.unknown == []
    assert len(verdict.advice) == (0 if met else 3)


def test_fees_that_were_not_told_are_not_met(profile: Profile) -> None:
    """Trading rule 4: a fee that can't be seen is not checked, never zero."""
    found = named(session_findings(session(fees_missing=1), profile), "fee_p95")
    assert (found.verdict, found.why) == ("unknown", "the commissions of 1 fills were not told")


def test_a_record_without_an_end_proves_no_promise(profile: Profile) -> None:
    """What was missed stays missed; what was met so far is unknown, since the rest of the session is."""
    verdict = judge(session_findings(session(closed=False, loop_p95_ms=Decimal(300)), profile))
    assert {found.name for found in verdict.findings if found.verdict == "missed"} == {"loop_p95"}
    assert "met" not in {found.verdict for found in verdict.findings}
    assert len(verdict.unknown) == 4


def test_a_record_without_a_poll_proves_nothing(profile: Profile) -> None:
    """No look at a quote: an empty green is none (trading rule 18)."""
    for findings in (session_findings(session(polls=0), profile), period_findings(period(polls=0), profile)):
        assert {found.verdict for found in findings} == {"unknown"}


def test_a_period_that_could_not_be_read_whole_proves_nothing(profile: Profile) -> None:
    """One record in doubt, and what the others kept is not the period's; what they missed is."""
    verdict = judge(period_findings(period(known=False, largest_trade_share_pct=Decimal(101)), profile))
    assert [said.split()[0] for said in verdict.missed] == ["trade_notional"]
    assert "met" not in {found.verdict for found in verdict.findings}


def test_a_live_session_that_was_not_reconciled_is_a_miss(profile: Profile) -> None:
    """Each session that sent orders to a venue is followed by a clean reconcile; of others there is no such promise."""
    kept, missed = (period_findings(period(to_reconcile=2, reconciled=done), profile) for done in (2, 1))
    assert named(kept, "unreconciled").verdict == "met"
    found = named(missed, "unreconciled")
    assert (found.verdict, found.value, found.blocks) == ("missed", Decimal(1), True)


def test_a_profile_that_promises_nothing_is_not_met() -> None:
    """A profile of before a promise has no limit for it: unknown, not green, and no traceback."""
    profile = make_profile()
    slo = {key: value for key, value in profile.slo.plain().items() if key != "slippage_p95_bps"}
    older = replace(profile, values=type(profile.values)({**profile.values.plain(), "slo": slo}))
    found = named(session_findings(session(), older), "slippage_p95")
    assert (found.verdict, found.limit, found.why) == ("unknown", None, "the profile promises nothing here")


def test_a_profile_without_the_sections_is_not_met() -> None:
    """A project whose profiles know no SLOs gets unknowns where a limit would be theirs, and no traceback."""
    bare = replace(make_profile(), values=Section({"mode": "paper"}))
    unknown = {found.name for found in period_findings(period(), bare) if found.verdict == "unknown"}
    assert unknown == {"loop_p95", "hold_share", "slippage_median", "slippage_p95", "fee_p95"}


def test_tolerances_are_the_profiles() -> None:
    """What slippage and fees may exceed the expected ones by is data; without it, the expected is the limit."""
    strict = make_profile(slo={"slippage_tolerance_bps": 0, "fee_tolerance_bps": 0})
    findings = session_findings(session(slippage_median_bps=Decimal("1.501"), fee_p95_bps=Decimal("15.001")), strict)
    assert [named(findings, name).limit for name in ("slippage_median", "fee_p95")] == [Decimal("1.5"), Decimal(15)]
    assert {named(findings, name).verdict for name in ("slippage_median", "fee_p95")} == {"missed"}


def test_tables_say_what_advises(profile: Profile) -> None:
    """A line of the table names value, limit, unit and verdict, and whether a miss only advises."""
    findings = session_findings(session(loop_p95_ms=Decimal(300), fallbacks=2), profile)
    plain, marked = ("\n".join(slo_lines(findings, "sim", markdown=mark)) for mark in (False, True))
    assert "SLOs of the profile sim" in plain
    assert "| loop_p95 | 300 | 250 | ms | missed, advice |" in marked
    assert "| fallbacks | 2 | 0 | times | missed |" in marked
