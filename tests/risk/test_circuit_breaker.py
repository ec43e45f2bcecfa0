from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.risk.circuit_breaker import BreakerLimits, CircuitBreaker
from aurora.risk.tripwires import Hold, HoldKind

STALE = Hold(HoldKind.STALE, "SPY: quote age 2 s, limit 1.5 s")
WIDE = Hold(HoldKind.WIDE, "SPY: spread 60 bps, limit 50 bps")
HALT = Hold(HoldKind.HALTED, "SPY: trading is halted")


def feed(breaker: CircuitBreaker, *polls: tuple[Hold, ...], symbol: str = "SPY") -> CircuitBreaker:
    """Count polls one after the other."""
    for holds in polls:
        breaker.count_poll(symbol, holds)
    return breaker


def test_clean_polls_lock_nothing() -> None:
    """A session without HOLDs is never locked out."""
    breaker = feed(CircuitBreaker(), *[()] * 500)
    assert (breaker.locked, breaker.anomalies) == (False, [])


def test_same_hold_five_polls_running_is_an_anomaly() -> None:
    """Trading rule 11: the same HOLD five polls running locks the session out, four do not."""
    breaker = feed(CircuitBreaker(), *[(STALE,)] * 4)
    assert not breaker.locked
    feed(breaker, (STALE,))
    assert breaker.anomalies == ["stale for 5 polls running (SPY: quote age 2 s, limit 1.5 s)"]


def test_different_holds_do_not_add_up_to_a_run() -> None:
    """Trading rule 11: it is the same HOLD that counts: stale and wide by turns are no run of five."""
    breaker = feed(CircuitBreaker(), *[(STALE,), (WIDE,)] * 9)
    assert not breaker.locked


def test_two_holds_in_a_poll_run_each_for_itself() -> None:
    """A poll that is stale and wide continues both runs."""
    breaker = feed(CircuitBreaker(), (STALE,), *[(STALE, WIDE)] * 4)
    assert [anomaly.split()[0] for anomaly in breaker.anomalies] == ["stale"]


def test_clean_poll_ends_a_run() -> None:
    """Trading rule 11: running means running: one clean poll begins the count anew."""
    breaker = feed(CircuitBreaker(), *([*[(STALE,)] * 4, ()] * 3))
    assert not breaker.locked


def test_symbols_run_each_for_itself() -> None:
    """Trading rule 11: HOLDs of two symbols are not one run."""
    breaker = CircuitBreaker()
    for _ in range(3):
        feed(breaker, (STALE,), symbol="SPY")
        feed(breaker, (STALE,), symbol="TSLA")
    assert not breaker.locked


@pytest.mark.parametrize(("holds", "polls", "locked"), [(2, 20, False), (3, 20, True), (3, 30, False), (4, 30, True)])
def test_more_than_a_tenth_of_the_polls_is_an_anomaly(holds: int, polls: int, locked: bool) -> None:
    """Trading rule 11: over 10 % of a symbol's polls on HOLD, looked at after 20, locks the session out."""
    gap = polls // holds
    sequence = [(STALE,) if n % gap == gap - 1 and n // gap < holds else () for n in range(polls)]
    assert sum(map(bool, sequence)) == holds
    assert feed(CircuitBreaker(), *sequence).locked is locked


def test_share_is_not_looked_at_before_twenty_polls() -> None:
    """Trading rule 11: in the first 20 polls a share says nothing."""
    polls = [(STALE,), (STALE,), (), (STALE,), ()] * 3 + [()] * 4
    assert len(polls) == 19
    assert not feed(CircuitBreaker(), *polls).locked
    assert feed(CircuitBreaker(), *polls, ()).locked


def test_share_prints_value_and_limit() -> None:
    """The anomaly prints held polls, all polls, the share and its limit."""
    breaker = feed(CircuitBreaker(), *[(STALE,), ()] * 10)
    assert breaker.anomalies == ["SPY: held in 10 of 20 polls, 50.0 %, limit 10 %"]


def test_halts_are_excepted() -> None:
    """Trading rule 11: halts are the venue's doing: neither runs of them nor their share lock the session out."""
    breaker = feed(CircuitBreaker(), *[(HALT, STALE)] * 200)
    assert not breaker.locked
    assert breaker.hold_share_pct("SPY") == 0


def test_halt_parts_two_runs() -> None:
    """Trading rule 11: what runs before and after a halt is not one run."""
    breaker = feed(CircuitBreaker(), *[(STALE,)] * 4, (HALT,), *[(STALE,)] * 4)
    assert not breaker.locked


@pytest.mark.parametrize(("seconds", "locked"), [(15.0, False), (15.1, True)])
def test_silence_of_all_symbols_is_an_anomaly(seconds: float, locked: bool) -> None:
    """Trading rule 11: no tick on any symbol for more than 15 s locks the session out."""
    breaker = CircuitBreaker()
    breaker.count_ticks(seconds)
    assert breaker.locked is locked
    assert all("limit 15 s" in anomaly for anomaly in breaker.anomalies)


def test_lockout_stays() -> None:
    """A locked session stays locked: clean polls don't unlock it."""
    breaker = CircuitBreaker()
    breaker.trip("reject of a-1")
    feed(breaker, *[()] * 100)
    assert breaker.locked
    assert breaker.anomalies == ["reject of a-1"]


def test_limits_come_from_the_profile() -> None:
    """Tuned limits are used in place of the rule's own."""
    breaker = feed(CircuitBreaker(BreakerLimits(same_hold_polls=2)), *[(STALE,)] * 2)
    assert breaker.locked


POLLS = st.lists(st.sampled_from([(), (STALE,), (WIDE,), (STALE, WIDE), (HALT,)]), max_size=80)


@given(POLLS)
def test_breaker_trips_exactly_by_its_two_rules(polls: list[tuple[Hold, ...]]) -> None:
    """Trading rule 11, said again as a model over whole histories: five of a kind running, or over a tenth after 20."""
    expected = False
    counted: list[bool] = []
    runs = {HoldKind.STALE: 0, HoldKind.WIDE: 0}
    for holds in polls:
        kinds = {hold.kind for hold in holds}
        if HoldKind.HALTED in kinds:
            runs = dict.fromkeys(runs, 0)
            continue
        counted.append(bool(kinds))
        runs = {kind: runs[kind] + 1 if kind in kinds else 0 for kind in runs}
        expected |= max(runs.values()) >= 5
        expected |= len(counted) >= 20 and Decimal(sum(counted)) / len(counted) > Decimal("0.1")
    assert feed(CircuitBreaker(), *polls).locked is expected


SPIKE = Hold(HoldKind.SPIKE, "SPY: weight moved by 3 %")


def test_hold_of_the_model_counts_like_one_of_the_quote() -> None:
    """Trading rule 11: a weight that jumps five polls running locks out; one poll without it begins anew."""
    breaker = CircuitBreaker()
    for number in range(9):
        feed(breaker, ())
        if number != 4:
            breaker.add_hold("SPY", SPIKE)
    assert not breaker.locked
    feed(breaker, ())
    breaker.add_hold("SPY", SPIKE)
    assert breaker.anomalies == ["weight spike for 5 polls running (SPY: weight moved by 3 %)"]


def test_poll_is_held_once() -> None:
    """A poll counts as held once, whatever held it."""
    breaker = feed(CircuitBreaker(), (STALE,))
    breaker.add_hold("SPY", SPIKE)
    assert breaker.hold_share_pct("SPY") == 100


@pytest.mark.parametrize(
    ("seconds", "poll_sec", "said"),
    [
        (15.0, "5", []),
        (15.1, "5", ["the loop stood still for 15.1 s, limit 15 s (3 polls of 5 s, at least 5 s)"]),
        (5.0, "0.1", []),
        (5.1, "0.1", ["the loop stood still for 5.1 s, limit 5 s (3 polls of 0.1 s, at least 5 s)"]),
    ],
)
def test_loop_that_stands_still_is_an_anomaly(seconds: float, poll_sec: str, said: list[str]) -> None:
    """More than three intervals between two looks is an anomaly; under five seconds it is a busy machine."""
    breaker = CircuitBreaker()
    breaker.count_gap(seconds, Decimal(poll_sec))
    assert breaker.anomalies == said
