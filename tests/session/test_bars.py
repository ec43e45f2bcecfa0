from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from aurora.session.bars import Bars


def feed(mids: list[int | None]) -> Bars:
    """Return the bars of one symbol after `mids`."""
    bars = Bars(["SPY"])
    for mid in mids:
        bars.add("SPY", None if mid is None else Decimal(mid))
    return bars


def test_eleven_bars_warm_a_symbol_up() -> None:
    """Trading rule 15: the longest look-back (10) + 1 bars make a symbol warm, ten do not."""
    assert [feed([1] * number).is_warm("SPY") for number in (0, 10, 11, 50)] == [False, False, True, True]


def test_two_missed_polls_are_bridged() -> None:
    """Trading rule 15: a gap of two polls keeps the bars."""
    bars = feed([*range(1, 12), None, None])
    assert bars.is_warm("SPY")
    assert bars.mids("SPY") == tuple(map(float, range(1, 12)))


def test_longer_gap_warms_up_again() -> None:
    """Trading rule 15: a gap of more than two polls warms again, from nothing."""
    bars = feed([*range(1, 12), None, None, None])
    assert (bars.is_warm("SPY"), bars.have("SPY")) == (False, 0)
    assert feed([*range(1, 12), None, None, None, *range(10)]).is_warm("SPY") is False
    assert feed([*range(1, 12), None, None, None, *range(11)]).is_warm("SPY") is True


def test_symbols_warm_up_each_for_itself() -> None:
    """One symbol's gap leaves the other's bars alone."""
    bars = Bars(["SPY", "TSLA"])
    for number in range(1, 15):
        bars.add("SPY", Decimal(number))
        bars.add("TSLA", Decimal(number) if number < 12 else None)
    assert (bars.is_warm("SPY"), bars.is_warm("TSLA")) == (True, False)


@given(st.lists(st.none() | st.integers(1, 100), max_size=60))
def test_only_the_last_eleven_are_kept(mids: list[int | None]) -> None:
    """The bars are the last eleven mids since the last gap of more than two polls."""
    kept: list[float] = []
    missed = 0
    for mid in mids:
        missed = missed + 1 if mid is None else 0
        if mid is not None:
            kept.append(float(mid))
        elif missed > 2:
            kept = []
    assert feed(mids).mids("SPY") == tuple(kept[-11:])
