"""What a watcher makes of a session's files while somebody else writes them."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aurora.desk import Desk
from aurora.market.mode import Mode
from aurora.session.result import SessionResult
from aurora.session.run import Attempt, run_session
from aurora.session.settings import SessionRequest
from aurora.session.sight import Tail, Watcher
from tests.trading import give_models, make_profile


def run(project: Path, **request: Any) -> SessionResult:
    """Run a paper session on generated quotes; its files are in the folder a."""
    desk = Desk(give_models(project), make_profile("sim"), {})
    return run_session(
        desk, SessionRequest(Mode.PAPER, ("SPY", "TSLA"), "dummy", **request), Attempt("a", project / "a")
    )


@pytest.mark.parametrize("most", [4_000_000, 9_000])
def test_a_watcher_comes_to_the_sessions_own_figures(tmp_path: Path, most: int) -> None:
    """Read whole or in small parts, the files add up to what the session says of itself."""
    result = run(tmp_path, steps=60)
    watcher = Watcher(tmp_path / "a/session.jsonl", tmp_path)
    while watcher.look(most):
        pass
    sight = watcher.sight
    assert sight.result is not None
    assert (sight.looks, sight.orders, sight.blocked, sight.fills) == (
        result.polls, result.orders, result.blocked, result.fills,
    )  # fmt: skip
    assert (sight.day.use.notional_usd, sight.day.use.fees_usd) == (result.notional_usd, result.fees_usd)
    assert sight.day.pnl_usd(sight.bids) == result.pnl_usd
    assert sum(sight.held.values()) == result.holds
    assert sight.header["limits"]["notional_daily_cap_usd"] == "25000"


def test_a_tail_gives_whole_lines_only(tmp_path: Path) -> None:
    """A line that is being written is read when it is whole; what was read is not read again."""
    path = tmp_path / "lines.jsonl"
    tail = Tail(path)
    assert list(tail.read()) == []
    path.write_text('{"n":1}\n{"n":')
    assert list(tail.read()) == [{"n": 1}]
    assert list(tail.read()) == []
    with path.open("a") as file:
        file.write("2}\n")
    assert list(tail.read()) == [{"n": 2}]


def test_a_line_longer_than_a_look_is_read(tmp_path: Path) -> None:
    """A hundred symbols make long lines: one that is longer than what is read at a time comes all the same."""
    path = tmp_path / "lines.jsonl"
    path.write_text(json.dumps({"n": "x" * 5_000}) + "\n")
    assert len(list(Tail(path).read(most=1_000))) == 1


@pytest.mark.parametrize("line", ["[]", "damage", "3"])
def test_damage_is_said(tmp_path: Path, line: str) -> None:
    """A line that is no JSON object is damage, not a picture."""
    path = tmp_path / "lines.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(ValueError, match=r"object|Expecting"):
        list(Tail(path).read())


def test_memory_of_a_sight_is_bounded(tmp_path: Path) -> None:
    """What a sight keeps of polls does not grow with the session."""
    run(tmp_path, minutes=Decimal(200))
    watcher = Watcher(tmp_path / "a/session.jsonl", tmp_path)
    while watcher.look():
        pass
    assert watcher.sight.looks > 2_000
    assert len(watcher.sight._loops_ms) == 1_000
    assert len(watcher.sight.recent) == 6
