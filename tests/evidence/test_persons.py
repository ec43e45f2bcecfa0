"""Whose signature counts: keys on disk and in an agent, and everything that is wrong with one."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aurora.errors import SigningFailed
from aurora.evidence import signing
from aurora.evidence.persons import VARIABLE, PersonSignatory, persons_of
from tests.evidence.people import LiveRecords, make_key, ssh_agent

TEXT = b"aurora-confirm/1\n"


@pytest.fixture
def desk(tmp_path: Path) -> LiveRecords:
    """A desk where alice may sign."""
    return LiveRecords(tmp_path / "project")


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An ssh-agent of the test's own."""
    with ssh_agent() as socket:
        monkeypatch.setenv("SSH_AUTH_SOCK", socket)
        yield


def refusal(signatory: PersonSignatory) -> SigningFailed:
    """Return why nothing is signed."""
    with pytest.raises(SigningFailed) as caught:
        signatory.sign(TEXT)
    assert caught.value.exit_code == 2
    assert caught.value.todo
    return caught.value


def test_person_signs_under_her_name(desk: LiveRecords) -> None:
    """The name is the one under which allowed_signers lists the key, and stock ssh-keygen agrees."""
    signed = desk.signatory().sign(TEXT)
    assert signed.principal == "alice@desk"
    shown = subprocess.run(["ssh-keygen", "-l", "-f", desk.alice], capture_output=True, text=True, check=True)
    assert signed.key == shown.stdout.split()[1]
    assert desk.signatory().check(TEXT, signed.sshsig) == signed
    assert persons_of(desk.runs) == ["alice@desk"]


def test_nobody_is_named(desk: LiveRecords, tmp_path: Path) -> None:
    """Without the variable, or with one that names no file, the sentence says what to type."""
    unnamed = PersonSignatory(desk.lab.root, desk.runs, {})
    assert not unnamed.is_configured
    assert VARIABLE in refusal(unnamed).todo
    assert "no key at" in refusal(desk.signatory(tmp_path / "gone")).what


def test_unknown_key(desk: LiveRecords, tmp_path: Path) -> None:
    """A key that nobody entered signs in nobody's name."""
    assert "under no person's name" in refusal(desk.signatory(make_key(tmp_path / "mallory"))).what


def test_changed_text_and_foreign_signature(desk: LiveRecords) -> None:
    """A signature of other words is none, and neither is what is no signature."""
    signed = desk.signatory().sign(TEXT)
    for text, sshsig in ((TEXT + b"x", signed.sshsig), (TEXT, "no signature é"), (TEXT, "")):
        with pytest.raises(SigningFailed, match="SIGNATURE"):
            desk.signatory().check(text, sshsig)


def test_key_with_a_passphrase_and_no_agent(desk: LiveRecords, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can be asked for the passphrase: it fails at once and names the agent and the person's variable."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    key = make_key(tmp_path / "locked", "secret words")
    desk.enter("bob@desk", key)
    assert f"ssh-add {key}" in refusal(desk.signatory(key)).todo
    assert f"{VARIABLE}={key}.pub" in refusal(desk.signatory(key)).todo


def test_key_in_an_agent(desk: LiveRecords, tmp_path: Path, agent: None) -> None:
    """The .pub of a key that is in an agent signs; once it is taken out of the agent, it does not."""
    public = tmp_path / "agents.pub"
    shutil.move(f"{desk.alice}.pub", public)
    subprocess.run(["ssh-add", "-q", desk.alice], check=True, stdin=subprocess.DEVNULL)
    desk.alice.unlink()
    assert desk.signatory(public).sign(TEXT).principal == "alice@desk"
    subprocess.run(["ssh-add", "-q", "-D"], check=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert "did not sign" in refusal(desk.signatory(public)).what


def test_key_that_others_can_read(desk: LiveRecords) -> None:
    """A 0644 key is refused with the command that mends it."""
    desk.alice.chmod(0o644)
    assert refusal(desk.signatory()).todo == f"chmod 600 {desk.alice}"


def test_expired_key(desk: LiveRecords) -> None:
    """A key whose last day has passed signs no more."""
    text = desk.signers.read_text().replace("review@aurora", 'review@aurora",valid-before="20200101Z')
    desk.signers.write_text(text)
    assert "KEY_EXPIRED" in refusal(desk.signatory()).what


def test_last_day_of_a_key_is_a_whole_day(desk: LiveRecords, tmp_path: Path) -> None:
    """`until` today means until the end of today: the key signs now."""
    key = make_key(tmp_path / "bob")
    desk.enter("bob@desk", key, until=datetime.now(UTC).date())
    assert desk.signatory(key).sign(TEXT).principal == "bob@desk"
    assert f"{datetime.now(UTC).date() + timedelta(days=1):%Y%m%d}Z" in desk.signers.read_text()


def test_revoked_key(desk: LiveRecords) -> None:
    """A key on the list of revoked keys signs no more, whatever allowed_signers says."""
    words = ["ssh-keygen", "-q", "-k", "-f", str(desk.runs / "revoked_keys"), f"{desk.alice}.pub"]
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL)
    assert "KEY_REVOKED" in refusal(desk.signatory()).what


def test_key_for_another_purpose(desk: LiveRecords, tmp_path: Path) -> None:
    """A key that may only review confirms nothing."""
    key = make_key(tmp_path / "bob")
    desk.enter("bob@desk", key, ("review",))
    assert "KEY_ROLE" in refusal(desk.signatory(key)).what
    assert desk.signatory(key).sign(TEXT, namespace=signing.REVIEW).principal == "bob@desk"


def test_signature_made_for_another_purpose(desk: LiveRecords) -> None:
    """What alice signed for git is no confirmation."""
    made = signing.sign(TEXT, desk.alice, "git").decode()
    with pytest.raises(SigningFailed, match="KEY_ROLE"):
        desk.signatory().check(TEXT, made)


@pytest.mark.parametrize("listed", [False, True])
def test_engines_key_is_no_persons(desk: LiveRecords, listed: bool) -> None:
    """The engine's key signs for nobody, not even when allowed_signers is made to list it under a person's name."""
    if listed:
        public = desk.key.with_name("engine.pub").read_text()
        with desk.signers.open("a") as file:
            file.write(f'bob@desk namespaces="confirm@aurora" {public}')
    assert "KEY_ROLE" in refusal(desk.signatory(desk.key)).what


@pytest.mark.parametrize("name", ["*", "*@desk", "alice@*,!bob@desk", "../alice"])
def test_pattern_names_nobody(desk: LiveRecords, tmp_path: Path, name: str) -> None:
    """A line of allowed_signers for many, or for what is no name, says of nobody that she signed."""
    public = make_key(tmp_path / "bob").with_name("bob.pub").read_text()
    with desk.signers.open("a") as file:
        file.write(f'{name} namespaces="confirm@aurora" {public}')
    assert "under no person's name" in refusal(desk.signatory(tmp_path / "bob")).what


def test_no_list_of_signers(desk: LiveRecords) -> None:
    """Without allowed_signers nobody's signature counts."""
    desk.signers.unlink()
    assert "allowed_signers can't be read" in refusal(desk.signatory()).what


def test_no_ssh_keygen(desk: LiveRecords, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without OpenSSH says so."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "not installed" in refusal(desk.signatory()).what


def test_key_taken_out_counts_no_more_at_once(desk: LiveRecords) -> None:
    """Nothing is remembered of who may sign: the list is read for each signature."""
    signatory = desk.signatory()
    signatory.sign(TEXT)
    desk.drop("alice@desk")
    assert "under no person's name" in refusal(signatory).what


@pytest.mark.parametrize(
    ("options", "is_one"),
    [
        ("", True),
        ('namespaces="*"', True),
        ('namespaces="confirm@*"', True),
        ('NAMESPACES="review@aurora,confirm@aurora"', True),
        ('namespaces="file, confirm@aurora"', True),
        ('namespaces="review@aurora"', False),
        ('namespaces="!confirm@aurora,*"', False),
    ],
)
def test_person_is_whom_ssh_keygen_lets_confirm(desk: LiveRecords, tmp_path: Path, options: str, is_one: bool) -> None:
    """A line of `allowed_signers` written by hand names a person when ssh-keygen takes her confirmations."""
    bob = make_key(tmp_path / "bob")
    words = (tmp_path / "bob.pub").read_text().split()[:2]
    desk.signers.write_text(" ".join(["bob@desk", *([options] if options else []), *words]) + "\n")
    assert persons_of(desk.runs) == (["bob@desk"] if is_one else [])
    taken = True
    try:
        assert desk.signatory(bob).sign(b"x").principal == "bob@desk"
    except SigningFailed:
        taken = False
    assert taken == is_one or "," in options  # whether it takes a list with blanks or negations is ssh-keygen's


def test_list_that_can_not_be_read_is_no_list_without_persons(desk: LiveRecords) -> None:
    """Nobody does without a signature because nobody can say who signs."""
    desk.signers.unlink()
    assert persons_of(desk.runs) == []
    desk.signers.mkdir()
    with pytest.raises(SigningFailed, match="can't be read"):
        persons_of(desk.runs)
