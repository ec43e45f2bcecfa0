from __future__ import annotations

from datetime import UTC, datetime, time

import pytest

from aurora.market.restart import RestartWindow


@pytest.mark.parametrize(
    ("window", "utc", "covers"),
    [
        ((time(23, 45), time(0, 45)), "2026-01-06 04:44", False),
        ((time(23, 45), time(0, 45)), "2026-01-06 04:45", True),
        ((time(23, 45), time(0, 45)), "2026-01-06 05:44", True),
        ((time(23, 45), time(0, 45)), "2026-01-06 05:45", False),
        ((time(23, 45), time(0, 45)), "2026-07-06 03:45", True),  # New York's summer
        ((time(3), time(3, 30)), "2026-01-06 08:29", True),
        ((time(3), time(3, 30)), "2026-01-06 08:30", False),
        ((time(3), time(3)), "2026-01-06 08:00", False),
    ],
)
def test_window_is_new_yorks(window: tuple[time, time], utc: str, covers: bool) -> None:
    """The window is told in New York's time, its beginning counts and its end does not, across midnight as well."""
    assert RestartWindow(*window).covers(datetime.fromisoformat(utc).replace(tzinfo=UTC)) is covers


def test_next_start_is_later() -> None:
    """The next beginning is today's while it is still to come, else tomorrow's."""
    window = RestartWindow(time(12), time(12, 5))
    noon = datetime(2026, 1, 5, 17, tzinfo=UTC)
    assert window.next_start(noon.replace(hour=16)) == noon
    assert window.next_start(noon) == noon.replace(day=6)
