"""Last week's sessions and the warmed-up code, read from runs that are really sealed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aurora.clock import SystemClock
from aurora.engine.profiles import load_profile
from aurora.evidence.archive import archive_run
from aurora.evidence.keys import ensure_key
from aurora.housekeeping.machine import Code, read_code
from aurora.housekeeping.week import WarmedUp, Week, compare_with_warmed_up, read_week
from tests.engine.kit import bound_steps
from tests.evidence.sealed import Records

STEPS = """
    from dataclasses import dataclass
    from aurora.engine.context import Context
    from aurora.engine.registry import step
    from aurora.housekeeping.machine import Code, read_code

    @dataclass(frozen=True)
    class Result:
        anomalies: list[str]
        fallbacks: int
        flat: bool

    @step(repeat="safe")
    def shadow(context: Context[None], how: str) -> Result:
        if how == "broken":
            raise OSError("gone")
        return Result(["stale"] if how == "anomaly" else [], 2 if how == "fallback" else 0, how != "held")

    @step(repeat="safe")
    def code(context: Context[None]) -> Code:
        return read_code(context.project)
"""
BOOK = """
    params:
      how: {type: string, default: clean}
      profile: {type: string, default: paper}
    steps:
      - {id: code, uses: machine.code}
      - {id: shadow, uses: session.shadow, with: {how: "{{ params.how }}"}, gate: "anomalies == []"}
"""


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    """Return a project whose runs hold a session and the code that ran it."""
    with bound_steps():
        made = Records(tmp_path / "project", BOOK)
        for module in ("session", "machine"):
            made.lab.steps(module, STEPS)
        ensure_key(made.lab.root, made.runs)
        yield made


def week(records: Records, *, later: timedelta = timedelta(0), venue: str = "account") -> Week:
    """Look at the last seven days."""
    return read_week(records.runs, venue, datetime.now(UTC) + later, 7)


def warmed(records: Records, **changed: Any) -> WarmedUp:
    """Compare the code as it is, with these changes."""
    digest = load_profile(records.lab.root, "paper").digest
    return compare_with_warmed_up(records.runs, "book", digest, replace(read_code(records.lab.root), **changed))


def archive(records: Records, folder: Path) -> None:
    """Put a run away."""
    archive_run(folder, records.key, SystemClock().now())
    assert not folder.exists()


def test_clean_sessions_are_counted_in_folders_and_archives(records: Records) -> None:
    """Two clean sessions of a day, one of them in its archive by now."""
    archive(records, records.run())
    records.run()
    assert week(records) == Week(True, 2, 1, [], week(records).note)


@pytest.mark.parametrize(
    ("how", "said"),
    [("anomaly", "1 anomalies: stale"), ("fallback", "2 fallbacks"), ("held", "did not end flat"),
     ("broken", "what it came to is not known")],
)  # fmt: skip
def test_a_session_that_was_not_clean_is_named(records: Records, how: str, said: str) -> None:
    """Anomalies, fallbacks, a position left, and a session of which nothing is known; archived it is found as well."""
    folder = records.run(how=how)
    for put_away in (False, True):
        if put_away:
            archive(records, folder)
        (line,) = week(records).unclean
        assert line.startswith(f"{folder.name}: shadow: ")
        assert said in line


def test_what_is_older_or_of_another_venue_is_not_counted(records: Records) -> None:
    """Only sessions of the profile's venue in the last days; none at all is said as such."""
    records.run(how="anomaly")
    assert (week(records, later=timedelta(days=8)).sessions, week(records, venue="simulated").sessions) == (0, 0)
    records.run(dry_run=True)
    assert week(records).sessions == 1


@pytest.mark.parametrize("what", ["journal", "archive", "ledger", "nothing"])
def test_what_cant_be_leant_on_is_not_known(records: Records, what: str) -> None:
    """A changed journal, a changed archive, a changed ledger, no ledger: never a clean week, never a warmed-up code."""
    if what != "nothing":
        folder = records.run()
        if what == "archive":
            archive(records, folder)
        path = {"journal": folder / "journal.jsonl", "ledger": records.ledger}.get(what)
        path = path or records.runs / f"{folder.name}.tar.gz"
        path.write_bytes(path.read_bytes()[:-20])
    found = week(records)
    assert not found.known
    assert found.unclean or found.sessions == 0
    assert not warmed(records).known


def test_the_warmed_up_code_is_known_again(records: Records) -> None:
    """The same commit, tree, lock and packages: the same; each of them another: named."""
    records.run()
    same = warmed(records, commit="c")
    assert (same.known, same.same) == (True, False)  # there was no commit when it was warmed up
    names = ("commit", "tree", "lock", "installed", "python", "aurora")
    found = warmed(records, **dict.fromkeys(names, "another"))
    assert [line.split()[0] for line in found.differences] == [
        "commit",
        "aurora",
        "python",
        "tree",
        "lock",
        "installed",
    ]


def test_no_commit_is_no_known_code(records: Records) -> None:
    """Code without a commit is never the one that was warmed up, even when nothing differs."""
    records.run()
    found = warmed(records)
    assert (found.same, found.differences) == (False, ["there is no commit: what would run is not known"])


def test_a_warm_up_of_another_profile_or_colour_does_not_count(records: Records) -> None:
    """A red warm-up, and one with other values in its profile, warmed nothing up."""
    records.run(how="anomaly")
    assert not warmed(records).known
    records.run()
    assert warmed(records).known
    records.lab.profile("paper", "mode: paper\nvenue: account\nsecrets: []\nlimit: 401\n")
    assert not warmed(records).known


def test_tree_and_lock_are_in_the_fingerprint(tmp_path: Path) -> None:
    """What is not committed changes the tree's digest, also in a file that git does not know; the lock has its own."""

    def look() -> Code:
        return read_code(tmp_path)

    import subprocess  # noqa: PLC0415 - one test makes a repository

    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / "a").write_text("1")
    subprocess.run(["git", "-C", tmp_path, "add", "a"], check=True)
    author = ["-c", "user.name=t", "-c", "user.email=t@t"]
    subprocess.run(["git", "-C", tmp_path, *author, "commit", "-qm", "x"], check=True)
    clean = look()
    assert (clean.dirty, clean.tree, clean.lock) == (False, "", "")
    (tmp_path / "b").write_text("1")
    new = look()
    (tmp_path / "b").write_text("2")
    newer = look()
    (tmp_path / "a").write_text("2")
    assert len({clean.tree, new.tree, newer.tree, look().tree}) == 4
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements/run.lock").write_text("a==1")
    assert look().lock
    assert look().installed == clean.installed
