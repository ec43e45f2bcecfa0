from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.clock import iso
from aurora.errors import UsageError, VenueRefusal
from aurora.quotes.recorded import RecordedQuotes, quote_as_json, quote_from_json
from aurora.quotes.sources import open_quotes
from tests.trading import START, make_quote

PRICES = st.none() | st.decimals(min_value="0.0001", max_value="99999", places=4).map(str)


@given(PRICES, PRICES, st.integers(0, 10**9), st.booleans())
def test_quotes_survive_the_record(bid: str | None, ask: str | None, size: int, halted: bool) -> None:
    """A quote read back from the record is the quote that was written, to the last digit."""
    quote = make_quote(bid, ask, sizes=(size, size), halted=halted)
    assert quote_from_json("SPY", json.loads(json.dumps(quote_as_json(quote)))) == quote
    assert quote_from_json("SPY", quote_as_json(None)) is None


def poll_line(after_s: float, bid: str = "168.00", **more: Any) -> dict[str, Any]:
    """Return a poll's line, `after_s` seconds after START."""
    at = START + timedelta(seconds=after_s)
    quote = quote_as_json(make_quote(bid, "169.00", at=at))
    return {"type": "poll", "due": iso(at), "at": iso(at), "since": [], "quotes": {"SPY": quote, "TSLA": None}, **more}


HEADER = {"type": "session.opened", "schema": 1, "symbols": ["SPY", "TSLA"]}


def write(path: Path, *lines: Any) -> Path:
    """Write a record of `lines`; a text is written as it is."""
    path.write_text("".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines))
    return path


def test_polls_come_when_they_were_due(tmp_path: Path) -> None:
    """Each recorded poll is seen from the instant at which it was due, and the record ends with the last one."""
    source = RecordedQuotes(write(tmp_path / "s.jsonl", HEADER, poll_line(0), poll_line(5, "168.50")), "r")
    assert source.clock.now() == START
    source.subscribe(["SPY", "TSLA"])
    first = source.poll()
    assert first["SPY"] == make_quote("168.00", "169.00")
    assert first["TSLA"] is None
    source.clock.sleep(4.9)
    assert source.poll() == first
    ended = [source.exhausted]
    source.clock.sleep(0.1)
    later = source.poll()["SPY"]
    assert later is not None
    assert later.bid == Decimal("168.50")
    assert [*ended, source.exhausted] == [False, True]
    source.close()


def test_late_loops_do_not_shift_the_replay(tmp_path: Path) -> None:
    """A poll that ran 80 ms late is replayed when it was due, and what was seen after it moves back as much."""
    late = poll_line(5, "168.50") | {"at": iso(START + timedelta(seconds=5.08))}
    seen = {"at": iso(START + timedelta(seconds=5.33)), "symbol": "SPY", "quote": quote_as_json(make_quote("168.70"))}
    path = write(tmp_path / "s.jsonl", HEADER, poll_line(0), late, poll_line(10, "168.90", since=[seen]))
    source = RecordedQuotes(path, "r")
    source.subscribe(["SPY"])
    bids = []
    for step in (5.0, 0.24, 0.01, 4.75):
        source.clock.sleep(step)
        quote = source.poll()["SPY"]
        assert quote is not None
        bids.append(str(quote.bid))
    assert bids == ["168.50", "168.50", "168.70", "168.90"]
    source.close()


def test_flatten_is_seen_but_is_no_poll(tmp_path: Path) -> None:
    """What a session saw while it flattened is there for a replay's flatten, but it makes no further poll."""
    seen = {"at": iso(START + timedelta(seconds=1)), "symbol": "SPY", "quote": quote_as_json(make_quote("167.00"))}
    path = write(tmp_path / "s.jsonl", HEADER, poll_line(0), {"type": "flatten", "since": [seen]})
    source = RecordedQuotes(path, "r")
    source.subscribe(["SPY"])
    source.poll()
    assert source.exhausted
    source.clock.sleep(1)
    quote = source.poll()["SPY"]
    assert quote is not None
    assert quote.bid == Decimal("167.00")
    source.close()


def test_symbols_that_were_not_recorded_are_refused(tmp_path: Path) -> None:
    """A symbol that the session did not trade is refused, with those that it did."""
    source = RecordedQuotes(write(tmp_path / "s.jsonl", HEADER, poll_line(0)), "r")
    with pytest.raises(VenueRefusal) as caught:
        source.subscribe(["SPY", "IBM"])
    assert "has no IBM" in caught.value.what
    assert "SPY, TSLA" in caught.value.todo
    source.close()


def test_line_cut_by_a_crash_ends_the_record(tmp_path: Path) -> None:
    """A last line without its end was being written when the session was killed: the record ends before it."""
    path = write(tmp_path / "s.jsonl", HEADER, poll_line(0), '{"type":"poll","due')
    source = RecordedQuotes(path, "r")
    source.subscribe(["SPY"])
    assert source.poll()["SPY"] is not None
    assert source.exhausted
    source.close()


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ((), ":1: there is no whole first line"),
        (("half a line",), ":1: there is no whole first line"),
        (("no json\n",), ":1: JSONDecodeError"),
        (({**HEADER, "schema": 99},), ":1: ValueError: the first line is no session.opened of schema 1"),
        ((HEADER,), "holds no poll"),
        ((HEADER, {"type": "poll"}), ":2: KeyError"),
        ((HEADER, []), ":2: TypeError"),
        ((HEADER, poll_line(0) | {"quotes": {"SPY": {"at": "2026-01-05"}}}), ":2: "),
        ((HEADER, poll_line(0) | {"due": "2026-01-05T14:35:00"}), "has no time zone"),
        ((HEADER, poll_line(0) | {"quotes": {"SPY": {"at": iso(START), "bid": "a lot", "ask": "1"}}}), ":2: "),
    ],
)
def test_damaged_record_is_refused_by_file_and_line(tmp_path: Path, lines: tuple[Any, ...], said: str) -> None:
    """A record that does not hold together is refused with file and line."""
    path = write(tmp_path / "s.jsonl", *lines)
    with pytest.raises(VenueRefusal) as caught:
        RecordedQuotes(path, "r")
    assert said in caught.value.what


def test_folder_in_place_of_a_record_is_refused(tmp_path: Path) -> None:
    """What can't be opened is refused with the system's reason."""
    (tmp_path / "s.jsonl").mkdir()
    with pytest.raises(VenueRefusal, match="directory"):
        RecordedQuotes(tmp_path / "s.jsonl", "r")


def test_record_takes_no_options(tmp_path: Path) -> None:
    """A session's record begins where the session began: it has no day or start to choose."""
    write(tmp_path / "s.jsonl", HEADER, poll_line(0))
    with pytest.raises(UsageError, match="has no option 'start'"):
        open_quotes("replay:s.jsonl?start=10:30", root=tmp_path)
