"""The git witness: real git, a real bare repository, and what goes wrong between them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aurora.errors import RecordError
from aurora.evidence import git_witness
from aurora.evidence.git_witness import GitWitness, HistoryDiffers
from tests.engine.kit import bound_steps
from tests.evidence.sealed import Records

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    """A project with one sealed run."""
    with bound_steps():
        made = Records(tmp_path / "project")
        made.run()
        yield made


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    """A repository that refuses to be rewound."""
    path = tmp_path / "remote.git"
    git("init", "--quiet", "--bare", str(path))
    git("--git-dir", str(path), "config", "receive.denyNonFastForwards", "true")
    return path


def git(*words: str) -> str:
    """Run git as a person would, and return what it said."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(["git", *words], check=True, capture_output=True, text=True, env=env).stdout


def witness_of(records: Records, remote: Path | str) -> GitWitness:
    """Return the desk `canary` of a remote."""
    return GitWitness(records.runs, str(remote), "canary")


def test_pushed_head_is_the_ledgers(records: Records, remote: Path) -> None:
    """What the remote has after a push is the ledger as it is, and verify takes its head for a witness."""
    witness = witness_of(records, remote)
    assert witness.push() == records.head() == witness.head()
    assert git("--git-dir", str(remote), "show", "canary:ledger.jsonl").encode() == records.ledger.read_bytes()
    assert records.found(witnesses=[witness.head()]) == set()


def test_evidence_is_pushed_and_nothing_else_of_a_run(records: Records, remote: Path) -> None:
    """Journals, reports and keys stay here; the evidence holds their digests."""
    witness_of(records, remote).push()
    (run,) = records.runs.glob("2*")
    names = set(git("--git-dir", str(remote), "ls-tree", "-r", "--name-only", "canary").splitlines())
    assert names == {
        "allowed_signers", "ledger.jsonl", "ledger.jsonl.sig",
        f"{run.name}/evidence.json", f"{run.name}/evidence.json.sig",
    }  # fmt: skip


def test_each_push_goes_on_from_the_last(records: Records, remote: Path) -> None:
    """One commit a head; pushing what is there already makes none."""
    witness = witness_of(records, remote)
    witness.push()
    witness.push()
    records.run()
    witness.push()
    said = git("--git-dir", str(remote), "log", "--format=%s", "canary").splitlines()
    assert [line.split(":")[0] for line in said] == ["ledger 4", "ledger 2"]


def test_lost_repository_of_ours_is_made_again(records: Records, remote: Path) -> None:
    """What is pushed hangs on the remote and the ledger alone; a lost or half-made `.witness.git` costs nothing."""
    witness = witness_of(records, remote)
    witness.push()
    shutil.rmtree(records.runs / git_witness.FOLDER)
    records.run()
    assert witness.push() == records.head()
    assert len(git("--git-dir", str(remote), "log", "--format=%s", "canary").splitlines()) == 2


def roll_back(records: Records) -> None:
    """Put the ledger back to its first two lines, as somebody with the key can."""
    records.sign_ledger(b"".join(records.ledger.read_bytes().splitlines(keepends=True)[:2]))
    shutil.rmtree(sorted(records.runs.glob("2*"))[-1])


@pytest.mark.parametrize("ours", ["kept", "lost"])
def test_rollback_is_an_alarm_and_nothing_is_pushed(records: Records, remote: Path, ours: str) -> None:
    """Attack 19: a ledger rolled back with the key verifies here; the remote has the longer one and keeps it."""
    records.run()
    witness = witness_of(records, remote)
    head = witness.push()
    roll_back(records)
    if ours == "lost":
        shutil.rmtree(records.runs / git_witness.FOLDER)
    assert records.found() == set()
    with pytest.raises(HistoryDiffers):
        witness.push()
    records.run()
    with pytest.raises(HistoryDiffers):
        witness.push()
    assert witness.head() == head
    assert records.found(witnesses=[witness.head()]) == {"WITNESS_MISMATCH"}


def test_remote_that_can_be_rewound_is_told_apart(records: Records, remote: Path, tmp_path: Path) -> None:
    """A remote on this machine is asked whether it refuses rewinding; of another nobody here can tell."""
    assert witness_of(records, remote).refuses_rewinding() is True
    assert witness_of(records, f"file://{remote}").refuses_rewinding() is True
    loose = tmp_path / "loose.git"
    git("init", "--quiet", "--bare", str(loose))
    assert witness_of(records, loose).refuses_rewinding() is False
    for far in ("git@records.example:desk.git", "https://records.example/desk.git", "ssh://records.example/x"):
        assert witness_of(records, far).refuses_rewinding() is None


def test_branch_of_something_else_is_refused(records: Records, remote: Path, tmp_path: Path) -> None:
    """A branch that holds no ledger is somebody else's; nothing is written over it."""
    other = tmp_path / "other"
    git("init", "--quiet", "-b", "canary", str(other))
    me = ("-c", "user.name=x", "-c", "user.email=x@y")
    git("-C", str(other), *me, "commit", "--quiet", "--allow-empty", "-m", "mine")
    git("-C", str(other), "push", "--quiet", str(remote), "canary")
    with pytest.raises(RecordError, match="holds no ledger"):
        witness_of(records, remote).push()
    assert git("--git-dir", str(remote), "log", "--format=%s", "canary").strip() == "mine"


def test_another_desks_ledger_on_the_branch_is_a_difference(records: Records, remote: Path, tmp_path: Path) -> None:
    """Two desks of one name that push to one branch are seen at once."""
    other = Records(tmp_path / "twin")
    other.run()
    witness_of(other, remote).push()
    with pytest.raises(HistoryDiffers):
        witness_of(records, remote).push()


@pytest.mark.parametrize("trouble", ["missing", "refuses", "hangs", "no git"])
def test_remote_that_does_not_take_it_is_said(
    records: Records, remote: Path, trouble: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Unreachable, refusing, hanging: an error in words within its time, no traceback, and no secret address in it."""
    url: Path | str = remote
    if trouble == "missing":
        url = tmp_path / "s3cr3t-nowhere.git"
    elif trouble == "refuses":
        hook = remote / "hooks/pre-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text("#!/bin/sh\nexit 1\n")
        hook.chmod(0o755)
    elif trouble == "hangs":
        fake = tmp_path / "bin"
        fake.mkdir()
        (fake / "git").write_text("#!/bin/sh\nexec sleep 60\n")
        (fake / "git").chmod(0o755)
        monkeypatch.setenv("PATH", f"{fake}:{os.environ['PATH']}")
        monkeypatch.setattr(git_witness, "PATIENCE_S", 0.3)
    else:
        monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RecordError) as caught:
        witness_of(records, url).push()
    assert not isinstance(caught.value, HistoryDiffers)
    assert caught.value.means
    assert "s3cr3t" not in str(caught.value)


def test_nothing_was_pushed_is_no_witness(records: Records, remote: Path) -> None:
    """A remote without the desk's branch has no head to compare with, and says so."""
    with pytest.raises(RecordError, match="no branch"):
        witness_of(records, remote).head()


def test_projects_own_git_is_left_alone(records: Records, remote: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The witness has a repository of its own: no hook, index, attribute or variable of the project's is used."""
    root = records.lab.root
    git("init", "--quiet", str(root))
    hook = root / ".git/hooks/post-commit"
    hook.write_text("#!/bin/sh\ntouch hooked\n")
    hook.chmod(0o755)
    (records.runs / ".gitattributes").write_text("* text eol=crlf\n*.jsonl filter=evil\n")
    monkeypatch.setenv("GIT_DIR", str(root / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(root / ".git/index"))
    witness_of(records, remote).push()
    monkeypatch.undo()
    assert not (root / ".git/index").exists()
    assert git("--git-dir", str(remote), "show", "canary:ledger.jsonl").encode() == records.ledger.read_bytes()


def test_hostile_names_are_not_pushed(records: Records, remote: Path) -> None:
    """A folder that no ledger sealed, and a link, are no evidence."""
    odd = records.runs / "2026-odd\nname"
    odd.mkdir()
    (odd / "evidence.json").write_text("{}")
    (records.runs / "revoked_keys").symlink_to("/etc/passwd")
    witness_of(records, remote).push()
    assert "odd" not in git("--git-dir", str(remote), "ls-tree", "-r", "--name-only", "canary")
    assert "revoked" not in git("--git-dir", str(remote), "ls-tree", "-r", "--name-only", "canary")


def test_two_pushes_at_once_agree(records: Records, remote: Path, tmp_path: Path) -> None:
    """Two copies of one desk that push at the same time: both end at the head that both have."""
    copy = tmp_path / "copy"
    shutil.copytree(records.runs, copy)
    code = (
        "import sys, json; from pathlib import Path; from aurora.evidence.git_witness import GitWitness\n"
        "print(json.dumps(vars(GitWitness(Path(sys.argv[1]), sys.argv[2], 'canary').push())))"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(runs), str(remote)], cwd=Path(__file__).parents[2],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for runs in (records.runs, copy)
    ]  # fmt: skip
    ended = [process.communicate(timeout=120) for process in started]
    heads = [json.loads(said) for said, _ in ended if said]
    assert heads, ended  # one of two may be told that the other was first; it is tried again when the next run ends
    assert all(head["seq"] == records.head().seq for head in heads)
    assert witness_of(records, remote).push() == records.head()
