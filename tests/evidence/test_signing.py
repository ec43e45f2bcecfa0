"""Signing with the stock ssh-keygen: keys on disk, with a passphrase, in an agent, and all that can be wrong there."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from aurora.errors import SigningFailed
from aurora.evidence import keys, signing
from aurora.evidence.signing import SignatureRefused, Trust

DATA = b"the bytes that are signed\n"


def make_key(path: Path, passphrase: str = "") -> Path:
    """Make a key."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", path], check=True, stdin=subprocess.DEVNULL
    )
    return path


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """A project with a key; its records' folder is `runs`."""
    root = tmp_path / "desk"
    root.mkdir()
    keys.ensure_key(root, root / "runs")
    return root


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An ssh-agent of the test's own."""
    socket = f"/tmp/aurora-agent-{os.getpid()}"  # a socket's path is short
    process = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()  # it says where it listens once it does
    monkeypatch.setenv("SSH_AUTH_SOCK", socket)
    yield
    process.terminate()
    process.wait()
    process.stdout.close()
    Path(socket).unlink(missing_ok=True)


def refused(signature: bytes, root: Path, namespace: str = signing.RUN, data: bytes = DATA) -> str:
    """Return with what code a signature is refused."""
    with pytest.raises(SignatureRefused) as caught:
        signing.check(data, signature, Trust.of(root / "runs"), namespace)
    return caught.value.code


def test_what_is_signed_verifies_and_nothing_else(desk: Path) -> None:
    """A signature holds for its bytes, its purpose and its key, and for nothing else."""
    made = signing.sign(DATA, desk / ".keys/engine", signing.RUN)
    signing.check(DATA, made, Trust.of(desk / "runs"), signing.RUN)
    assert refused(made, desk, data=DATA + b" ") == "SIGNATURE"
    assert refused(made, desk, namespace=signing.LEDGER) == "KEY_ROLE"
    assert refused(b"", desk) == "SIGNATURE"
    assert refused(made[:-40], desk) == "SIGNATURE"


def test_signature_names_its_key_and_purpose(desk: Path) -> None:
    """What a signature says of itself is read as ssh-keygen writes it."""
    facts = signing.facts_of(signing.sign(DATA, desk / ".keys/engine", signing.RUN))
    assert facts.namespace == signing.RUN
    assert facts.public_key == keys.public_half(desk / ".keys/engine")
    assert facts.fingerprint == keys.fingerprint(desk / ".keys/engine")
    shown = subprocess.run(
        ["ssh-keygen", "-l", "-f", desk / ".keys/engine"], capture_output=True, text=True, check=True
    )
    assert shown.stdout.split()[1] == facts.fingerprint


def test_principals_of_a_signature(desk: Path, tmp_path: Path) -> None:
    """A key that is listed is known by its name, one that is not by none."""
    trust = Trust.of(desk / "runs")
    assert signing.principals_of(DATA, signing.sign(DATA, desk / ".keys/engine", signing.RUN), trust) == (
        "engine@desk",
    )
    assert signing.principals_of(DATA, signing.sign(DATA, make_key(tmp_path / "x"), signing.RUN), trust) == ()


def test_key_with_a_passphrase_and_no_agent_fails_at_once(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is asked for a passphrase: it fails, and says what to do, at a terminal, too."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    key = make_key(desk / "locked", "secret words")
    with pytest.raises(SigningFailed) as caught:
        signing.sign(DATA, key, signing.RUN)
    assert "ssh-add" in caught.value.todo
    assert caught.value.exit_code == 2


def test_key_in_an_agent_signs_the_same(desk: Path, agent: None) -> None:
    """The public half of a key that is in an agent signs byte for byte what the key on disk does."""
    key = desk / ".keys/engine"
    on_disk = signing.sign(DATA, key, signing.RUN)
    subprocess.run(["ssh-add", "-q", key], check=True, stdin=subprocess.DEVNULL)
    shutil.copy(f"{key}.pub", desk / "agents.pub")
    assert signing.sign(DATA, desk / "agents.pub", signing.RUN) == on_disk


def test_key_that_others_can_read_does_not_sign(desk: Path) -> None:
    """A key file of mode 0644 is refused, with the command that mends it."""
    key = desk / ".keys/engine"
    key.chmod(0o644)
    with pytest.raises(SigningFailed) as caught:
        signing.sign(DATA, key, signing.RUN)
    assert caught.value.todo == f"chmod 600 {key}"


def test_no_key_and_no_ssh_keygen_say_so(desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that is not there and a machine without OpenSSH are two errors in words, both exit 2."""
    with pytest.raises(SigningFailed, match="no signing key"):
        signing.sign(DATA, tmp_path / "none", signing.RUN)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SigningFailed, match="not installed"):
        signing.sign(DATA, desk / ".keys/engine", signing.RUN)


def test_ssh_keygen_that_hangs_is_given_up(desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Signing has a timeout: an agent that never answers does not hold the engine."""
    (tmp_path / "ssh-keygen").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "ssh-keygen").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(signing, "PATIENCE_S", 0.2)
    with pytest.raises(SigningFailed, match="no answer within"):
        signing.sign(DATA, desk / ".keys/engine", signing.RUN)


def test_key_may_end_and_what_it_signed_before_holds(desk: Path) -> None:
    """A signature is verified at its own time: before the key's end it holds, after it does not."""
    path = desk / "runs" / "allowed_signers"
    path.write_text(path.read_text().replace('ledger@aurora"', 'ledger@aurora",valid-before="20260601Z"'))
    made = signing.sign(DATA, desk / ".keys/engine", signing.RUN)
    trust = Trust.of(desk / "runs")
    signing.check(DATA, made, trust, signing.RUN, at=datetime(2026, 5, 1, tzinfo=UTC))
    with pytest.raises(SignatureRefused) as caught:
        signing.check(DATA, made, trust, signing.RUN, at=datetime(2026, 7, 1, tzinfo=UTC))
    assert caught.value.code == "KEY_EXPIRED"


def test_first_key_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    """Two first rehearsals at once make one key, 0600, kept out of git, and listed for the engine's two purposes."""
    said: list[str] = []
    threads = [
        threading.Thread(target=lambda: said.append(keys.ensure_key(tmp_path, tmp_path / "runs"))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [bool(each) for each in sorted(said)] == [False, False, False, True]
    key = tmp_path / ".keys/engine"
    assert str(key) in max(said)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700
    assert (key.parent / ".gitignore").read_text() == "*\n"
    (signer,) = keys.read_signers(tmp_path / "runs" / "allowed_signers")
    assert (signer.principals, signer.fingerprint) == ("engine@desk", keys.fingerprint(key))
    assert signer.options == 'namespaces="run@aurora,ledger@aurora"'


def test_lost_key_is_not_replaced_in_silence(desk: Path) -> None:
    """Where allowed_signers names a key that is gone, no new one is made."""
    (desk / ".keys/engine").unlink()
    with pytest.raises(SigningFailed, match="names one"):
        keys.ensure_key(desk, desk / "runs")


def test_key_of_ones_own_is_named_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """AURORA_KEY names a key that is there already; nothing is made beside it."""
    monkeypatch.setenv("AURORA_KEY", str(make_key(tmp_path / "mine")))
    assert keys.ensure_key(tmp_path, tmp_path / "runs") == ""
    assert not (tmp_path / ".keys").exists()
    (signer,) = keys.read_signers(tmp_path / "runs" / "allowed_signers")
    assert signer.fingerprint == keys.fingerprint(tmp_path / "mine")
