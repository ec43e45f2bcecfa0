"""DSSE envelopes: made with the engine's key, checked by OpenSSL alone and by verify."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aurora.errors import OperatorError, RecordError
from aurora.evidence import dsse
from aurora.evidence.dsse import EnvelopeRefused, export
from aurora.evidence.keys import public_half
from aurora.evidence.statement import DSSE
from tests.engine.kit import bound_steps
from tests.evidence.sealed import Records

pytest.importorskip("cryptography", reason="the extra dsse is not installed")


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    """A project with two sealed runs."""
    with bound_steps():
        made = Records(tmp_path / "project")
        made.run()
        made.run()
        yield made


@pytest.fixture
def run(records: Records) -> Path:
    """The folder of the last run, whose evidence has an envelope."""
    folder = sorted(records.runs.glob("2*"))[-1]
    export(folder, records.key)
    return folder


def test_envelope_holds_the_sealed_bytes(records: Records, run: Path) -> None:
    """The payload is evidence.json byte for byte; the run verifies as before."""
    envelope = json.loads((run / DSSE).read_bytes())
    assert base64.b64decode(envelope["payload"]) == (run / "evidence.json").read_bytes()
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    assert records.found() == records.found(run.name) == set()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_alone_verifies_it(records: Records, run: Path, tmp_path: Path) -> None:
    """An independent verifier: the pre-authentication encoding by hand, the key as PEM, and openssl."""
    envelope = json.loads((run / DSSE).read_bytes())
    payload = base64.b64decode(envelope["payload"])
    raw = base64.b64decode(public_half(records.key).split()[1])[-32:]  # RFC 8709: the last string is the key
    der = bytes.fromhex("302a300506032b6570032100") + raw  # RFC 8410
    pem = tmp_path / "key.pem"
    pem.write_text(f"-----BEGIN PUBLIC KEY-----\n{base64.b64encode(der).decode()}\n-----END PUBLIC KEY-----\n")
    signature, data = tmp_path / "sig", tmp_path / "data"
    signature.write_bytes(base64.b64decode(envelope["signatures"][0]["sig"]))
    kind = envelope["payloadType"]
    for text, code in ((payload, 0), (payload.replace(b"PASSED", b"FAILED"), 1)):
        data.write_bytes(f"DSSEv1 {len(kind)} {kind} {len(text)} ".encode() + text)
        words = ["-verify", "-pubin", "-inkey", pem, "-rawin", "-in", data, "-sigfile", signature]
        command = ["openssl", "pkeyutl", *map(str, words)]
        assert subprocess.run(command, capture_output=True, check=False).returncode == code


@pytest.mark.parametrize("change", ["payload", "type", "signature", "another run's", "garbage", "another key's"])
def test_envelope_that_does_not_hold_is_found(records: Records, run: Path, tmp_path: Path, change: str) -> None:
    """A changed envelope is a finding of its own; what was sealed stays verified beside it."""
    path = run / DSSE
    envelope = json.loads(path.read_bytes())
    if change == "payload":
        envelope["payload"] = base64.b64encode(base64.b64decode(envelope["payload"]) + b" ").decode()
    elif change == "type":
        envelope["payloadType"] = "application/json"
    elif change == "signature":
        envelope["signatures"][0]["sig"] = base64.b64encode(bytes(64)).decode()
    elif change == "another run's":
        other = sorted(records.runs.glob("2*"))[0]
        export(other, records.key)
        envelope = json.loads((other / DSSE).read_bytes())
    elif change == "another key's":
        thief = tmp_path / "thief"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", thief], check=True)
        export(run, thief)
        envelope = json.loads(path.read_bytes())
    path.write_text("?" if change == "garbage" else json.dumps(envelope))
    assert records.found() == {"DSSE"}


def test_run_without_a_seal_is_not_exported(records: Records, run: Path) -> None:
    """There is nothing to wrap before there is evidence."""
    (run / "evidence.json").unlink()
    with pytest.raises(RecordError, match="has no evidence"):
        export(run, records.key)


@pytest.mark.parametrize("kind", ["agent", "passphrase", "rsa", "missing"])
def test_key_that_can_not_sign_an_envelope_is_named(run: Path, tmp_path: Path, kind: str) -> None:
    """A key in an agent, behind a passphrase, of another kind, or none: refused in words, and nothing written."""
    (run / DSSE).unlink()
    key = tmp_path / "key"
    if kind == "agent":
        key = tmp_path / "key.pub"
        key.write_text("ssh-ed25519 AAAA\n")
    elif kind != "missing":
        secret, type_ = ("a passphrase", "ed25519") if kind == "passphrase" else ("", "rsa")
        subprocess.run(["ssh-keygen", "-q", "-t", type_, "-N", secret, "-f", str(key)], check=True)
    with pytest.raises(OperatorError) as caught:
        export(run, key)
    assert caught.value.todo
    assert not (run / DSSE).exists()


def test_without_the_package_it_is_said(records: Records, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is an extra: without it export says what to install, and verify that it did not look."""
    for name in [name for name in sys.modules if name.split(".")[0] == "cryptography"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(OperatorError, match="the package cryptography, which is not installed"):
        export(run, records.key)
    assert records.found() == {"DSSE_UNCHECKED"}
    assert records.verify().is_good


def test_key_that_may_sign_runs_is_the_one_that_counts(records: Records, run: Path) -> None:
    """An envelope by a key that nobody allowed is refused, whatever its keyid says."""
    raw, evidence = (run / DSSE).read_bytes(), (run / "evidence.json").read_bytes()
    dsse.check(raw, evidence, [public_half(records.key)])
    for others in ([], ["ssh-ed25519 ????"], ["ssh-rsa AAAA"]):
        with pytest.raises(EnvelopeRefused, match="no key"):
            dsse.check(raw, evidence, others)
