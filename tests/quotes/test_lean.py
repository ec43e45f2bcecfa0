from __future__ import annotations

import zipfile
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from aurora.errors import VenueRefusal
from aurora.quotes.lean import LeanFile, Row, describe_file, find_files
from tests.trading import LEAN, bar, lean_path, needs_data, write_lean, write_zip


def rows(path: Path) -> list[Row]:
    """Return all rows of a Lean file."""
    return list(describe_file(path).rows())


def test_bar_is_shown_when_it_ends(tmp_path: Path) -> None:
    """A bar's close is not known before the bar ends: it is stamped one second after its start."""
    path = write_zip(lean_path(tmp_path, "second", "spy"), [bar(34_200, 1_680_000, 1_680_100, (500, 700))])
    assert rows(path) == [Row(34_201_000, 1_680_000, 500, 1_680_100, 700)]


def test_tick_lines_tell_one_side_each(tmp_path: Path) -> None:
    """A tick line changes its side and leaves the other; the last line of a side is that side, of any exchange."""
    lines = [
        "34200000,1820000,200,0,0,N,1,0",
        "34200000,0,0,1820300,300,P,1,0",
        "34200500,1819900,100,0,0,Q,1,0",
        "34200900,0,0,1820100,400,K,1,0",
    ]
    path = write_zip(lean_path(tmp_path, "tick", "ibm"), lines)
    assert rows(path) == [
        Row(34_200_000, 1_820_000, 200, 0, 0),
        Row(34_200_000, 1_820_000, 200, 1_820_300, 300),
        Row(34_200_500, 1_819_900, 100, 1_820_300, 300),
        Row(34_200_900, 1_819_900, 100, 1_820_100, 400),
    ]


def test_suspicious_ticks_are_dropped(tmp_path: Path) -> None:
    """A tick that its vendor flags as suspicious changes nothing."""
    lines = ["34200000,1820000,200,0,0,N,1,0", "34200001,9000000,200,0,0,N,1,1"]
    assert rows(write_zip(lean_path(tmp_path, "tick", "ibm"), lines)) == [Row(34_200_000, 1_820_000, 200, 0, 0)]


def test_line_without_prices_takes_both_sides_away(tmp_path: Path) -> None:
    """A tick line with neither price means that both sides are gone."""
    lines = ["34200000,1820000,200,1820300,100,N,1,0", "34200001,0,0,0,0,N,1,0"]
    assert rows(write_zip(lean_path(tmp_path, "tick", "ibm"), lines))[-1] == Row(34_200_001, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("day", "hour"), [(date(2013, 10, 7), 4), (date(2013, 12, 2), 5), (date(2013, 3, 10), 4), (date(2013, 11, 3), 5)]
)
def test_midnight_is_new_yorks(tmp_path: Path, day: date, hour: int) -> None:
    """Milliseconds count from New York's midnight, with the offset of the trading day also when clocks change."""
    file = LeanFile(tmp_path, "SPY", day, "second")
    assert file.midnight == datetime(day.year, day.month, day.day, hour, tzinfo=UTC)


def test_folder_tells_symbol_day_and_resolution(tmp_path: Path) -> None:
    """Lean's layout names the symbol, the day and the resolution; ticks come before seconds."""
    write_lean(tmp_path, seconds=5)
    write_zip(lean_path(tmp_path, "second", "ibm"), [bar(34_200, 1, 2)])
    found = [(file.symbol, file.day, file.resolution) for file in find_files(tmp_path)]
    day = date(2013, 10, 7)
    assert found == [("IBM", day, "tick"), ("IBM", day, "second"), ("SPY", day, "second")]


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    """Trades, readmes and minute bars beside the quotes are not quote files."""
    write_lean(tmp_path, seconds=5)
    folder = tmp_path / "equity/usa/second/spy"
    (folder / "20131007_trade.zip").write_bytes(b"")
    (folder / "x_quote.zip").write_bytes(b"")
    assert len(find_files(tmp_path)) == 2


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("second/spy/quotes.zip", "does not name a Lean quote file"),
        ("minute/spy/20131007_quote.zip", "does not name a Lean quote file"),
        ("second/spy/20131399_quote.zip", "which is no date"),
    ],
)
def test_path_that_says_nothing_is_refused(tmp_path: Path, name: str, said: str) -> None:
    """A file outside Lean's layout has no symbol and no day, so it is refused."""
    with pytest.raises(VenueRefusal, match=said):
        describe_file(tmp_path / name)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([bar(1, 1, 2), "1,2,3"], ":2: 3 columns, there should be 11"),
        ([bar(1, 1, 2), "34200000,1820000,200,0,0,N,1,0"], ":2: 8 columns, there should be 11"),
        ([bar(1, 1, 2), bar(2, 1, 2).replace("500", "x")], ":2: not whole numbers"),
        ([bar(1, 1, 2), bar(2, 1, 2).replace("500", "-5")], ":2: a number out of range"),
        ([bar(90_000, 1, 2)], ":1: a number out of range"),
        ([bar(5, 1, 2), bar(4, 1, 2)], ":2: time went back from 6000 to 5000 ms"),
        ([bar(1, 1, 2), "\u00e9"], "plain text"),
        (["9" * 100_000], ":1: 1 columns"),
    ],
)
def test_damaged_line_is_refused_by_file_and_line(tmp_path: Path, lines: list[str], said: str) -> None:
    """Trading on damaged data is worse than not trading: the refusal names file and line."""
    path = write_zip(lean_path(tmp_path, "second", "spy"), lines)
    with pytest.raises(VenueRefusal) as caught:
        rows(path)
    assert said in caught.value.what
    assert path.name in caught.value.what


def test_flag_that_is_neither_yes_nor_no_is_refused(tmp_path: Path) -> None:
    """A suspicious flag is 0 or 1."""
    path = write_zip(lean_path(tmp_path, "tick", "ibm"), ["1,2,3,0,0,N,1,maybe"])
    with pytest.raises(VenueRefusal, match="suspicious flag was 'maybe'"):
        rows(path)


def test_damaged_zip_is_refused(tmp_path: Path) -> None:
    """A file that is no zip, is cut, or has flipped bytes is refused, not a traceback."""
    path = write_zip(lean_path(tmp_path, "second", "spy"), [bar(n, 1_680_000 + n, 1_680_100 + n) for n in range(3000)])
    whole = path.read_bytes()
    for damaged in (b"", b"no zip", whole[: len(whole) // 2], whole[:200] + bytes(200) + whole[400:]):
        path.write_bytes(damaged)
        with pytest.raises(VenueRefusal, match="damaged"):
            rows(path)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    """A file that is gone is refused by name."""
    with pytest.raises(VenueRefusal, match="is not there"):
        rows(lean_path(tmp_path, "second", "spy"))


def test_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    """What can't be opened is refused with the system's reason."""
    path = lean_path(tmp_path, "second", "spy")
    path.mkdir(parents=True)
    with pytest.raises(VenueRefusal, match="directory"):
        rows(path)


def test_zip_with_several_files_is_refused(tmp_path: Path) -> None:
    """A Lean quote file holds one file; which of two would be meant is not guessed."""
    path = write_zip(lean_path(tmp_path, "second", "spy"), [bar(1, 1, 2)])
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("second.csv", "")
    with pytest.raises(VenueRefusal, match="holds 2 files"):
        rows(path)


def test_rows_are_read_lazily(tmp_path: Path) -> None:
    """Rows come one by one: damage further down is met only when it is reached."""
    path = write_zip(lean_path(tmp_path, "second", "spy"), [bar(1, 1, 2), "damage"])
    found = describe_file(path).rows()
    assert next(found).ms == 2000
    with pytest.raises(VenueRefusal):
        next(found)


@needs_data
def test_tick_lines_are_the_national_best(tmp_path: Path) -> None:
    """Measured: the last line of each side gives IBM's spread as the facts do (p50 1.6 bps) and hardly ever crosses."""
    file = describe_file(LEAN / "equity/usa/tick/ibm/20131007_quote.zip")
    opens, closes = 34_200_000, 57_600_000
    book = {row.ms: row for row in file.rows() if opens <= row.ms < closes and row.bid and row.ask}
    times = [*book, closes]
    spent: dict[float, int] = {}
    for row, later in zip(book.values(), times[1:], strict=True):
        spread = round((row.ask - row.bid) / (row.ask + row.bid) * 20_000, 1)
        spent[spread] = spent.get(spread, 0) + later - row.ms
    whole = sum(spent.values())
    crossed = sum(ms for spread, ms in spent.items() if spread < 0)
    middle = next(s for s in sorted(spent) if sum(ms for other, ms in spent.items() if other <= s) >= whole / 2)
    assert crossed / whole < 1e-4
    assert 1.5 <= middle <= 2.8
    assert max(spent) < 50
