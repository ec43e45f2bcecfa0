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
from aurora.evidence.signers import add_person
from aurora.housekeeping.machine import Code, read_code
from aurora.housekeeping.week import WarmedUp, Week, compare_with_warmed_up, read_week
from tests.engine.kit import bound_steps
from tests.evidence.people import make_key
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

    live = shadow

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


def on(records: Records, venue: str) -> None:
    """Let the next runs be on `venue`."""
    records.lab.profile("paper", f"mode: live\nvenue: {venue}\nsecrets: []\n")


def review(records: Records, run: Path, note: str) -> None:
    """Have alice put her name under a run."""
    key = records.lab.root.parent / "alice"
    if not key.exists():
        made = make_key(key)
        file = made.with_name("alice.pub")
        add_person(
            records.lab.root, records.runs, "alice@desk", file, roles=("review",), until=None, now=SystemClock().now()
        )
    words = ["review", run.name, *(["--note", note] if note else [])]
    done = records.lab.command(*words, env={"AURORA_PERSON_KEY": str(key)})
    assert done.returncode == 0, done.stderr


def test_root_cause_that_a_person_signed_explains_a_red_of_shadow(records: Records) -> None:
    """Trading rule 23: a review with a note explains its own run, and is named; one without does not."""
    red, other = records.run(how="anomaly"), records.run(how="fallback")
    review(records, red, "")
    assert len(week(records).unclean) == 2
    review(records, red, "a test feed was left on")
    found = week(records)
    assert [line.split(":")[0] for line in found.unclean] == [other.name]
    (line,) = found.explained
    assert line.startswith(red.name)
    assert line.endswith("alice@desk: a test feed was left on")


def test_nobody_explains_a_live_session_away(records: Records) -> None:
    """What went wrong with orders at a venue stays in the week, whoever signs."""
    records.lab.book(BOOK.replace("session.shadow", "session.live"))
    red = records.run(how="anomaly")
    review(records, red, "never mind")
    found = week(records)
    assert (len(found.unclean), found.explained) == (1, [])


def test_review_that_does_not_hold_explains_nothing(records: Records) -> None:
    """A signature that was changed makes the run one that can't be leant on."""
    red = records.run(how="anomaly")
    review(records, red, "a test feed was left on")
    signature = next(red.glob("review.*.sig"))
    signature.write_text(signature.read_text().replace("U1NIU0lH", "U1NIU0lI"))
    found = week(records)
    assert (found.known, found.explained) == (False, [])


def test_reds_of_a_paper_account_count_before_real_money(records: Records) -> None:
    """Trading rule 23: they are looked at, explained or not, and are no sessions of the live account's own week."""
    on(records, "paper")
    red = records.run(how="anomaly")
    assert len(week(records, venue="live").unclean) == 1
    assert week(records, venue="live").sessions == 0
    assert len(week(records, venue="paper").unclean) == 1
    assert week(records, venue="simulated").unclean == []
    review(records, red, "a test feed was left on")
    assert (week(records, venue="live").unclean, len(week(records, venue="live").explained)) == ([], 1)
