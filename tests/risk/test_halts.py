from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from aurora.risk.halts import HaltWatch
from aurora.risk.tripwires import Hold, HoldKind
from tests.trading import START

HALTED = Hold(HoldKind.HALTED, "SPY: trading is halted")


def kinds(watch: HaltWatch, second: float, *holds: Hold) -> list[HoldKind]:
    """Return the kinds of what holds SPY at a second."""
    return [hold.kind for hold in watch.check("SPY", holds, START + timedelta(seconds=second))]


def test_halt_ends_after_a_minute_of_two_sided_quotes() -> None:
    """Trading rule 13: a halt ends when the venue has said so and two-sided quotes have come for 60 s."""
    watch = HaltWatch(Decimal(60))
    assert kinds(watch, 0) == []
    assert kinds(watch, 5, HALTED) == [HoldKind.HALTED]
    (hold,) = watch.check("SPY", (), START + timedelta(seconds=10))
    assert hold.reason == "SPY: two-sided quotes for 0.0 s since its halt, limit 60 s"
    assert kinds(watch, 69.9) == [HoldKind.HALTED]
    assert kinds(watch, 70) == []
    assert kinds(watch, 71) == []


@pytest.mark.parametrize("kind", [HoldKind.MISSED, HoldKind.NULL, HoldKind.ONE_SIDED, HoldKind.CROSSED])
def test_minute_begins_anew_where_a_side_is_missing(kind: HoldKind) -> None:
    """Trading rule 13: the 60 s are of two-sided quotes: one poll without them begins them anew."""
    watch = HaltWatch(Decimal(60))
    kinds(watch, 0, HALTED)
    kinds(watch, 5)
    assert kinds(watch, 60, Hold(kind, "")) == [HoldKind.HALTED, kind]
    assert kinds(watch, 65) == [HoldKind.HALTED]
    assert kinds(watch, 124) == [HoldKind.HALTED]
    assert kinds(watch, 125) == []


def test_stale_quote_does_not_begin_the_minute_anew() -> None:
    """Trading rule 13: a quote that is old, but two-sided, is held for its age and counts for the halt's end."""
    watch = HaltWatch(Decimal(60))
    kinds(watch, 0, HALTED)
    kinds(watch, 5)
    assert kinds(watch, 65, Hold(HoldKind.STALE, "")) == [HoldKind.STALE]


def test_other_symbols_go_on() -> None:
    """A halt is of one symbol."""
    watch = HaltWatch(Decimal(60))
    watch.note_halt("SPY")
    assert watch.check("TSLA", (), START) == ()
    assert kinds(watch, 0) == [HoldKind.HALTED]
