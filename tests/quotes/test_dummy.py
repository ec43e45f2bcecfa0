from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurora.errors import UsageError
from aurora.market.quote import Quote
from aurora.quotes.dummy import DummyQuotes


def polls(source: DummyQuotes, symbols: list[str], count: int, every_s: float = 1.0) -> list[dict[str, Quote]]:
    """Return what `count` polls see."""
    source.subscribe(symbols)
    seen = []
    for _ in range(count):
        seen.append({symbol: quote for symbol, quote in source.poll().items() if quote is not None})
        source.clock.sleep(every_s)
    return seen


def test_clock_begins_five_minutes_after_the_open() -> None:
    """Trading rule 14: the generated day begins at the open + 5 min, so that a session can start at once."""
    assert DummyQuotes().clock.now() == datetime(2026, 1, 5, 14, 35, tzinfo=UTC)
    assert DummyQuotes(start=time(10, 30)).clock.now() == datetime(2026, 1, 5, 15, 30, tzinfo=UTC)


def test_no_quotes_on_a_holiday() -> None:
    """Trading rule 14: nothing is generated for a day on which the exchange has no session."""
    with pytest.raises(UsageError, match="2026-11-26, a Thursday; the exchange has no session"):
        DummyQuotes(day=date(2026, 11, 26))


@given(st.integers(0, 10_000), st.lists(st.floats(0.05, 30), min_size=2, max_size=8))
@settings(max_examples=25, deadline=None)
def test_seed_decides_everything(seed: int, steps: list[float]) -> None:
    """The same seed gives the same quotes at the same instants, whatever was polled on the way."""
    often, once = DummyQuotes(seed), DummyQuotes(seed)
    for source in (often, once):
        source.subscribe(["SPY", "TSLA"])
    for step in steps:
        often.clock.sleep(step)
        often.poll()
    once.clock.sleep(0.0)
    once.clock.advance((often.clock.now() - once.clock.now()).total_seconds())
    assert once.poll() == often.poll()


def test_symbols_walk_apart() -> None:
    """Another symbol in the same session changes nothing in the first one's quotes."""
    alone = [look["SPY"] for look in polls(DummyQuotes(5), ["SPY"], 20)]
    together = [look["SPY"] for look in polls(DummyQuotes(5), ["TSLA", "SPY"], 20)]
    assert alone == together


@given(st.integers(0, 1000), st.sampled_from(["SPY", "TSLA", "IBM", "BRK.B", "X"]))
@settings(max_examples=25, deadline=None)
def test_quotes_are_sound(seed: int, symbol: str) -> None:
    """Prices are Decimals on the cent grid, the ask is above the bid, sizes are round lots."""
    for look in polls(DummyQuotes(seed), [symbol], 10):
        quote = look[symbol]
        assert quote.bid is not None
        assert quote.ask is not None
        assert 0 < quote.bid < quote.ask
        assert quote.bid % Decimal("0.01") == quote.ask % Decimal("0.01") == 0
        assert quote.bid_size % 100 == quote.ask_size % 100 == 0
        assert min(quote.bid_size, quote.ask_size) >= 100


def test_spreads_are_like_real_ones() -> None:
    """The spread is about 0.6 bps for SPY and 1 to 3 bps for others, as measured on recorded days."""
    looks = polls(DummyQuotes(3), ["SPY", "TSLA", "IBM"], 600)
    middle = {
        symbol: median(look[symbol].spread_bps or Decimal(0) for look in looks) for symbol in ("SPY", "TSLA", "IBM")
    }
    assert Decimal("0.5") < middle["SPY"] < Decimal("0.7")
    assert 1 <= middle["TSLA"] <= 3
    assert Decimal("0.8") <= middle["IBM"] <= Decimal("3.2")


@pytest.mark.parametrize(("gaps_per_hour", "least", "most"), [(0, 0.0, 0.006), (6, 0.001, 0.02), (400, 0.15, 0.6)])
def test_gaps_come_at_their_rate(gaps_per_hour: float, least: float, most: float) -> None:
    """The rate of gaps decides how often a quote is older than 1.5 s."""
    source = DummyQuotes(1, gaps_per_hour=gaps_per_hour)
    source.subscribe(["SPY"])
    old = 0
    for _ in range(6000):
        quote = source.poll()["SPY"]
        assert quote is not None
        old += (source.clock.now() - quote.at).total_seconds() > 1.5
        source.clock.sleep(1)
    assert least <= old / 6000 <= most


def test_nothing_comes_before_the_open_or_after_the_close() -> None:
    """There are no quotes before the open, and after the close the source is exhausted."""
    early = DummyQuotes(start=time(9))
    early.subscribe(["SPY"])
    assert early.poll() == {"SPY": None}
    late = DummyQuotes(start=time(15, 59))
    late.subscribe(["SPY"])
    late.poll()
    ended = [late.exhausted]
    late.clock.sleep(120)
    quote = late.poll()["SPY"]
    assert [*ended, late.exhausted] == [False, True]
    assert quote is not None
    assert quote.at <= datetime(2026, 1, 5, 21, tzinfo=UTC)


def test_name_says_what_differs_from_the_default() -> None:
    """The report's name of the source holds its seed, and the gap rate when it is not the usual one."""
    assert DummyQuotes(9).name == "dummy:seed=9"
    assert DummyQuotes(9, gaps_per_hour=30).name == "dummy:seed=9,gaps_per_hour=30"
