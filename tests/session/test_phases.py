from __future__ import annotations

from decimal import Decimal

from aurora.clock import ManualClock
from aurora.session.phases import PHASES, PhaseTimes, p95
from tests.trading import START


def test_phases_are_those_of_a_loop() -> None:
    """A loop's phases are quotes, tripwires, features, predict, risk, route, record, in this order."""
    assert PHASES == ("quotes", "tripwires", "features", "predict", "risk", "route", "record")


def test_each_phase_is_timed_and_the_loop_summed() -> None:
    """Each phase takes its own time in milliseconds; a loop's total is their sum, without the waiting."""
    clock = ManualClock(START)
    times = PhaseTimes(clock)
    for _ in range(2):
        times.start()
        for number, phase in enumerate(PHASES, start=1):
            clock.sleep(number / 1000)
            times.end_phase(phase)
        clock.sleep(5)
    assert times.recorded() == {phase: float(number) for number, phase in enumerate(PHASES, start=1)}
    assert [round(total, 6) for total in times.totals_ms] == [28.0, 28.0]


def test_p95_is_a_measured_value() -> None:
    """The 95th percentile is by nearest rank, to three places; of nothing it is nothing."""
    assert p95(float(n) for n in range(1, 101)) == Decimal(95)
    assert p95([1.23456]) == Decimal("1.235")
    assert p95([]) is None
