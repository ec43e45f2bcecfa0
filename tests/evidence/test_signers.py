"""Persons' keys are entered whole or not at all, and nothing but a person's public key is."""

from __future__ import annotations

import base64
import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from aurora.errors import OperatorError
from aurora.evidence.keys import read_signers
from aurora.evidence.signers import roles_of, until_of
from aurora.journal import read_journal
from tests.engine.kit import bound_steps
from tests.evidence.people import LiveRecords, make_key


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[LiveRecords]:
    """A desk where alice may sign."""
    with bound_steps():
        records = LiveRecords(tmp_path / "project")
        with closing(records.lab):
            yield records


@pytest.fixture
def bob(tmp_path: Path) -> Path:
    """The public key of bob, who is not entered yet."""
    return make_key(tmp_path / "bob").with_name("bob.pub")


def add(desk: LiveRecords, *words: object) -> subprocess.CompletedProcess[str]:
    """Type `keys add`."""
    return desk.lab.command("keys", "add", *map(str, words))


def test_person_is_entered_with_roles_and_end(desk: LiveRecords, bob: Path) -> None:
    """The line is one that stock ssh-keygen takes; the ledger knows of it, and `keys list` shows it."""
    done = add(desk, "bob@desk", bob, "--roles", "confirm", "--until", "2099-12-31")
    assert done.returncode == 0, done.stderr
    signer = list(read_signers(desk.signers))[-1]
    assert (signer.principals, roles_of(signer), until_of(signer)) == ("bob@desk", ["confirm"], "21000101Z")
    made = desk.signatory(bob.with_suffix("")).sign(b"x").sshsig
    (bob.parent / "x.sig").write_text(made)
    words = ["ssh-keygen", "-Y", "find-principals", "-f", str(desk.signers), "-s", str(bob.parent / "x.sig")]
    assert subprocess.run(words, capture_output=True, text=True, input="x").stdout == "bob@desk\n"
    told = json.loads(desk.lab.command("keys", "list", "--json").stdout)["signers"]
    assert [(each["principals"], each["roles"]) for each in told] == [
        ("engine@desk", ["run", "ledger"]), ("alice@desk", ["confirm", "review"]), ("bob@desk", ["confirm"]),
    ]  # fmt: skip
    act = read_journal(desk.ledger).events[-1].data
    assert (act["act"], act["principal"], act["key"]) == ("key.added", "bob@desk", signer.fingerprint)


def test_security_key_is_entered_like_any_other(desk: LiveRecords, tmp_path: Path) -> None:
    """The public half of a FIDO key (made up here: there is no token) is taken, and listed under its name."""
    parts = (b"sk-ssh-ed25519@openssh.com", bytes(range(32)), b"ssh:")
    blob = b"".join(len(part).to_bytes(4) + part for part in parts)
    (tmp_path / "token.pub").write_text(f"sk-ssh-ed25519@openssh.com {base64.b64encode(blob).decode()} token\n")
    done = add(desk, "carl@desk", tmp_path / "token.pub")
    assert done.returncode == 0, done.stderr
    assert [each.principals for each in read_signers(desk.signers)] == ["engine@desk", "alice@desk", "carl@desk"]


def test_person_may_have_a_second_key(desk: LiveRecords, bob: Path) -> None:
    """A key that ends is followed by another of the same person."""
    assert add(desk, "alice@desk", bob).returncode == 0
    assert desk.signatory(bob.with_suffix("")).sign(b"x").principal == "alice@desk"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no public key"),
        (b"ssh-ed25519\n", "no public key"),
        (b"ssh-ed25519 AAAA\n", "no public key"),
        (b"ssh-ed25519 ####\n", "no public key"),
        (b"hello world\n", "no public key"),
        (b"\xff\xfe\x00", "no public key"),
        (b"x" * 40_000, "no public key"),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----\n", "private key"),
    ],
)
def test_what_is_no_public_key_is_not_entered(desk: LiveRecords, tmp_path: Path, content: bytes, said: str) -> None:
    """Exit 2 with what it is, and allowed_signers as it was."""
    before = desk.signers.read_bytes()
    (tmp_path / "x.pub").write_bytes(content)
    done = add(desk, "bob@desk", tmp_path / "x.pub")
    assert (done.returncode, said in done.stderr, desk.signers.read_bytes()) == (2, True, before)


def test_other_lines_do_not_slip_in_with_a_key(desk: LiveRecords, bob: Path) -> None:
    """Two keys in a file, or options before one, are refused; a comment is not taken along."""
    before = desk.signers.read_bytes()
    key = bob.read_text()
    for content in (key * 2, f'* namespaces="run@aurora" {key}', f"cert-authority {key}"):
        bob.write_text(content)
        assert add(desk, "bob@desk", bob).returncode == 2
        assert desk.signers.read_bytes() == before
    bob.write_text(key.rstrip() + ' engine@desk namespaces="run@aurora"\n')
    assert add(desk, "bob@desk", bob).returncode == 0
    assert desk.signers.read_text().splitlines()[-1].endswith(key.split()[1])


@pytest.mark.parametrize(
    "name", ["engine@desk", "*", "*@desk", "bob,alice", "bob desk", "!bob", "#bob", "../bob", "ssh-rsa", "", "bob\n"]
)
def test_what_is_no_persons_name_is_not_entered(desk: LiveRecords, bob: Path, name: str) -> None:
    """A pattern, a list, a path, the engine: none of them is a person."""
    before = desk.signers.read_bytes()
    assert add(desk, name, bob).returncode == 2
    assert desk.signers.read_bytes() == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--roles", "run"], "no role of a person"),
        (["--roles", "confrim"], "did you mean 'confirm'"),
        (["--roles", ""], "no role of a person"),
        (["--until", "2020-01-01"], "has passed"),
        (["--until", "soon"], "no day"),
    ],
)
def test_roles_and_days_that_are_none(desk: LiveRecords, bob: Path, words: list[str], said: str) -> None:
    """No person gets the engine's roles; a day is one to come."""
    done = add(desk, "bob@desk", bob, *words)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


def test_keys_that_are_not_a_new_persons(desk: LiveRecords, bob: Path) -> None:
    """The engine's own, one that is entered already, and one that is revoked."""
    assert "engine's own key" in add(desk, "bob@desk", desk.key.with_name("engine.pub")).stderr
    assert "there already, as alice@desk" in add(desk, "bob@desk", f"{desk.alice}.pub").stderr
    words = ["ssh-keygen", "-q", "-k", "-f", str(desk.runs / "revoked_keys"), str(bob)]
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL)
    assert "is revoked" in add(desk, "bob@desk", bob).stderr


def test_engines_key_comes_first(desk: LiveRecords, bob: Path) -> None:
    """Without allowed_signers nobody is entered, so that no person's list stands where the engine's was lost."""
    desk.signers.unlink()
    done = add(desk, "bob@desk", bob)
    assert (done.returncode, "keys init" in done.stderr, desk.signers.exists()) == (2, True, False)


def test_words_that_do_not_belong_there(desk: LiveRecords) -> None:
    """`keys list bob` and `keys add` without a file are mistakes, not something else."""
    assert desk.lab.command("keys", "list", "bob").returncode == 2
    assert desk.lab.command("keys", "init", "--until", "2099-01-01").returncode == 2
    assert desk.lab.command("keys", "add", "bob@desk").returncode == 2


def test_two_at_once_are_both_entered(desk: LiveRecords, tmp_path: Path) -> None:
    """Neither line is lost, and one key entered twice at once is entered once."""
    keys = [make_key(tmp_path / f"p{number}") for number in range(4)]
    refused: list[OperatorError] = []

    def enter(number: int, key: Path) -> None:
        try:
            desk.enter(f"p{number}@desk", key)
        except OperatorError as error:
            refused.append(error)

    threads = [threading.Thread(target=enter, args=each) for each in enumerate([*keys, keys[0]])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(list(read_signers(desk.signers))), len(refused)) == (6, 1)


def test_list_without_a_last_newline_is_gone_on_with(desk: LiveRecords, bob: Path) -> None:
    """A file edited by hand, without its last newline, does not get two keys on one line."""
    desk.signers.write_text(desk.signers.read_text().rstrip("\n"))
    assert add(desk, "bob@desk", bob).returncode == 0
    assert [each.principals for each in read_signers(desk.signers)] == ["engine@desk", "alice@desk", "bob@desk"]
