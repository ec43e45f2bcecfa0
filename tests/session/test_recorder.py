from __future__ import annotations

import errno
import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aurora.errors import RecordError
from aurora.execution.router import Decision, Stage
from aurora.market.order import Fill, OrderState, OrderStatus, Side
from aurora.session.recorder import Recorder, decision_as_json, fill_as_json, order_as_json, seen_as_json
from tests.trading import START, make_order, make_quote


def lines(path: Path) -> list[dict[str, Any]]:
    """Return a record's lines."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_first_line_says_what_the_record_is(tmp_path: Path) -> None:
    """The header holds the schema, versions, mode, venue, source and symbols."""
    recorder = Recorder(tmp_path / "new" / "lines.jsonl")
    recorder.open_session({"mode": "paper", "venue": "simulated", "quotes": "dummy", "symbols": ["SPY"]})
    recorder.close()
    (header,) = lines(recorder.path)
    assert (header["type"], header["schema"], header["mode"]) == ("session.opened", 1, "paper")
    assert set(header["versions"]) == {"aurora", "python"}


def test_lines_are_there_when_write_returns(tmp_path: Path) -> None:
    """A line is with the operating system before the session goes on: a killed session keeps it."""
    recorder = Recorder(tmp_path / "lines.jsonl")
    recorder.write("poll", n=1)
    assert lines(recorder.path) == [{"type": "poll", "n": 1}]
    recorder.close()


def test_money_is_text_and_times_are_utc(tmp_path: Path) -> None:
    """A Decimal is written as text to its last digit, an instant as ISO 8601 in UTC."""
    recorder = Recorder(tmp_path / "lines.jsonl")
    recorder.write("poll", cash=Decimal("100.10"), at=START)
    recorder.close()
    assert lines(recorder.path) == [{"type": "poll", "cash": "100.10", "at": "2026-01-05T14:35:00.000000Z"}]


@pytest.mark.parametrize("value", [Decimal("NaN"), float("nan"), float("inf")])
def test_what_is_no_number_is_not_recorded(tmp_path: Path, value: object) -> None:
    """NaN raises: a record holds strict JSON."""
    recorder = Recorder(tmp_path / "lines.jsonl")
    with pytest.raises(ValueError, match=r"can't be recorded|not JSON compliant"):
        recorder.write("poll", cash=value)
    recorder.close()


def test_other_things_are_not_recorded(tmp_path: Path) -> None:
    """What has no form in JSON is a fault of ours, not a text of its address."""
    recorder = Recorder(tmp_path / "lines.jsonl")
    with pytest.raises(TypeError, match="a set can't be recorded"):
        recorder.write("poll", symbols={1})
    recorder.close()


def test_record_is_never_written_over(tmp_path: Path) -> None:
    """An earlier session's record stays: a second one of that name is refused before anything is traded."""
    Recorder(tmp_path / "lines.jsonl").close()
    with pytest.raises(RecordError, match="can't be opened"):
        Recorder(tmp_path / "lines.jsonl")


class FullDisk:
    """A file on a disk that has room for so many bytes."""

    def __init__(self, room: int) -> None:
        self.room = room

    def write(self, data: bytes) -> int:
        if self.room == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written, self.room = min(len(data), self.room), max(0, self.room - len(data))
        return written

    def close(self) -> None:
        pass


@pytest.mark.parametrize("room", [0, 10])
def test_full_disk_is_told_once(tmp_path: Path, room: int) -> None:
    """A line that does not fit, or only in part, raises; later ones are dropped, so that the way out stays open."""
    recorder = Recorder(tmp_path / "lines.jsonl")
    recorder.close()
    recorder._file = FullDisk(room)  # type: ignore[assignment]
    with pytest.raises(RecordError, match="No space left"):
        recorder.write("poll", n=1, text="long enough")
    recorder.write("flatten")
    assert recorder.broken is not None


def test_decisions_orders_and_fills_keep_what_rollups_need() -> None:
    """A decision holds its order, mid and reason; an order its end; a fill its price and fee."""
    decision = decision_as_json(Decision(make_order(), True, Stage.LIMITS, "too big"))
    assert decision["decision_mid"] == Decimal("168.005")
    assert (decision["stage"], decision["reason"], decision["opens"]) == ("limits", "too big", True)
    state = order_as_json(OrderState(make_order(), OrderStatus.CANCELLED, 2, "why"))
    assert state == {"ref": "a-1", "status": "CANCELLED", "filled": 2, "reason": "why"}
    fill = fill_as_json(Fill("a-1", "SPY", Side.BUY, 2, Decimal(168), Decimal(1), START))
    assert (fill["price"], fill["fee"], fill["at"]) == (Decimal(168), Decimal(1), "2026-01-05T14:35:00.000000Z")


def test_quotes_seen_between_polls_are_kept() -> None:
    """What was seen between two polls is kept with its instant."""
    (seen,) = seen_as_json([(START, "SPY", make_quote())])
    assert (seen["symbol"], seen["quote"]["bid"]) == ("SPY", "168.00")
