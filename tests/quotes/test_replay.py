from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from aurora.errors import UsageError, VenueRefusal
from aurora.market.quote import Quote
from aurora.quotes.sources import open_quotes
from tests.trading import LEAN, bar, lean_path, needs_data, write_lean, write_zip


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a project folder with a small recording in `data`."""
    write_lean(tmp_path / "data")
    return tmp_path


def test_clock_begins_five_minutes_after_the_open(data: Path) -> None:
    """Trading rule 14: a replay begins at the recorded day's open + 5 min unless told."""
    source = open_quotes("replay:data", root=data)
    assert source.clock.now() == datetime(2013, 10, 7, 13, 35, tzinfo=UTC)


def test_start_is_new_yorks_time(data: Path) -> None:
    """`?start=09:40` begins at 09:40 in New York."""
    source = open_quotes("replay:data?start=09:40", root=data)
    source.subscribe(["SPY"])
    assert source.clock.now() == datetime(2013, 10, 7, 13, 40, tzinfo=UTC)
    quote = source.poll()["SPY"]
    assert quote is not None
    assert quote.at == source.clock.now()


def test_quotes_are_those_of_the_instant(data: Path) -> None:
    """A poll sees the newest row that is not later than the clock, with prices in USD."""
    source = open_quotes("replay:data", root=data)
    source.subscribe(["SPY", "IBM"])
    quotes = source.poll()
    at = datetime(2013, 10, 7, 13, 35, tzinfo=UTC)
    n = 299 % 7
    bid, ask = (Decimal(price) + n * Decimal("0.01") for price in ("168.00", "168.01"))
    assert quotes["SPY"] == Quote("SPY", at, bid, ask, 500, 700)
    ibm = quotes["IBM"]
    assert ibm is not None
    assert ibm.at == datetime(2013, 10, 7, 13, 34, 59, 503_000, tzinfo=UTC)
    assert (ibm.bid_size, ibm.ask_size) == (200, 300)


def test_sub_penny_prices_stay_as_recorded(tmp_path: Path) -> None:
    """A price off the cent grid keeps its four places; one on it has two."""
    write_zip(lean_path(tmp_path, "second", "spy"), [bar(34_200, 1_680_050, 1_680_100)])
    source = open_quotes("replay:.", root=tmp_path)
    source.subscribe(["SPY"])
    quote = source.poll()["SPY"]
    assert quote is not None
    assert (str(quote.bid), str(quote.ask)) == ("168.0050", "168.01")


def test_side_that_is_not_there_is_none(tmp_path: Path) -> None:
    """Before the first line of a side, that side is missing: None, never zero."""
    write_zip(lean_path(tmp_path, "tick", "ibm"), ["34200000,0,0,1820300,100,Q,1,0"])
    source = open_quotes("replay:.", root=tmp_path)
    source.subscribe(["IBM"])
    quote = source.poll()["IBM"]
    assert quote is not None
    assert (quote.bid, quote.bid_size, quote.ask) == (None, 0, Decimal("182.03"))


def test_one_file_can_be_named(data: Path) -> None:
    """The path of one Lean file replays that symbol and day."""
    source = open_quotes("replay:data/equity/usa/second/spy/20131007_quote.zip", root=data)
    source.subscribe(["SPY"])
    assert source.poll()["SPY"] is not None


def test_tick_wins_over_second(data: Path) -> None:
    """Where a symbol was recorded by tick and by second, the ticks are replayed."""
    write_zip(lean_path(data / "data", "second", "ibm"), [bar(34_200, 1, 2)])
    source = open_quotes("replay:data", root=data)
    source.subscribe(["IBM"])
    quote = source.poll()["IBM"]
    assert quote is not None
    assert quote.bid is not None
    assert quote.bid > 100


def test_first_day_with_all_symbols_is_replayed(data: Path) -> None:
    """Without a day, the first one that has every symbol is taken, and the clock begins there."""
    write_zip(lean_path(data / "data", "second", "spy", date(2013, 10, 4)), [bar(34_200, 1, 2)])
    source = open_quotes("replay:data", root=data)
    source.subscribe(["SPY", "IBM"])
    assert source.clock.now().date() == date(2013, 10, 7)
    other = open_quotes("replay:data?day=2013-10-04", root=data)
    other.subscribe(["SPY"])
    assert other.clock.now().date() == date(2013, 10, 4)


@pytest.mark.parametrize(
    ("spec", "symbols", "said"),
    [
        ("replay:data", ["SPY", "TSLA", "QQQ"], "has no TSLA, QQQ"),
        ("replay:data", [], "no day with all of no symbols"),
        ("replay:data?day=2013-10-08", ["SPY"], "has no 2013-10-08"),
        ("replay:data/equity/usa/tick/ibm/20131007_quote.zip", ["SPY"], "has no SPY"),
        ("replay:empty", ["SPY"], "holds no Lean quotes"),
    ],
)
def test_what_was_not_recorded_is_refused(data: Path, spec: str, symbols: list[str], said: str) -> None:
    """Symbols and days that the recording does not have are refused by name, with what it has."""
    (data / "empty").mkdir()
    with pytest.raises(VenueRefusal) as caught:
        open_quotes(spec, root=data).subscribe(symbols)
    assert said in caught.value.diagnostics()
    assert "2013-10-07" in caught.value.diagnostics() or "empty" in spec


def test_symbols_of_different_days_do_not_mix(tmp_path: Path) -> None:
    """Symbols that were never recorded on one day are not replayed together."""
    write_zip(lean_path(tmp_path, "second", "spy", date(2013, 10, 7)), [bar(34_200, 1, 2)])
    write_zip(lean_path(tmp_path, "second", "qqq", date(2013, 10, 8)), [bar(34_200, 1, 2)])
    with pytest.raises(VenueRefusal, match="has no day with all of SPY, QQQ"):
        open_quotes("replay:.", root=tmp_path).subscribe(["SPY", "QQQ"])


def test_unknown_option_is_refused(data: Path) -> None:
    """An option that a replay does not have is a usage error."""
    with pytest.raises(UsageError, match="did you mean 'start'"):
        open_quotes("replay:data?strat=10:30", root=data)


def test_damage_in_the_middle_is_refused_when_it_comes(tmp_path: Path) -> None:
    """A damaged line is met when the clock reaches it, and names file and line."""
    write_zip(lean_path(tmp_path, "second", "spy"), [bar(34_200, 1, 2), bar(35_000, 1, 2), "damage"])
    source = open_quotes("replay:.", root=tmp_path)
    source.subscribe(["SPY"])
    source.poll()
    source.clock.sleep(3600)
    with pytest.raises(VenueRefusal, match=r"20131007_quote\.zip:3"):
        source.poll()


def test_recording_ends(data: Path) -> None:
    """A replay is exhausted when no symbol has a later row."""
    source = open_quotes("replay:data", root=data)
    source.subscribe(["SPY", "IBM"])
    source.poll()
    assert not source.exhausted
    source.clock.sleep(700)
    source.poll()
    assert source.exhausted


@needs_data
@pytest.mark.parametrize(("day", "share_pct", "longest_s"), [("2013-10-07", 3.2, 8), ("2013-10-08", 0.6, 5)])
def test_spy_goes_stale_as_the_facts_say(day: str, share_pct: float, longest_s: int) -> None:
    """Measured: a limit of 1.5 s would hold SPY for 3.2 and 0.6 % of these days' regular hours."""
    source = open_quotes(f"replay:{LEAN}?day={day}&start=09:30", root=LEAN)
    source.subscribe(["SPY"])
    stale = looks = 0
    oldest = 0.0
    # Looks at an odd eighth of a second count the part of each gap beyond 1.5 s, as the facts do.
    source.clock.sleep(0.125)
    while source.clock.now() < datetime.fromisoformat(f"{day}T20:00:00+00:00"):
        quote = source.poll()["SPY"]
        assert quote is not None
        age = (source.clock.now() - quote.at).total_seconds()
        oldest = max(oldest, age)
        stale += age > 1.5
        looks += 1
        source.clock.sleep(0.25)
    source.close()
    assert stale / looks * 100 == pytest.approx(share_pct, abs=0.05)
    assert oldest == pytest.approx(longest_s, abs=0.5)


@needs_data
def test_spy_is_as_wide_as_the_facts_say() -> None:
    """Measured: SPY's spread is 0.59 bps at the median and never above 1.8 bps in regular hours."""
    source = open_quotes(f"replay:{LEAN}?day=2013-10-07&start=09:30:01", root=LEAN)
    source.subscribe(["SPY"])
    spreads = []
    for _ in range(23_398):
        quote = source.poll()["SPY"]
        assert quote is not None
        assert quote.spread_bps is not None
        spreads.append(float(quote.spread_bps))
        source.clock.sleep(1)
    source.close()
    spreads.sort()
    assert spreads[len(spreads) // 2] == pytest.approx(0.59, abs=0.01)
    assert spreads[-1] <= 1.8
