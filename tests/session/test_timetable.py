from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from aurora.clock import ManualClock
from aurora.errors import UsageError
from aurora.market.mode import Mode
from aurora.market.restart import RestartWindow
from aurora.session.settings import SessionRequest, settle_settings
from aurora.session.timetable import Timetable
from tests.trading import START, make_profile

CLOSE = datetime(2026, 1, 5, 21, tzinfo=UTC)


def timetable(start: datetime = START, **changes: Any) -> tuple[Timetable, ManualClock]:
    """Return a timetable whose clock begins at `start`."""
    settings = settle_settings(SessionRequest(Mode.PAPER, ("SPY",), "dummy"), make_profile(), Decimal(100_000))
    clock = ManualClock(start)
    return Timetable(replace(settings, **changes), clock), clock


def begin(start: datetime = START, **changes: Any) -> tuple[Timetable, ManualClock]:
    """Return a timetable that has waited for the hours."""
    times, clock = timetable(start, **changes)
    times.wait_for_hours(bool)
    return times, clock


def test_session_waits_until_five_minutes_after_the_open() -> None:
    """Trading rule 14: a session that is started early waits until open + 5 min."""
    times, clock = begin(START - timedelta(hours=1))
    assert times.started == clock.now() == START


def test_session_ends_five_minutes_before_the_close() -> None:
    """Trading rule 14: a session ends by close - 5 min, whatever else it was told."""
    for changes in ({}, {"minutes": Decimal(1000)}, {"until": time(15, 59)}):
        assert begin(**changes)[0].ends == CLOSE - timedelta(minutes=5)


def test_session_ends_when_it_was_told() -> None:
    """Minutes count from the start, `until` is New York's time, and the earlier one holds."""
    assert begin(minutes=Decimal(15))[0].ends == START + timedelta(minutes=15)
    assert begin(until=time(10))[0].ends == datetime(2026, 1, 5, 15, tzinfo=UTC)
    assert begin(until=time(10), minutes=Decimal(15))[0].ends == START + timedelta(minutes=15)


HALF_DAY = datetime(2026, 11, 27, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "means"),
    [
        (CLOSE - timedelta(minutes=5), "on this day sessions run from 2026-01-05T14:35"),
        (CLOSE + timedelta(hours=2), "to 2026-01-05T20:55"),
        (START + timedelta(days=5), "2026-01-10, a Saturday, is a holiday or a weekend"),
        (HALF_DAY - timedelta(days=1), "2026-11-26, a Thursday, is a holiday or a weekend"),
        (HALF_DAY.replace(hour=18), "to 2026-11-27T17:55"),
    ],
)
def test_no_session_where_there_is_no_trading(start: datetime, means: str) -> None:
    """Trading rule 14: in the last minutes, after a close, early or not, at weekends and on holidays none starts."""
    with pytest.raises(UsageError, match="no trading") as caught:
        begin(start)
    assert means in caught.value.means


def test_session_of_a_half_day_ends_before_the_early_close() -> None:
    """Trading rule 14: the exchange closes at 13:00 on the day after Thanksgiving; the session ends at 12:55."""
    assert begin(HALF_DAY)[0].ends == datetime(2026, 11, 27, 17, 55, tzinfo=UTC)


def test_end_before_the_start_is_refused() -> None:
    """An `until` that is past is refused with both instants."""
    with pytest.raises(UsageError, match="would end at 2026-01-05T14:31"):
        begin(until=time(9, 31))


def test_waiting_for_the_open_can_be_interrupted() -> None:
    """A stop request or a kill flag ends the wait for the open."""
    times, clock = timetable(START - timedelta(hours=1))
    times.wait_for_hours(lambda: clock.monotonic() > 30)
    assert clock.monotonic() < 35


def test_beats_do_not_drift() -> None:
    """Beats count from the start: slow loops and rounding don't add up."""
    times, clock = begin()
    for number in range(1, 2000):
        clock.sleep(0.0123)
        times.next_beat()
        clock.sleep(times.seconds_left())
        assert times.due == START + timedelta(seconds=5 * number)
        assert clock.now() == times.due


def test_missed_beats_are_left_out() -> None:
    """After a loop of 12 s the beats at 5 s are not made up for: the next one is the one that is due now."""
    times, clock = begin()
    clock.sleep(12)
    times.next_beat()
    assert times.due == START + timedelta(seconds=10)
    assert times.seconds_left() <= 0


def test_polls_left_count_the_present_one() -> None:
    """At one interval before the end there is one poll left: the present one."""
    times, clock = begin(minutes=Decimal(1))
    left = [times.polls_left()]
    clock.sleep(50)
    left.append(times.polls_left())
    clock.sleep(5)
    left.append(times.polls_left())
    clock.sleep(5)
    assert left == [12, 2, 1]
    assert times.is_over


def test_clock_jump_is_what_the_wall_clock_did_alone() -> None:
    """A wall clock that is set shows as the difference to the steady one."""
    times, clock = begin()
    clock.sleep(100)
    before = times.clock_jump_s
    clock._now += timedelta(seconds=7)
    assert (before, times.clock_jump_s) == (0, 7)


def test_elapsed_and_whole() -> None:
    """A session knows how long it runs and how long it will."""
    times, clock = begin(minutes=Decimal(2))
    clock.sleep(30)
    assert (times.elapsed_s, times.whole_s) == (30, 120)


def test_live_session_does_not_cross_the_venues_restart() -> None:
    """Trading rule 14: a live session ends before the nightly restart, and none begins in it; others go on."""
    window = RestartWindow(time(10), time(10, 30))
    ten = datetime(2026, 1, 5, 15, tzinfo=UTC)
    assert begin(mode=Mode.LIVE, venue_restart=window)[0].ends == ten
    assert begin(mode=Mode.SHADOW, venue_restart=window)[0].ends == CLOSE - timedelta(minutes=5)
    with pytest.raises(UsageError, match="no trading") as caught:
        begin(ten, mode=Mode.LIVE, venue_restart=window)
    assert "restarts between 10:00 and 10:30" in caught.value.means
    assert begin(ten + timedelta(minutes=30), mode=Mode.LIVE, venue_restart=window)[0].ends == CLOSE - timedelta(
        minutes=5
    )
