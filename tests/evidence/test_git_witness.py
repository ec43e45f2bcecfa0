"""The git witness: real git, over files and git's own protocol, with remotes that refuse, hang, rewind and fork."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from aurora.evidence import git_witness
from aurora.evidence.git_witness import WitnessDisagrees, WitnessUnreachable, branch_of, push_ledger, witnessed_by
from aurora.evidence.ledger import Head, Ledger
from tests.engine.kit import bound_steps
from tests.evidence.sealed import Records, codes, copy_of

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

DESK = "desk"


def git(folder: Path, *words: str) -> str:
    """Run git in a folder, outside of any other repository."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(["git", "-C", folder, *words], check=True, capture_output=True, text=True, env=kept)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Records]:
    """A desk with two sealed runs."""
    with bound_steps():
        records = Records(tmp_path_factory.mktemp("witnessed") / "project")
        records.run()
        records.run(day="tuesday", good=False)
        yield records


@pytest.fixture
def records(original: Records, tmp_path: Path) -> Records:
    """A copy of that desk."""
    return copy_of(original, tmp_path / "project")


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    """A remote that refuses to be rewound."""
    path = tmp_path / "remote.git"
    git(tmp_path, "init", "--quiet", "--bare", str(path))
    for name in ("denyNonFastForwards", "denyDeletes"):
        git(path, "config", f"receive.{name}", "true")
    return path


def push(records: Records, remote: Path | str) -> tuple[Head, str]:
    """Push a desk's ledger."""
    return push_ledger(records.runs, str(remote), DESK, records.key)


def grow(records: Records, act: str = "more") -> None:
    """Put one more line into the ledger."""
    with Ledger.locked(records.runs, records.key) as ledger:
        ledger.append("act", {"act": act}, datetime.now(UTC))


def tip(remote: Path) -> str:
    """Return the commit that a desk's branch is at."""
    return git(remote, "rev-parse", branch_of(DESK))


def test_pushed_ledger_is_the_witness(records: Records, remote: Path) -> None:
    """What is pushed is the ledger of now, and the remote's head verifies it; nothing new makes no commit."""
    head, note = push(records, f"file://{remote}")
    assert (head, note) == (records.head(), "")
    assert witnessed_by(str(remote), DESK) == [head]
    assert codes(records.verify(witnesses=witnessed_by(str(remote), DESK))) == set()
    first = tip(remote)
    push(records, remote)
    assert tip(remote) == first
    grow(records)
    push(records, remote)
    assert git(remote, "rev-parse", f"{branch_of(DESK)}^") == first
    assert witnessed_by(str(remote), DESK) == [records.head()]


def test_only_what_may_leave_leaves(records: Records, remote: Path) -> None:
    """The ledger, who may sign, and evidence with its signature: no journal, report, input, key or secret."""
    push(records, remote)
    names = git(remote, "ls-tree", "-r", "--name-only", branch_of(DESK)).splitlines()
    runs = [path.name for path in records.runs.glob("2*")]
    expected = {f"{run}/evidence.json{end}" for run in runs for end in ("", ".sig")}
    assert set(names) == expected | {"ledger.jsonl", "ledger.jsonl.sig", "allowed_signers"}


def test_commit_is_signed_by_the_engines_key(records: Records, remote: Path, tmp_path: Path) -> None:
    """The commit carries the engine's SSH signature, and without a usable key it is pushed unsigned and says so."""
    push(records, remote)
    signers = tmp_path / "signers"
    signers.write_text(f"engine@desk {records.key.with_suffix('.pub').read_text()}")
    assert "Good" in subprocess.run(
        ["git", "-C", remote, "-c", f"gpg.ssh.allowedSignersFile={signers}", "verify-commit", tip(remote)],
        capture_output=True, text=True, check=True,
    ).stderr  # fmt: skip
    grow(records)
    _, note = push_ledger(records.runs, str(remote), DESK, records.key.with_name("none"))
    assert "not signed" in note


def test_project_repository_is_not_touched(records: Records, remote: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The project's own repository and index stay as they are, also when git's variables point to them."""
    root = records.lab.root
    git(root, "init", "--quiet")
    git(root, "add", "profiles")
    before = (root / ".git/index").read_bytes()
    monkeypatch.setenv("GIT_DIR", str(root / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(root / ".git/index"))
    push(records, remote)
    monkeypatch.undo()
    assert (root / ".git/index").read_bytes() == before
    assert git(root, "for-each-ref") == ""
    assert witnessed_by(str(remote), DESK) == [records.head()]


def test_rolled_back_ledger_is_an_alarm(records: Records, remote: Path) -> None:
    """A remote that has more than we is not pushed to: our ledger was rolled back, and verify says so."""
    grow(records)
    push(records, remote)
    before = tip(remote)
    records.sign_ledger(b"".join(records.ledger.read_bytes().splitlines(keepends=True)[:-1]))
    with pytest.raises(WitnessDisagrees, match="1 lines more than the ledger here"):
        push(records, remote)
    assert tip(remote) == before
    assert records.found(witnesses=witnessed_by(str(remote), DESK)) == {"WITNESS_MISMATCH"}


def test_fork_and_another_desk_are_an_alarm(records: Records, remote: Path, tmp_path: Path) -> None:
    """A remote with another history, of a fork or of another desk of that name, is never overwritten."""
    fork = copy_of(records, tmp_path / "fork")
    grow(fork, "fork")
    push(fork, remote)
    before = tip(remote)
    grow(records, "ours")
    with pytest.raises(WitnessDisagrees, match="another history"):
        push(records, remote)
    shutil.rmtree(records.runs / ".witness")
    with pytest.raises(WitnessDisagrees, match="another history"):
        push(records, remote)
    assert tip(remote) == before


def test_rewound_remote_is_an_alarm(records: Records, tmp_path: Path) -> None:
    """A remote that lost what it was given, by a forced push or a deletion, is said and not filled again in silence."""
    remote = tmp_path / "weak.git"
    git(tmp_path, "init", "--quiet", "--bare", str(remote))
    _, note = push(records, remote)
    assert f"git -C {remote} config receive.denyNonFastForwards true" in note
    first = tip(remote)
    grow(records)
    push(records, remote)
    git(remote, "update-ref", branch_of(DESK), first)
    grow(records)
    with pytest.raises(WitnessDisagrees, match="lost what it was given"):
        push(records, remote)
    git(remote, "update-ref", "-d", branch_of(DESK))
    with pytest.raises(WitnessDisagrees, match="lost what it was given"):
        push(records, remote)
    with pytest.raises(WitnessUnreachable, match="holds no ledger of the desk"):
        witnessed_by(str(remote), DESK)


@pytest.mark.parametrize("cut", [slice(0, 1), slice(0, 0), slice(1, 2)])
def test_ledger_cut_by_a_commit_on_top_is_an_alarm(records: Records, remote: Path, tmp_path: Path, cut: slice) -> None:
    """A guarded remote takes a commit that cuts the ledger in it: that is no rewinding, and is found all the same."""
    push(records, remote)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--branch", branch_of(DESK).removeprefix("refs/heads/"), str(remote), str(clone))
    lines = (clone / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    (clone / "ledger.jsonl").write_bytes(b"".join(lines[cut]))
    git(clone, "-c", "user.name=x", "-c", "user.email=x@y", "commit", "--quiet", "-am", "cut")
    git(clone, "push", "--quiet", "origin", f"HEAD:{branch_of(DESK)}")
    with pytest.raises(WitnessDisagrees, match="lost what it was given"):
        push(records, remote)


@pytest.mark.parametrize("way", ["cut", "orphan"])
def test_what_a_remote_once_had_is_a_witness(records: Records, remote: Path, tmp_path: Path, way: str) -> None:
    """A cut by a commit on top, or by a merge with a history of its own, hides no line: the head before it counts."""
    before = records.ledger.read_bytes()
    grow(records)
    push(records, remote)
    whole = records.head()
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--branch", branch_of(DESK).removeprefix("refs/heads/"), str(remote), str(clone))
    who = ("-c", "user.name=x", "-c", "user.email=x@y")
    if way == "orphan":
        head = git(clone, "rev-parse", "HEAD").strip()
        git(clone, "checkout", "--quiet", "--orphan", "other")
        (clone / "ledger.jsonl").write_bytes(before)
        git(clone, *who, "commit", "--quiet", "-am", "other")
        git(clone, *who, "merge", "--quiet", "--allow-unrelated-histories", "-s", "ours", head)
    else:
        (clone / "ledger.jsonl").write_bytes(before)
        git(clone, *who, "commit", "--quiet", "-am", "cut")
    git(clone, "push", "--quiet", "origin", f"HEAD:{branch_of(DESK)}")
    heads = witnessed_by(str(remote), DESK)
    assert whole in heads
    assert codes(records.verify(witnesses=heads)) == set()
    records.sign_ledger(before)
    assert "WITNESS_MISMATCH" in records.found(witnesses=heads)
    assert "WITNESS_MISMATCH" not in records.found(witnesses=heads[:1])


def test_guarded_remote_refuses_to_be_rewound(records: Records, remote: Path) -> None:
    """What the witness leans on: the remote itself refuses a forced push and a deletion."""
    push(records, remote)
    first = tip(remote)
    grow(records)
    push(records, remote)
    own = records.runs / ".witness"
    for refspec in (f"+{first}:{branch_of(DESK)}", f":{branch_of(DESK)}"):
        with pytest.raises(subprocess.CalledProcessError):
            git(own, "push", "--quiet", "--force", str(remote), refspec)


def test_lost_repository_of_ours_is_made_again(records: Records, remote: Path) -> None:
    """Without our own copy, the remote's history is gone on with."""
    push(records, remote)
    first = tip(remote)
    shutil.rmtree(records.runs / ".witness")
    grow(records)
    push(records, remote)
    assert git(remote, "rev-parse", f"{branch_of(DESK)}^") == first


def test_two_desks_share_a_remote(records: Records, remote: Path) -> None:
    """Each desk has a branch of its own."""
    push(records, remote)
    push_ledger(copy_of(records, records.lab.root.with_name("other")).runs, str(remote), "other", records.key)
    assert len(git(remote, "for-each-ref").splitlines()) == 2


def test_two_at_once_do_not_harm(records: Records, remote: Path) -> None:
    """Two that push one ledger at once: one may be told to try again, and the remote has the whole history."""
    results: list[object] = []

    def attempt(name: str) -> None:
        copy = copy_of(records, records.lab.root.with_name(name))
        try:
            results.append(push(copy, remote))
        except WitnessUnreachable as error:
            results.append(error)

    threads = [threading.Thread(target=attempt, args=(f"desk-{number}",)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert any(not isinstance(result, WitnessUnreachable) for result in results)
    assert len(results) == 3
    assert witnessed_by(str(remote), DESK) == [records.head()]


@contextmanager
def silent_server() -> Iterator[int]:
    """Listen, take connections, and never say a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_hanging_remote_is_given_up(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    """A remote that takes the connection and says nothing is given up, and no git is left behind."""
    monkeypatch.setattr(git_witness, "PATIENCE_S", 0.5)
    with silent_server() as port, pytest.raises(WitnessUnreachable, match="gave no answer"):
        push(records, f"git://127.0.0.1:{port}/nowhere.git")


@pytest.mark.parametrize("remote", ["/nowhere/at/all.git", "git://127.0.0.1:1/x.git", "ext::sh -c 'touch hacked'"])
def test_remote_that_is_not_there(records: Records, remote: str) -> None:
    """A path, a port and a scheme that lead nowhere are said with what to do."""
    with pytest.raises(WitnessUnreachable) as caught:
        push(records, remote)
    assert "invoke announce" in caught.value.todo
    with pytest.raises(WitnessUnreachable):
        witnessed_by(remote, DESK)


def test_unknown_host_key_and_password_are_not_asked_for(
    records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ssh is told to ask nobody and to trust no unknown host; a password in an address is never printed."""
    fake = tmp_path / "ssh"
    fake.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/said\necho "Host key verification failed." >&2\nexit 255\n')
    fake.chmod(stat.S_IRWXU)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(fake))
    with pytest.raises(WitnessUnreachable, match="Host key verification failed"):
        push(records, "ssh://git:s3cret-word@nowhere.invalid/x.git")
    said = (tmp_path / "said").read_text()
    assert "-oBatchMode=yes" in said
    assert "-oStrictHostKeyChecking=yes" in said
    with pytest.raises(WitnessUnreachable) as caught:
        push(records, "ssh://git:s3cret-word@nowhere.invalid/x.git")
    assert "s3cret-word" not in caught.value.what


def test_over_the_network(records: Records, remote: Path) -> None:
    """The same over git's own protocol on loopback: push, verify, and that its guard can't be seen is said."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = ["git", "daemon", "--export-all", "--enable=receive-pack", "--reuseaddr", "--listen=127.0.0.1"]
    daemon = subprocess.Popen(
        [*words, f"--port={port}", f"--base-path={remote.parent}", "--verbose", str(remote)],
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert daemon.stderr is not None
    with daemon:
        try:
            if "Ready to rumble" not in daemon.stderr.readline():
                pytest.skip("git daemon is not installed")
            address = f"git://127.0.0.1:{port}/{remote.name}"
            head, note = push(records, address)
            assert "can't be seen from here" in note
            assert witnessed_by(address, DESK) == [head] == [records.head()]
        finally:
            os.killpg(daemon.pid, 15)
