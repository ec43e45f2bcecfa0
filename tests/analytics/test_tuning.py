from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aurora.analytics.tuning import Proposal, Tuning, propose, shown
from aurora.engine.profiles import load_profile
from tests.analytics.test_period import NOW, START, Line, decision, fill, header, iso, poll, quote, write
from tests.trading import ROOT

SIM, LIVE = load_profile(ROOT, "sim"), load_profile(ROOT, "live_canary")
CLOSED: Line = {"type": "session.closed", "at": iso(START), "result": {"pnl_usd": "0", "anomalies": []}}


def session(root: Path, number: int, *polls: Line, end: Line | None = CLOSED, **first: Any) -> None:
    """Write a session of the day `number`."""
    folder = f"sessions/2026-11-{number:02}T150000.000Z-abcd"
    write(root, header(**first), *polls, *([end] if end else []), folder=folder)


def looks(count: int, spread: str = "0.02", age_s: float = 0.0) -> list[Line]:
    """Return polls of SPY at 100 USD with that spread and that age."""
    found = []
    for number in range(1, count + 1):
        at = START + timedelta(seconds=5 * number)
        seen = quote(at - timedelta(seconds=age_s), "100.00", str(Decimal("100.00") + Decimal(spread)))
        found.append(poll(number, quotes={"SPY": seen}))
    return found


def fills(count: int, slip: str = "100.02") -> list[Line]:
    """Return polls with a fill each, so far from a mid of 100."""
    return [
        poll(number, decisions=[decision(f"r{number}")], fills=[fill(f"r{number}", slip)])
        for number in range(1, count + 1)
    ]


def by_key(tuning: Tuning) -> dict[str, Proposal]:
    """Return the proposals by key."""
    return {each.key: each for each in tuning.proposals}


def tune(root: Path, bound: int = 50, profile: Any = SIM) -> Tuning:
    """Look at the last thirty days."""
    return propose(root, profile, NOW, 30, Decimal(bound))


def test_costs_are_the_median_and_the_p95_of_fills(tmp_path: Path) -> None:
    """Of twenty-one fills: the median of slippage, the p95 of fees, and what either would have covered."""
    for number, (count, slip) in enumerate(((7, "100.02"), (7, "100.03"), (7, "100.05")), 10):
        session(tmp_path, number, *fills(count, slip))
    found = by_key(tune(tmp_path))
    slippage = found["risk.slippage_bps"]
    assert (slippage.today, slippage.proposed, slippage.loosens) == (Decimal("1.5"), Decimal("3.00"), False)
    assert slippage.evidence == "median of 21 modelled fills"
    assert slippage.effect == "of 21 fills 21 cost more than 1.5, 7 more than 3.00"
    assert found["risk.fee_bps"].proposed == Decimal("20.00")


def test_live_fills_come_before_modelled_ones(tmp_path: Path) -> None:
    """Rule 17: twenty live fills of the profile's venue are enough; nineteen are not, and fewer of both are unknown."""
    live: dict[str, Any] = {"mode": "live", "venue": "live"}
    session(tmp_path, 10, *fills(19, "100.07"), **live)
    session(tmp_path, 11, *fills(25, "100.03"))
    session(tmp_path, 12)
    assert by_key(tune(tmp_path, profile=LIVE))["risk.slippage_bps"].evidence == "median of 25 modelled fills"
    session(tmp_path, 13, *fills(1, "100.07"), **live)
    assert by_key(tune(tmp_path, profile=LIVE))["risk.slippage_bps"].evidence == "median of 20 live fills"
    few = propose(tmp_path / "none", LIVE, NOW, 30, Decimal(50))
    assert (few.proposals, few.stays) == ([], ["everything: 0 clean sessions in 30 days, it takes 3"])


def test_few_fills_are_no_proposal(tmp_path: Path) -> None:
    """Nineteen fills of all kinds say nothing of costs."""
    for number in (10, 11, 12):
        session(tmp_path, number, *fills(6))
    found = tune(tmp_path)
    assert found.proposals == []
    assert "risk.slippage_bps: fewer than 20 fills, live or modelled" in found.stays


@pytest.mark.parametrize(
    ("first", "end", "said"),
    [
        ({"realtime": False}, CLOSED, "it was not on real-time quotes"),
        ({"mode": "live", "venue": "paper"}, CLOSED, "it was live on the venue paper, the profile's is live"),
        ({}, None, "it is not whole"),
        ({}, {**CLOSED, "result": {"pnl_usd": "0", "anomalies": ["x"]}}, "it had anomalies"),
        ({}, {**CLOSED, "result": {"pnl_usd": "0"}}, "it had anomalies"),
    ],
)
def test_sessions_that_are_not_clean_are_left_out_and_named(
    tmp_path: Path, first: dict[str, Any], end: Line | None, said: str
) -> None:
    """Two clean sessions and one that is not are too few, and the third is named."""
    for number in (10, 11):
        session(tmp_path, number, *fills(20))
    session(tmp_path, 12, *fills(20), end=end, **first)
    found = tune(tmp_path, profile=LIVE)
    assert (len(found.sessions), found.proposals) == (2, [])
    assert f"sessions/2026-11-12T150000.000Z-abcd/session.jsonl: {said}" in found.left_out


def test_limits_of_quotes_are_the_p99_and_room(tmp_path: Path) -> None:
    """p99 of a symbol's spread and age, half as much again, rounded up; what it would have held is told."""
    for number in (10, 11, 12):
        session(tmp_path, number, *looks(200, "0.10", 0.4))
    found = by_key(tune(tmp_path))
    spread, age = found["risk.symbols.SPY.max_spread_bps"], found["risk.symbols.SPY.max_quote_age_s"]
    assert (spread.today, spread.proposed, spread.loosens) == (Decimal(50), Decimal(15), False)  # 9.995 bps × 1.5
    assert (age.today, age.proposed) == (Decimal("1.5"), Decimal("0.6"))
    assert spread.effect == "of 600 looks 0 were over 50, 0 would be over 15"


@pytest.mark.parametrize(
    ("bound", "proposed", "cut"), [(50, "75", True), (0, None, True), (100, "100", True), (400, "150", False)]
)
def test_policy_bounds_what_is_loosened(tmp_path: Path, bound: int, proposed: str | None, cut: bool) -> None:
    """A limit is loosened by the bound at the most, and marked; without one it stays, and says why."""
    for number in (10, 11, 12):
        session(tmp_path, number, *looks(200, "1.00"))
    tuning = tune(tmp_path, bound)
    found = by_key(tuning).get("risk.symbols.SPY.max_spread_bps")
    if proposed is None:
        assert found is None
        assert "risk.symbols.SPY.max_spread_bps: 50 stays, policy allows no more" in tuning.stays
    else:
        assert found is not None
        assert (found.proposed, found.loosens, found.cut) == (Decimal(proposed), True, cut)
        assert "LOOSER: the promotion week begins anew" in shown([found])[0]
        assert ("cut at policy's bound" in shown([found])[0]) is cut


def test_few_looks_are_no_proposal(tmp_path: Path) -> None:
    """499 looks at a symbol say nothing of its limits."""
    for number, count in ((10, 200), (11, 200), (12, 99)):
        session(tmp_path, number, *looks(count))
    found = tune(tmp_path)
    assert "risk.symbols.SPY.max_spread_bps: 499 looks, it takes 500" in found.stays
    assert found.proposals == []
