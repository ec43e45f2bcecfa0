"""Housekeeping: what is old goes as it should, what is sealed stays whole, and what is not is left alone."""

from __future__ import annotations

import fcntl
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aurora.clock import Clock, ManualClock
from aurora.errors import LockHeld, UsageError
from aurora.evidence.archive import archive_of
from aurora.housekeeping.tidy import Rules, look, tidy
from tests.evidence.sealed import Records


@pytest.fixture
def records(tmp_path: Path) -> Records:
    """Return a project with two sealed runs of today."""
    made = Records(tmp_path)
    made.run()
    made.run(good=False)
    return made


def later(days: float) -> Clock:
    """Return a clock that is so many days later than now."""
    return ManualClock(datetime.now(UTC) + timedelta(days=days))


def runs(records: Records) -> list[Path]:
    """Return the folders of runs."""
    return sorted(path for path in records.runs.iterdir() if path.is_dir() and not path.name.startswith("."))


def test_old_sealed_runs_go_into_archives(records: Records) -> None:
    """Past `keep_days` a sealed run is archived whole, red ones too, and all of it verifies."""
    folders = runs(records)
    done = tidy(records.lab.root, Rules(7), later(8))
    assert (len(done.gone), done.kept, done.failed) == (2, [], [])
    assert runs(records) == []
    assert all(archive_of(records.runs, folder.name).exists() for folder in folders)
    assert records.found() == set()
    assert list((records.runs / ".locks").glob("run:*")) == []


def test_young_runs_stay(records: Records) -> None:
    """Before `keep_days` have passed nothing goes."""
    assert tidy(records.lab.root, Rules(7), later(6.9)).gone == []
    assert len(runs(records)) == 2


def test_a_look_touches_nothing_and_lists_all(records: Records) -> None:
    """What a dry run lists is what goes, line for line, and it changes no byte of the project."""
    (records.lab.root / "logs").mkdir()
    (records.lab.root / "logs/cron.log").write_text("x\n")
    before = sorted((path, path.stat().st_mtime_ns) for path in records.lab.root.rglob("*") if path.is_file())
    found = look(records.lab.root, Rules(7), later(8))
    assert before == sorted((path, path.stat().st_mtime_ns) for path in records.lab.root.rglob("*") if path.is_file())
    done = tidy(records.lab.root, Rules(7), later(8))
    words = {"archive": "archived", "rotate": "rotated", "remove": "removed"}
    told = [line.removeprefix("would ") for line in found.gone]
    assert [f"{words[line.split()[0]]} {line.split(' ', 1)[1]}" for line in told] == done.gone
    assert len(told) == 3


def test_unsealed_and_unknown_runs_stay_and_are_named(records: Records) -> None:
    """A run without its seal is nobody's to put away: it stays, with the reason."""
    (records.runs / "2026-01-01T000000.000Z-strange").mkdir()
    records.lab.steps("w", "raise SystemExit")
    (records.runs / "notes").mkdir()
    done = tidy(records.lab.root, Rules(7), later(1))
    assert done.gone == []
    assert [line.split(": ")[0] for line in done.kept] == ["runs/2026-01-01T000000.000Z-strange"]
    assert (records.runs / "notes").exists()


def test_a_changed_run_stays_and_is_told(records: Records) -> None:
    """A run that does not verify is evidence of something: it is not touched, and the others go."""
    folder = runs(records)[0]
    (folder / "journal.jsonl").write_text("{}\n")
    done = tidy(records.lab.root, Rules(7), later(8))
    assert len(done.gone) == 1
    assert folder.name in done.failed[0]
    assert folder.exists()


def test_a_run_at_work_stays(records: Records) -> None:
    """A run whose lock is held (it is being resumed) is left alone."""
    folder = runs(records)[0]
    with (records.runs / ".locks" / f"run:{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = tidy(records.lab.root, Rules(7), later(8))
    assert folder.exists()
    assert "at work" in done.failed[0]


def test_two_at_once_are_one(records: Records) -> None:
    """While one housekeeping is at it, another is refused."""
    (records.runs / ".locks").mkdir(exist_ok=True)
    with (records.runs / ".locks/housekeeping.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(LockHeld):
            tidy(records.lab.root, Rules(7), later(8))


def test_a_lost_key_archives_nothing(records: Records) -> None:
    """Without the key no line can be signed: each run stays in its folder, and is told."""
    records.key.rename(records.key.with_name("elsewhere"))
    done = tidy(records.lab.root, Rules(7), later(8))
    assert (len(done.gone), len(done.failed)) == (0, 2)
    assert len(runs(records)) == 2
    assert records.found() == set()


def test_over_budget_the_oldest_go_first(records: Records) -> None:
    """Over the disk's budget young runs go too, the oldest first, but none of the last day; what is left is told."""
    newest = runs(records)[-1]
    (records.lab.root / "logs").mkdir()
    (records.lab.root / "logs/big-2999-01-01.log").write_bytes(b"x" * 2_000_000)
    assert tidy(records.lab.root, Rules(30, 1), later(0.5)).gone == []
    done = tidy(records.lab.root, Rules(30, 1), later(2))
    assert len(done.gone) == 2
    assert done.over_budget
    assert not newest.exists()
    assert "over the budget of 1 MB" in done.gone[0]


def test_budget_takes_no_more_than_it_must(records: Records) -> None:
    """Once what is left fits, no more runs go."""
    size = sum(path.stat().st_size for folder in (records.runs,) for path in folder.rglob("*") if path.is_file())
    (records.lab.root / "logs").mkdir()
    (records.lab.root / "logs/big-2999-01-01.log").write_bytes(b"x" * (1_000_000 - size + 1000))
    done = tidy(records.lab.root, Rules(30, 1), later(2))
    assert len(done.gone) == 1
    assert not done.over_budget


def test_logs_are_rotated_once_a_day_and_removed_when_old(tmp_path: Path) -> None:
    """A log becomes NAME-DAY.log, once a day; past `keep_days` that goes; a name that only looks like one stays."""
    logs = tmp_path / "logs"
    logs.mkdir()
    clock = ManualClock(datetime(2026, 11, 23, 12, tzinfo=UTC))
    for name in ("cron.log", "cron-2026-11-15.log", "cron-2026-11-16.log", "my-notes.log", "x-2026-99-99.log", "a.txt"):
        (logs / name).write_text(name)
    (logs / "empty.log").touch()
    tidy(tmp_path, Rules(7), clock)
    there = {path.name for path in logs.iterdir()}
    assert there == {"cron-2026-11-23.log", "cron-2026-11-16.log", "my-notes-2026-11-23.log", "a.txt",
                     "x-2026-99-99-2026-11-23.log", "empty.log"}  # fmt: skip
    (logs / "cron.log").write_text("later that day")
    assert tidy(tmp_path, Rules(7), clock).gone == []
    clock.advance(86400 * 8)
    tidy(tmp_path, Rules(7), clock)
    assert "cron-2026-11-23.log" not in {path.name for path in logs.iterdir()}


def test_nothing_else_is_touched(records: Records) -> None:
    """Order journals, lockouts, the ledger, refusals and old traces' neighbours stay; old traces of bugs go."""
    stays = ["orders/SIM/2026-01-01.jsonl", "runlocks/live.lock", "runs/refusals.jsonl", "runs/cron.jsonl"]
    for name in [*stays, "runs/bug-77.txt"]:
        path = records.lab.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}\n")
        os.utime(path, (0, 0))
    done = tidy(records.lab.root, Rules(1), later(0))
    assert [line.split(",")[0] for line in done.gone] == ["removed runs/bug-77.txt"]
    assert all((records.lab.root / name).exists() for name in stays)


@pytest.mark.parametrize(("days", "budget"), [(0, 0), (-1, 0), (7, -1)])
def test_senseless_rules_are_refused(days: int, budget: int) -> None:
    """Keeping no day at all is a slip of the keyboard, not a wish."""
    with pytest.raises(UsageError):
        Rules(days, budget)


def test_an_empty_project_has_nothing_to_tidy(tmp_path: Path) -> None:
    """Where there are no records and no logs, nothing is done and nothing made."""
    assert tidy(tmp_path, Rules(7), later(0)).gone == []
    assert list(tmp_path.iterdir()) == []
