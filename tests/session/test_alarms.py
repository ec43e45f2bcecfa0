from __future__ import annotations

from pathlib import Path
from time import sleep

from tests.session.test_loop import Wants, run


def test_long_time_without_an_order_is_told_once(tmp_path: Path) -> None:
    """So many decided bars without an order are told, once; it is no anomaly."""
    ran = run(tmp_path, model=Wants("0"), steps=25, profile={"slo": {"no_trade_bars": 10}})
    assert ran.services.notices == ["no order for 10 decided bars, limit 10."]
    assert (ran.result.anomalies, ran.result.steps) == ([], 25)


def test_order_begins_the_count_anew(tmp_path: Path) -> None:
    """Bars without an order are counted from the last order on."""
    ran = run(
        tmp_path, model=Wants(*["0"] * 8, "0.01", *["0.01"] * 7), steps=16, profile={"slo": {"no_trade_bars": 10}}
    )
    assert (ran.services.notices, ran.result.orders) == ([], 2)


def test_slow_loops_are_told_once(tmp_path: Path) -> None:
    """A p95 over its limit is told, once; it is no anomaly."""

    class Slow(Wants):
        def features(self, mids: object) -> dict[str, float]:
            sleep(0.003)
            return {}

    ran = run(tmp_path, model=Slow(), steps=30, profile={"slo": {"loop_p95_ms": 2}})
    (notice,) = ran.services.notices
    assert notice.startswith("p95 of the last ")
    assert notice.endswith(" ms, limit 2 ms.")
    assert ran.result.anomalies == []
