"""When a runbook is due: tables of summer time, half days, holidays, lateness and overlap, on fixed instants."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from aurora.engine.builder import build_runbook
from aurora.engine.document import parse_document
from aurora.engine.faults import Fault
from aurora.engine.schedule import decide, due_times, next_due
from aurora.engine.spec import Schedule
from aurora.market.calendar import CALENDARS

XNYS = CALENDARS["XNYS"]
TWICE = Schedule("30 10,14 * * 1-5", "America/Chicago", calendar="XNYS", before_close=600.0, window=1200.0)


def at(text: str) -> datetime:
    """Return an instant in UTC."""
    return datetime.fromisoformat(text + "+00:00")


@pytest.mark.parametrize(
    ("cron", "zone", "day", "expected"),
    [
        # winter and summer in Chicago: the wall time stays, the instant moves
        ("30 10,14 * * 1-5", "America/Chicago", "2026-03-06", ["16:30", "20:30"]),
        ("30 10,14 * * 1-5", "America/Chicago", "2026-03-09", ["15:30", "19:30"]),
        ("30 10,14 * * 1-5", "America/Chicago", "2026-10-30", ["15:30", "19:30"]),
        ("30 10,14 * * 1-5", "America/Chicago", "2026-11-02", ["16:30", "20:30"]),
        ("30 10,14 * * 1-5", "America/Chicago", "2026-11-01", []),
        # 02:30 is left out on 2026-03-08: due at 03:00, when the clock has jumped
        ("30 2 * * *", "America/Chicago", "2026-03-08", ["08:00"]),
        # 01:30 comes twice on 2026-11-01: due once, the first time
        ("30 1 * * *", "America/Chicago", "2026-11-01", ["06:30"]),
        # zones a half and three quarters of an hour off
        ("0 9 * * *", "Asia/Kolkata", "2026-06-01", ["03:30"]),
        ("0 9 * * *", "Asia/Kathmandu", "2026-06-01", ["03:15"]),
        # Lord Howe changes by half an hour: 02:00 on 2026-10-04 is 02:30
        ("0 2 * * *", "Australia/Lord_Howe", "2026-10-03", ["15:30"]),
        ("0 0 29 2 *", "UTC", "2026-03-01", []),
    ],
)
def test_a_time_is_the_zones_own_on_every_day_of_the_year(cron: str, zone: str, day: str, expected: list[str]) -> None:
    """A schedule goes by its own zone's wall clock: left-out times are due once, doubled times once."""
    begin = at(f"{day} 00:00") - timedelta(minutes=1)
    found = due_times(Schedule(cron, zone), begin, begin + timedelta(days=1))
    assert [f"{due:%H:%M}" for due in found] == expected


@pytest.mark.parametrize(
    ("now", "verdict", "says"),
    [
        ("2026-11-23 16:30", "begin", ""),
        ("2026-11-26 16:31", "skipped", "no session"),  # Thanksgiving
        ("2026-11-27 16:31", "begin", ""),  # the half day after: closes 12:00 in Chicago, 10:30 is before it
        ("2026-11-27 20:31", "skipped", "closes at 12:00 America/Chicago"),
        ("2026-12-24 20:31", "skipped", "closes at 12:00 America/Chicago"),
        ("2026-12-25 16:31", "skipped", "no session"),
        ("2026-07-03 15:31", "skipped", "no session"),  # Independence Day observed
        ("2026-11-23 20:31", "begin", ""),
        ("2026-11-23 20:50", "begin", ""),  # late, inside the window, just enough left
        ("2026-11-23 20:51", "missed", "nobody looked until 21 min later"),
    ],
)
def test_an_exchange_day_decides(now: str, verdict: str, says: str) -> None:
    """Holidays are skipped, on a half day what would begin too near to the bell, and what is too late is missed."""
    (*_, last) = decide(TWICE, at(now) - timedelta(hours=2), at(now), XNYS, is_going=False)
    assert last.verdict == verdict
    assert says in last.why


def test_what_is_late_begins_only_while_enough_is_left() -> None:
    """A run inside its window does not begin when the bell is too near by now."""
    late = Schedule("40 14 * * *", "America/Chicago", calendar="XNYS", before_close=600.0, window=3600.0)
    assert decide(late, at("2026-11-23 20:00"), at("2026-11-23 20:50"), XNYS, is_going=False)[0].verdict == "begin"
    assert decide(late, at("2026-11-23 20:00"), at("2026-11-23 20:51"), XNYS, is_going=False)[0].verdict == "missed"


def test_a_machine_that_was_off_misses_each_run_and_begins_none() -> None:
    """`catch_up: none`: what was due while nobody looked is missed, one by one; holidays among it are skipped."""
    found = decide(TWICE, at("2026-11-24 21:00"), at("2026-11-27 18:00"), XNYS, is_going=False)
    assert [each.verdict for each in found] == ["missed", "missed", "skipped", "skipped", "missed"]


def test_catch_up_last_begins_the_last_missed_once() -> None:
    """`catch_up: last` makes up for the last missed run, not for those before it, and not on a closed exchange."""
    last = Schedule(**{**vars(TWICE), "catch_up": "last"})
    found = decide(last, at("2026-11-22 00:00"), at("2026-11-23 18:00"), XNYS, is_going=False)
    assert [each.verdict for each in found] == ["begin"]
    assert "caught up" in found[0].why
    found = decide(last, at("2026-11-22 00:00"), at("2026-11-24 02:00"), XNYS, is_going=False)
    assert [each.verdict for each in found] == ["missed", "missed"]


def test_of_several_that_are_due_the_last_begins() -> None:
    """Two looks far apart never start two runs at once."""
    often = Schedule("*/5 * * * *", "UTC", window=3600.0)
    found = decide(often, at("2026-01-01 10:00"), at("2026-01-01 10:16"), None, is_going=False)
    assert [each.verdict for each in found] == ["missed", "missed", "begin"]


@pytest.mark.parametrize(("overlap", "now", "verdict"), [
    ("skip", "2026-11-23 16:31", "still going"),
    ("wait", "2026-11-23 16:31", "wait"),
    ("wait", "2026-11-23 17:00", "missed"),
])  # fmt: skip
def test_a_run_that_is_going_is_left_alone(overlap: str, now: str, verdict: str) -> None:
    """While the run before is going none begins: it is left out and told, or waited for inside the window."""
    schedule = Schedule(**{**vars(TWICE), "overlap": overlap})
    assert decide(schedule, at("2026-11-23 16:00"), at(now), XNYS, is_going=True)[-1].verdict == verdict


def test_nothing_is_due_twice() -> None:
    """What is decided up to an instant is never decided again, and a clock set back decides nothing."""
    due = at("2026-11-23 16:30")
    assert decide(TWICE, due, due + timedelta(minutes=1), XNYS, is_going=False) == []
    assert decide(TWICE, due, due - timedelta(hours=1), XNYS, is_going=False) == []


def test_the_next_time_is_one_at_which_it_will_run() -> None:
    """`invoke cron --print` shows no holiday and no half day's afternoon."""
    assert next_due(TWICE, at("2026-11-25 21:00"), XNYS) == at("2026-11-27 16:30")
    assert next_due(TWICE, at("2026-11-27 17:00"), XNYS) == at("2026-11-30 16:30")


def faults_of(schedule: str) -> tuple[Any, list[Fault]]:
    """Return what a runbook with this schedule comes to, and its faults."""
    params = "params:\n  n: {type: integer, default: 1}"
    text = f"runbook: t\n{params}\nschedule: {schedule}\nsteps:\n  - {{id: a, gate: 1 == 1}}\n"
    runbook, faults = build_runbook(parse_document(text.encode(), "t.yaml"), "t")
    assert runbook is not None
    return runbook.schedule, faults


@pytest.mark.parametrize(
    ("schedule", "says"),
    [
        ('{cron: "61 * * * *", zone: UTC}', "bad minute"),
        ('{cron: "0 0 * * * *", zone: UTC}', "has 5 fields"),
        ('{cron: "@daily", zone: UTC}', "has 5 fields"),
        ('{cron: "0 0 31 2 *", zone: UTC}', "no cron expression"),
        ('{cron: "0 9 * * *", zone: America/Chicagoo}', "did you mean 'America/Chicago'"),
        ('{cron: "0 9 * * *", zone: ../../etc/passwd}', "no time zone"),
        ('{cron: "0 9 * * *", zone: UTC, before_close: 5m}', "goes with calendar"),
        ('{cron: "0 9 * * *", zone: UTC, window: 5s}', "at least 1m"),
        ('{cron: "0 9 * * *", zone: UTC, with: {m: 1}}', "no parameter 'm'"),
        ('{cron: "0 9 * * *", zone: UTC, with: {n: x}}', "must be a whole number"),
    ],
)
def test_a_bad_schedule_is_a_fault_with_its_place(schedule: str, says: str) -> None:
    """Each fault of a schedule is found at load, with the excerpt and a caret; no schedule comes of it."""
    built, faults = faults_of(schedule)
    assert built is None
    assert says in "\n".join(map(str, faults))
    assert all("^" in str(fault) for fault in faults)


def test_a_good_schedule_has_its_defaults() -> None:
    """A schedule of two words is ten minutes patient, catches nothing up, and leaves a run that goes alone."""
    built, faults = faults_of('{cron: "0 9 * * *", zone: UTC, with: {n: 2}}')
    assert faults == []
    assert built == Schedule("0 9 * * *", "UTC", "", None, 600.0, "none", "skip", {"n": 2})
