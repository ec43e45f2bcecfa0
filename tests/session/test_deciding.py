from __future__ import annotations

from pathlib import Path

from tests.session.test_loop import Wants, run

LIMIT = {"risk": {"max_weight_change_pct": 1}}


def test_weight_that_jumps_is_held_for_a_bar(tmp_path: Path) -> None:
    """A weight that jumps is a HOLD for that bar; the next bar, which stays there, is traded."""
    model = Wants(*["0.006"] * 4, *["-0.008"] * 20)
    ran = run(tmp_path, model=model, profile=LIMIT, steps=15)
    (held,) = [line for line in ran.polls if line["holds"]]
    assert held["holds"]["SPY"] == [
        {"kind": "weight spike", "reason": "SPY: weight moved by 1.400 % of the capital in a bar, limit 1 %"}
    ]
    assert (held["weights"], held["decisions"], held["step"]) == ({}, [], 5)
    sale = next(line for line in ran.polls if any(each["side"] == "SELL" for each in line["decisions"]))
    assert sale["step"] == 6
    assert (ran.result.holds, ran.result.anomalies) == (1, [])


def test_weight_that_jumps_each_bar_locks_out(tmp_path: Path) -> None:
    """Trading rule 11: a model that flips to and fro five polls running is an anomaly."""
    ran = run(
        tmp_path,
        model=Wants("0.01", "-0.01"),
        profile={"risk": {**LIMIT["risk"], "breaker": {"hold_share_after_polls": 1000}}},
        steps=30,
    )
    assert ran.result.anomalies[0].startswith("weight spike for 5 polls running (SPY: weight moved by 2.000 %")
    assert (ran.result.steps, ran.result.flat) == (6, True)
