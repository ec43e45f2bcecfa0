from __future__ import annotations

from aurora.market.mode import Mode
from tests.trading import make_profile


def test_modes_are_the_profiles_words() -> None:
    """Trading rule 1: a profile's mode and a session's mode are the same three words."""
    assert {mode.value for mode in Mode} == {"paper", "shadow", "live"}
    assert make_profile("sim").mode == Mode.LIVE
