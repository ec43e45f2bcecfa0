"""Parts of a maintenance run share what is left until the bell (trading rule 14)."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest

from aurora.session.share import share_of
from tests.trading import make_profile

FIFTEEN = Decimal(15)


@pytest.mark.parametrize(
    ("now", "parts", "enough", "minutes", "says"),
    [
        ("2026-11-23 16:30", 2, True, "15", ""),
        ("2026-11-23 20:30", 2, True, "12.5", "cut from 15 to 12.5"),
        ("2026-11-23 20:30", 1, True, "15", ""),
        ("2026-11-23 20:49", 1, True, "6", "cut"),
        ("2026-11-23 20:51", 1, False, "0", "4.0 min are left"),
        ("2026-11-23 21:30", 1, False, "0", "0.0 min are left"),
        ("2026-11-23 08:00", 1, True, "15", ""),
        ("2026-11-27 17:40", 1, True, "15", ""),
        ("2026-11-27 17:50", 2, False, "0", "2.5 min are left"),
        ("2026-11-26 16:00", 1, False, "0", "no session today"),
    ],
)
def test_each_part_ends_before_the_bell(now: str, parts: int, enough: bool, minutes: str, says: str) -> None:
    """What is left until five minutes before the close is split; under five minutes a part is left out, and said."""
    found = share_of(FIFTEEN, parts, "ibkr", make_profile(), datetime.fromisoformat(now + "+00:00"))
    assert (found.enough, found.minutes) == (enough, Decimal(minutes))
    assert says in found.why


def test_generated_and_recorded_quotes_bring_their_own_day() -> None:
    """On a Sunday a rehearsal has all the minutes that it asks for."""
    sunday = datetime.fromisoformat("2026-11-22 03:00+00:00")
    assert share_of(FIFTEEN, 2, "dummy:seed=3", make_profile(), sunday).minutes == 15
    assert share_of(FIFTEEN, 2, "replay:../data", make_profile(), sunday).enough
