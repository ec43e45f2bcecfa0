"""The evidence of a run in a second envelope, for supply-chain tools: DSSE over the same bytes, by the same key.

It adds no trust: who verifies a run needs evidence.json.sig alone. Signature and envelope are those of
https://github.com/secure-systems-lab/dsse (protocol.md, envelope.md); the payload is evidence.json, byte for byte.
"""

from __future__ import annotations

import base64
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from aurora.errors import SigningFailed
from aurora.evidence.keys import fingerprint
from aurora.evidence.signing import fingerprint_of

FILE = "evidence.dsse.json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
_SPKI = bytes.fromhex("302a300506032b6570032100")
"""What stands before an Ed25519 key in DER (RFC 8410)."""
_ED25519 = b"\0\0\0\x0bssh-ed25519\0\0\0 "


def pae(payload: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """Return the bytes that a DSSE signature is of: the pre-authentication encoding."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def envelope(evidence: bytes, key: Path) -> bytes:
    """Return the envelope of `evidence`, signed by the private key at `key`. Raises SigningFailed."""
    return _form(evidence, _sign(pae(evidence), key), fingerprint(key))


def _form(evidence: bytes, signature: bytes, keyid: str) -> bytes:
    """Return an envelope in the one form that is written here, and that holds nothing which no signature covers."""
    made = {
        "payload": base64.b64encode(evidence).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"keyid": keyid, "sig": base64.b64encode(signature).decode()}],
    }
    return json.dumps(made, separators=(",", ":")).encode() + b"\n"


def payload_of(raw: bytes) -> tuple[bytes, list[bytes]]:
    """Return the payload of an envelope and its signatures. Raises ValueError when it is none of a statement."""
    try:
        made = json.loads(raw)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    if not isinstance(made, dict) or made.get("payloadType") != PAYLOAD_TYPE:
        raise ValueError("it is no envelope of an in-toto statement")
    try:
        signatures = [base64.b64decode(each["sig"], validate=True) for each in made["signatures"]]
        return base64.b64decode(made["payload"], validate=True), signatures
    except (KeyError, TypeError) as error:
        raise ValueError(f"it has no {error}") from error


def problem_of(raw: bytes, evidence: bytes, public_key: str) -> str | None:
    """Return what is wrong with an envelope; None when it is one of `evidence` by `public_key` (`type base64`).

    Raises SigningFailed when that can't be found out.
    """
    try:
        payload, signatures = payload_of(raw)
    except ValueError as error:
        return f"{FILE} can't be read: {error}"
    if payload != evidence:
        return f"{FILE} holds another statement than evidence.json"
    blob = base64.b64decode(public_key.split()[1])
    if not blob.startswith(_ED25519):
        return f"{FILE} can be by an Ed25519 key only, and the run was sealed by {public_key.split()[0]}"
    if not any(_holds(blob[-32:], signature, evidence) for signature in signatures):
        return f"the signature in {FILE} does not hold"
    if raw != _form(evidence, signatures[0], fingerprint_of(blob)):
        return f"{FILE} says more than what was signed, or says it in another form"
    return None


def _holds(public: bytes, signature: bytes, evidence: bytes) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        names = {name: f"{folder}/{name}" for name in ("key", "sig", "data")}
        for name, data in (("key", _SPKI + public), ("sig", signature), ("data", pae(evidence))):
            Path(names[name]).write_bytes(data)
        words = ["-verify", "-rawin", "-pubin", "-keyform", "DER", "-inkey", names["key"], "-sigfile", names["sig"]]
        try:
            done = subprocess.run(
                ["openssl", "pkeyutl", *words, "-in", names["data"]], capture_output=True, timeout=20, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SigningFailed(
                f"openssl can't be used to check {FILE}: {error}.",
                means="the envelope was not verified",
                todo="install openssl, or take the file away: the seal does not need it",
            ) from error
    return done.returncode == 0


def _sign(data: bytes, key: Path) -> bytes:
    try:
        from cryptography.hazmat.primitives.serialization import load_ssh_private_key  # noqa: PLC0415 - an extra, heavy
    except ImportError as error:
        raise SigningFailed(
            "The package cryptography is not installed.",
            means="no DSSE envelope was written; the run is sealed without one",
            todo="pip install 'aurora-runbooks[dsse]'",
        ) from error
    try:
        private: Any = load_ssh_private_key(key.read_bytes(), None)
        return bytes(private.sign(data))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise SigningFailed(
            f"{key} can't sign a DSSE envelope: {error}.",
            means="no envelope was written; the run is sealed without one",
            todo="it takes an Ed25519 key on disk without a passphrase; a key in an agent or a token only seals runs",
        ) from error
