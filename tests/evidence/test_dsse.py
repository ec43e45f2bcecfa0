"""The DSSE envelope: the very bytes of evidence.json, checked by openssl over an encoding built by hand."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from aurora.errors import SigningFailed
from aurora.evidence import dsse
from aurora.evidence.keys import public_half
from tests.engine.kit import bound_steps
from tests.evidence.sealed import Records

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    """A desk with one sealed run."""
    with bound_steps():
        records = Records(tmp_path / "project")
        records.run()
        yield records


def exported(records: Records) -> Path:
    """Write the envelope of the run; without the optional package this test can't be run."""
    pytest.importorskip("cryptography", reason="the extra dsse is not installed")
    (folder,) = records.runs.glob("2*")
    (folder / dsse.FILE).write_bytes(dsse.envelope((folder / "evidence.json").read_bytes(), records.key))
    return folder


def test_encoding_is_that_of_the_protocol() -> None:
    """The example of DSSE's protocol.md."""
    assert dsse.pae(b"hello world", "http://example.com/HelloWorld") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


@needs_openssl
def test_openssl_verifies_it_without_our_code(records: Records, tmp_path: Path) -> None:
    """Key from allowed_signers, encoding by printf, openssl: it verifies, and not for another type of payload."""
    folder = exported(records)
    made = json.loads((folder / dsse.FILE).read_bytes())
    evidence = base64.b64decode(made["payload"])
    assert evidence == (folder / "evidence.json").read_bytes()
    blob = base64.b64decode((records.runs / "allowed_signers").read_text().split()[-1])
    (tmp_path / "key.der").write_bytes(bytes.fromhex("302a300506032b6570032100") + blob[-32:])
    (tmp_path / "sig").write_bytes(base64.b64decode(made["signatures"][0]["sig"]))
    for kind, code in (("application/vnd.in-toto+json", 0), ("application/json", 1)):
        (tmp_path / "pae").write_bytes(b"DSSEv1 %d %s %d " % (len(kind), kind.encode(), len(evidence)) + evidence)
        words = "-verify -rawin -pubin -keyform DER -inkey key.der -sigfile sig -in pae".split()
        assert subprocess.run(["openssl", "pkeyutl", *words], cwd=tmp_path, capture_output=True).returncode == code


@needs_openssl
def test_verify_checks_an_envelope_that_is_there(records: Records) -> None:
    """A good one is no finding and no unknown file; another statement, a changed signature or none at all is found."""
    folder = exported(records)
    path = folder / dsse.FILE
    assert records.found() == records.found(folder.name) == set()
    made = json.loads(path.read_bytes())
    changes: tuple[dict[str, object], ...] = (
        {"payload": base64.b64encode(b"{}").decode()},
        {"signatures": []},
        {"signatures": [{"sig": base64.b64encode(b"x" * 64).decode()}]},
        {"signatures": 7},
        {"payloadType": "text/plain"},
    )
    for change in changes:
        path.write_text(json.dumps({**made, **change}))
        assert records.found() == {"SIGNATURE"}, change
    path.write_text("no JSON")
    assert records.found() == {"SIGNATURE"}


def test_envelope_that_can_not_be_checked_is_not_verified(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without openssl an envelope is said to be unchecked, and the run is not called whole."""
    (folder,) = records.runs.glob("2*")
    evidence = (folder / "evidence.json").read_bytes()
    made = {
        "payload": base64.b64encode(evidence).decode(),
        "payloadType": dsse.PAYLOAD_TYPE,
        "signatures": [{"sig": "AA=="}],
    }
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SigningFailed, match="openssl can't be used"):
        dsse.problem_of(json.dumps(made).encode(), evidence, public_half(records.key))


def test_key_that_is_not_on_disk_says_what_it_takes(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    """The public half of a key in an agent, and a missing package, each say what to do."""
    with pytest.raises(SigningFailed) as caught:
        dsse.envelope(b"{}", records.key.with_suffix(".pub"))
    assert "aurora-runbooks[dsse]" in caught.value.todo or "on disk" in caught.value.todo
    monkeypatch.setitem(__import__("sys").modules, "cryptography.hazmat.primitives.serialization", None)
    with pytest.raises(SigningFailed, match="cryptography is not installed"):
        dsse.envelope(b"{}", records.key)


@needs_openssl
def test_any_change_of_an_envelope_is_found(records: Records) -> None:
    """Each byte counts, those that no signature covers too: the name of the key, a space, one more signature."""
    folder = exported(records)
    path = folder / dsse.FILE
    raw = path.read_bytes()
    assert records.found() == set()
    made = json.loads(raw)
    twice = json.dumps({**made, "signatures": made["signatures"] * 2}, separators=(",", ":")).encode() + b"\n"
    for changed in (raw.replace(b"SHA256:", b"SHA255:"), raw[:-1], raw + b" ", twice, b"[" * 100_000, b"\xff"):
        path.write_bytes(changed)
        assert records.found() == {"SIGNATURE"}, changed[-200:]
