"""What a session whose process was killed left behind, read for who resumes its run."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from aurora.desk import Desk
from aurora.market.mode import Mode
from aurora.session.remains import read_remains
from aurora.session.result import SessionResult
from aurora.session.run import RECORDING, Attempt, run_session
from aurora.session.settings import SessionRequest
from tests.trading import give_models, make_profile


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SessionResult]:
    """Return the record of a session that traded, and its result."""
    project = tmp_path_factory.mktemp("desk")
    desk = Desk(give_models(project), make_profile("sim"), {})
    asked = SessionRequest(Mode.LIVE, ("SPY", "TSLA"), "dummy:seed=7", steps=60, poll_sec=Decimal(5))
    return project / "a" / RECORDING, run_session(desk, asked, Attempt("a", project / "a"))


def cut(record: Path, folder: Path, lines: int, tail: str = "") -> Path:
    """Return a copy that ends after so many lines, as a kill leaves it."""
    kept = record.read_text().splitlines(keepends=True)[:lines]
    (folder / "cut.jsonl").write_text("".join(kept) + tail)
    return folder / "cut.jsonl"


def test_record_with_an_end_has_the_result(result: tuple[Path, SessionResult]) -> None:
    """A session that ended before its worker could say so: what it would have returned, number for number."""
    record, returned = result
    assert returned.fills > 0
    found = read_remains(record)
    assert found.result == returned
    assert returned.ended in found.said


def test_record_without_an_end_says_how_far_it_came(result: tuple[Path, SessionResult], tmp_path: Path) -> None:
    """A session that was killed: no result, and what a person has to know, half a line or not."""
    record, _ = result
    for tail in ("", '{"type": "session.clo'):
        found = read_remains(cut(record, tmp_path, 41, tail))
        assert found.result is None
        assert found.said.startswith("its record has no end; it has 40 polls, ")
        assert found.said.endswith("what the venue holds now: invoke reconcile --dry-run")


@pytest.mark.parametrize("tail", ["no JSON", '{"type": "session.closed"}', '{"type": "session.closed", "result": {}}'])
def test_record_that_can_not_be_read_says_nothing(
    result: tuple[Path, SessionResult], tmp_path: Path, tail: str
) -> None:
    """No record, a broken one, an end that is none: nobody knows, and a person is asked."""
    found = read_remains(cut(result[0], tmp_path, 41, f"{tail}\n"))
    assert found.result is None
    assert found.said.startswith("its record can't be read: ")
    assert str(tmp_path) not in found.said
    assert read_remains(tmp_path / "none").said == "it left no record"
