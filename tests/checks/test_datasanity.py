"""Recorded quotes with one thing wrong each: it is counted, named by file and line, and hides nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aurora.checks.datasanity import KINDS, Sanity, SanityLimits, look_at_data
from aurora.errors import OperatorError
from aurora.market.mode import Mode
from aurora.session.run import Attempt, run_session
from aurora.session.settings import SessionRequest
from tests.trading import FakeServices, bar, lean_path, write_lean, write_zip

LIMITS = SanityLimits(Decimal(60), Decimal(5))
OPEN_S = 9 * 3600 + 1800


def look(root: Path) -> Sanity:
    """Look at all that is recorded below `root`."""
    return look_at_data(root, ["."], LIMITS)


def wrong(found: Sanity) -> dict[str, int]:
    """Return the kinds that were found."""
    return {kind: getattr(found, kind) for kind in KINDS if getattr(found, kind)}


def test_good_recordings_are_sane(tmp_path: Path) -> None:
    """Second bars and ticks as Lean writes them have nothing wrong with them, and all of their rows were looked at."""
    write_lean(tmp_path)
    found = look(tmp_path)
    assert (found.files, found.rows, wrong(found), found.findings) == (2, 900 + 3600, {}, [])


def bars(*changed: tuple[int, str]) -> list[str]:
    """Return ten minutes of good second bars, some lines of them changed."""
    lines = [bar(OPEN_S + n, 1_680_000, 1_680_100) for n in range(600)]
    for index, line in changed:
        lines[index] = line
    return lines


NEGATIVE = bar(OPEN_S + 50, 1_680_000, 1_680_100, (-5, 700))
INSIDE_OUT = f"{(OPEN_S + 50) * 1000},1680000,1679000,1680000,1680000,500,1680100,1680100,1680100,1680100,700"


@pytest.mark.parametrize(
    ("lines", "kinds"),
    [
        pytest.param(bars((50, bar(OPEN_S + 49, 1_680_000, 1_680_100))), {"duplicates": 1}, id="bar twice"),
        pytest.param(bars((50, bar(OPEN_S + 40, 1_680_000, 1_680_100))), {"backwards": 1}, id="backwards"),
        pytest.param(bars((50, NEGATIVE)), {"negative": 1}, id="negative size"),
        pytest.param(bars((50, bar(OPEN_S + 50, -1_680_000, 1_680_100))), {"negative": 1}, id="negative price"),
        pytest.param(bars((50, bar(OPEN_S + 50, 1_680_200, 1_680_100))), {"crossed": 1}, id="crossed"),
        pytest.param(bars((50, bar(OPEN_S + 50, 1_980_000, 1_980_100))), {"outliers": 2}, id="up and back"),
        pytest.param(bars((50, INSIDE_OUT)), {"bars": 1}, id="high below low"),
        pytest.param(bars((50, "x,y")), {"unreadable": 1}, id="columns"),
        pytest.param(bars((50, bar(OPEN_S + 50, 1, 1).replace("1,1", "1,NaN", 1))), {"unreadable": 1}, id="NaN"),
        pytest.param([line for n, line in enumerate(bars()) if not 100 < n < 200], {"gaps": 1}, id="gap"),
    ],
)
def test_each_kind_is_counted_and_named(tmp_path: Path, lines: list[str], kinds: dict[str, int]) -> None:
    """One thing wrong is found as that and as nothing else, with its file and its line."""
    write_zip(lean_path(tmp_path, "second", "spy"), lines)
    found = look(tmp_path)
    assert wrong(found) == kinds
    (kind,) = kinds
    assert all(f"20131007_quote.zip:{n}: {kind}" in found.findings[0] for n in (51 if kind != "gaps" else 102,))


def shifted(hours: int) -> list[str]:
    """Return a bar a minute of a whole regular day, stamped so many hours off."""
    return [bar(OPEN_S + hours * 3600 + n * 60, 1_680_000, 1_680_100) for n in range(390)]


@pytest.mark.parametrize(("hours", "zone"), [(0, 0), (4, 1), (5, 1), (-1, 1), (1, 1), (-5, 1)])
def test_a_day_in_another_zone_is_seen(tmp_path: Path, hours: int, zone: int) -> None:
    """Times in UTC, Chicago's or anybody else's are not the exchange's: the day lies beside its hours."""
    write_zip(lean_path(tmp_path, "second", "spy"), shifted(hours))
    assert look(tmp_path).zone == zone


def test_a_day_that_the_exchange_was_closed_is_seen(tmp_path: Path) -> None:
    """Quotes of a Saturday are quotes of another day."""
    write_zip(lean_path(tmp_path, "second", "spy", date(2013, 10, 5)), shifted(0))
    assert wrong(look(tmp_path)) == {"zone": 1}


def test_ticks_are_looked_at_side_by_side(tmp_path: Path) -> None:
    """A tick tells one side: crossed is what the two sides are together; the same line twice is a duplicate."""
    ms = OPEN_S * 1000
    lines = [f"{ms},1820000,200,0,0,N,1,0", f"{ms},0,0,1820300,300,P,1,0", f"{ms},0,0,1820300,300,P,1,0",
             f"{ms + 5},0,0,1819000,300,P,1,0"]  # fmt: skip
    write_zip(lean_path(tmp_path, "tick", "ibm"), lines)
    found = look(tmp_path)
    assert wrong(found) == {"duplicates": 1, "crossed": 1}
    assert found.crossed_pct == Decimal("33.3333")


def test_damaged_files_do_not_hide_the_good(tmp_path: Path) -> None:
    """A file that is no zip, and one of two members, are unreadable; the rest is looked at."""
    write_lean(tmp_path)
    lean_path(tmp_path, "second", "tsla").parent.mkdir(parents=True)
    lean_path(tmp_path, "second", "tsla").write_bytes(b"PK no zip")
    found = look(tmp_path)
    assert wrong(found) == {"unreadable": 1}
    assert (found.files, found.rows) == (3, 4500)


def record(tmp_path: Path) -> Path:
    """Return the record of a short session."""
    services = FakeServices(tmp_path)
    run_session(services, SessionRequest(Mode.PAPER, ("SPY",), "dummy", steps=20), Attempt("a", tmp_path / "records"))
    return tmp_path / "records/session.jsonl"


def set_quote(**values: Any) -> Callable[[dict[str, Any]], None]:
    """Return what changes the quote of a poll."""
    return lambda poll: poll["quotes"]["SPY"].update(values)


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        pytest.param(lambda poll: None, {}, id="as it is"),
        pytest.param(set_quote(bid="999999"), {"crossed": 1}, id="crossed"),
        pytest.param(set_quote(bid="-1"), {"negative": 1}, id="negative"),
        pytest.param(set_quote(bid="NaN"), {"unreadable": 1}, id="NaN"),
        pytest.param(lambda poll: poll.update(n=poll["n"] - 1), {"duplicates": 1}, id="poll twice"),
        pytest.param(lambda poll: poll.update(at=poll["at"].replace("Z", "")), {"zone": 1}, id="no zone"),
        pytest.param(lambda poll: poll.update(at="2001-01-01T00:00:00Z"), {"backwards": 1, "gaps": 1}, id="back"),
        pytest.param(lambda poll: poll.pop("quotes"), {"unreadable": 1}, id="no quotes"),
    ],
)
def test_sessions_records_are_looked_at(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], kinds: dict[str, int]
) -> None:
    """A session's own record is held against the same kinds, poll by poll."""
    path = record(tmp_path)
    lines = path.read_text().splitlines()
    poll = json.loads(lines[10])
    change(poll)
    lines[10] = json.dumps(poll)
    path.write_text("\n".join(lines) + "\n")
    assert wrong(look(tmp_path / "records")) == kinds


def test_a_torn_line_is_unreadable(tmp_path: Path) -> None:
    """A record whose session was killed says so."""
    path = record(tmp_path)
    path.write_bytes(path.read_bytes()[:-30])
    assert wrong(look(tmp_path)) == {"unreadable": 1}


def test_a_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """A slip in a name is no sane recording; an empty folder has none."""
    with pytest.raises(OperatorError, match="no recording at nowhere"):
        look_at_data(tmp_path, ["nowhere"], LIMITS)
    assert look(tmp_path).files == 0
