"""Counter-signatures of sealed runs: who reviewed, and what only looks like a review."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from aurora.errors import OperatorError, SigningFailed
from aurora.evidence import signing
from aurora.evidence.reviews import check_reviews, review_run, reviewed_at
from aurora.evidence.signing import Trust
from aurora.journal import Event, read_journal
from tests.engine.kit import Lab, bound_steps
from tests.evidence.people import LiveRecords, Says, make_key
from tests.evidence.sealed import codes


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[LiveRecords]:
    """A live desk with one sealed run."""
    with bound_steps():
        records = LiveRecords(tmp_path / "project")
        records.confirm(records.live_desk(Says(yes=False)))
        yield records


@pytest.fixture
def folder(desk: LiveRecords) -> Path:
    """Its run."""
    return desk.lab.last().folder


def reviewed(desk: LiveRecords, *words: str, key: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Type `review`."""
    return desk.lab.command("review", "last", *words, env={"AURORA_PERSON_KEY": str(key or desk.alice)})


def test_review_is_said_and_is_no_stranger_in_the_folder(desk: LiveRecords, folder: Path) -> None:
    """Verify names who reviewed, exit 0; the ledger has the note; stock ssh-keygen agrees."""
    done = reviewed(desk, "--note", "read it")
    assert done.returncode == 0, done.stderr
    assert desk.found() == {"REVIEWED"}
    result = desk.verify(folder.name)
    assert (result.is_good, result.whole) == (True, [folder.name])
    (finding,) = [each for each in result.findings if each.code == "REVIEWED"]
    assert "alice@desk has reviewed it" in finding.what
    act = read_journal(desk.ledger).events[-1]
    assert (act.type, act.data["act"], act.data["note"], act.data["principal"]) == (
        "act", "reviewed", "read it", "alice@desk",
    )  # fmt: skip
    words = ["ssh-keygen", "-Y", "verify", "-f", str(desk.signers), "-I", "alice@desk", "-n", "review@aurora"]
    words += ["-s", str(folder / "review.alice@desk.sig")]
    with (folder / "evidence.json").open("rb") as evidence:
        subprocess.run(words, stdin=evidence, check=True, capture_output=True)


def test_engine_can_not_review_itself(desk: LiveRecords, folder: Path) -> None:
    """Row 24: the engine's key is no reviewer's, by the command or by a file that is put there."""
    assert "KEY_ROLE" in reviewed(desk, key=desk.key).stderr
    forged = signing.sign((folder / "evidence.json").read_bytes(), desk.key, signing.REVIEW)
    (folder / "review.engine@desk.sig").write_bytes(forged)
    assert desk.found() == {"KEY_ROLE"}


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("review.txt", b"all is well", "SUBJECT_UNKNOWN"),
        ("review.bob.sh", b"#!/bin/sh", "SUBJECT_UNKNOWN"),
        ("review.a b.sig", b"x", "SUBJECT_UNKNOWN"),
        ("review.bob@desk.sig", b"x", "SIGNATURE"),
        ("review.bob@desk.sig", b"", "SIGNATURE"),
    ],
)
def test_what_only_looks_like_a_review(desk: LiveRecords, folder: Path, name: str, content: bytes, code: str) -> None:
    """A file under a review's name is one, or it is found."""
    (folder / name).write_bytes(content)
    assert desk.found() == {code}


def test_links_and_folders_are_no_reviews(desk: LiveRecords, folder: Path) -> None:
    """A link under a review's name, or a folder, is found."""
    (folder / "review.bob@desk.sig").symlink_to("/etc/passwd")
    (folder / "review.carl@desk.sig").mkdir()
    result = desk.verify()
    assert [each.code for each in result.findings].count("SUBJECT_UNKNOWN") == 2


def test_review_of_another_run_and_under_another_name(desk: LiveRecords, folder: Path) -> None:
    """Alice's review of one run is none of another, and none of bob's."""
    reviewed(desk)
    first = folder / "review.alice@desk.sig"
    other = desk.confirm(desk.live_desk(Says(yes=False))).folder
    (other / first.name).write_bytes(first.read_bytes())
    assert codes(desk.verify(other.name)) >= {"SIGNATURE"}
    (other / first.name).unlink()
    (folder / "review.bob@desk.sig").write_bytes(first.read_bytes())
    assert codes(desk.verify(folder.name)) >= {"KEY_ROLE"}


def test_run_that_does_not_verify_is_not_reviewed(desk: LiveRecords, folder: Path) -> None:
    """Nobody puts a name under a record that was changed, or that is not sealed."""
    (folder / "report.md").write_text("# All is well\n")
    done = reviewed(desk)
    assert (done.returncode, "does not verify" in done.stderr) == (2, True)
    assert not list(folder.glob("review.*"))
    (folder / "evidence.json").unlink()
    with pytest.raises(OperatorError, match="no evidence"):
        review_run(folder, desk.signatory())


def test_who_may_only_confirm_reviews_nothing(desk: LiveRecords, folder: Path, tmp_path: Path) -> None:
    """The roles are two."""
    desk.enter("bob@desk", make_key(tmp_path / "bob"), ("confirm",))
    with pytest.raises(SigningFailed, match="KEY_ROLE"):
        review_run(folder, desk.signatory(tmp_path / "bob"))
    assert not list(folder.glob("review.*"))


def test_review_outlives_its_key(desk: LiveRecords, folder: Path) -> None:
    """A review is checked at the time at which the ledger knows of it; one that it does not know of, now."""
    reviewed(desk)
    evidence = (folder / "evidence.json").read_bytes()
    act = {**read_journal(desk.ledger).events[-1].data}
    limited = desk.signers.read_text().replace('review@aurora"', 'review@aurora",valid-before="20200601Z"')
    desk.signers.write_text(limited)
    for ts, code in (("2020-01-01T00:00:00.000000Z", "REVIEWED"), ("2020-07-01T00:00:00.000000Z", "KEY_EXPIRED")):
        events = [Event(1, ts, "act", act)]
        found = check_reviews(folder.name, folder, evidence, Trust.of(desk.runs), frozenset(), events)
        assert [each.code for each in found] == [code]
    found = check_reviews(folder.name, folder, evidence, Trust.of(desk.runs), frozenset(), [])
    assert [each.code for each in found] == ["KEY_EXPIRED"]
    assert reviewed_at([Event(1, "soon", "act", act)], folder.name, evidence) == {}
    assert reviewed_at([Event(1, "2020-01-01T00:00:00Z", "act", act)], folder.name, evidence + b" ") == {}


def test_review_goes_aside_with_the_evidence_that_it_was_of(lab: Lab, tmp_path: Path) -> None:
    """A run that goes on by a waiver has new evidence: the old review stays with the old."""
    (tmp_path / "red").mkdir()
    desk = LiveRecords(tmp_path / "red" / "project", """
    params:
      profile: {type: string, default: real}
    steps:
      - {id: look, gate: 1 == 2}
    """)  # fmt: skip
    folder = desk.confirm().folder
    assert reviewed(desk).returncode == 0
    desk.go_on(waive=["look"], reason="it is known")
    assert not list(folder.glob("review.*"))
    (aside,) = folder.glob("sealed-*")
    assert (aside / "review.alice@desk.sig").exists()
    assert desk.found() == set()


def test_review_that_is_gone_is_missed(desk: LiveRecords, folder: Path) -> None:
    """The ledger knows who reviewed: to take the file away does not undo it."""
    reviewed(desk)
    (folder / "review.alice@desk.sig").unlink()
    assert desk.found() == {"REVIEW_MISSING"}
    assert desk.verify(folder.name).whole == []
