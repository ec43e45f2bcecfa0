"""DSSE: the very bytes of a run's evidence in the envelope that supply-chain tools read, signed by the same key.

A second wrapper and no part of the proof: the seal is `evidence.json.sig`. The envelope is that of DSSE 1.0
(secure-systems-lab/dsse, envelope.md and protocol.md); its payload is not parsed, so nothing hangs on canonical JSON.
"""

from __future__ import annotations

import base64
import binascii
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aurora.errors import OperatorError, RecordError
from aurora.evidence.keys import public_half
from aurora.evidence.ledger import write_synced
from aurora.evidence.signing import fingerprint_of
from aurora.evidence.statement import DSSE, FILE

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"


class EnvelopeRefused(Exception):
    """An envelope does not hold; its text says why."""


def export(folder: Path, key: Path) -> Path:
    """Write the envelope of a sealed run beside its evidence and return its path.

    Raises OperatorError for a key that can't sign one, RecordError when the run has no evidence or the disk refuses.
    """
    try:
        payload = (folder / FILE).read_bytes()
    except OSError as error:
        raise RecordError(
            f"The run {folder.name} has no evidence: {error.strerror}.",
            means="only a sealed run can be exported",
            todo=f"see why it is not sealed: invoke verify {folder.name}",
        ) from error
    signature = _private_key(key).sign(pae(payload))
    envelope = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"keyid": _keyid(public_half(key)), "sig": base64.b64encode(signature).decode()}],
    }
    path = folder / DSSE
    try:
        write_synced(path, json.dumps(envelope).encode() + b"\n")
    except OSError as error:
        raise RecordError(f"{path} can't be written: {error.strerror}.", todo="make room, and export again") from error
    return path


def check(raw: bytes, evidence: bytes, public_keys: list[str]) -> None:
    """Check that an envelope holds `evidence`, signed by one of the public keys (each `type base64`).

    Raises EnvelopeRefused; OperatorError when there is nothing here to check it with.
    """
    keys = [key for public in public_keys if (key := _public_key(public)) is not None]
    try:
        envelope = json.loads(raw)
        payload, kind = base64.b64decode(envelope["payload"], validate=True), envelope["payloadType"]
        made = [base64.b64decode(each["sig"], validate=True) for each in envelope["signatures"]]
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise EnvelopeRefused("it is no DSSE envelope") from error
    if kind != PAYLOAD_TYPE or payload != evidence:
        raise EnvelopeRefused("its payload is not evidence.json")
    if not any(_holds(key, signature, pae(payload)) for key in keys for signature in made):
        raise EnvelopeRefused("no key that signs runs here has signed it")


def pae(payload: bytes) -> bytes:
    """Return the bytes that are signed: DSSE's pre-authentication encoding."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _keyid(public: str) -> str:
    return fingerprint_of(base64.b64decode(public.split()[1]))


def _private_key(key: Path) -> Ed25519PrivateKey:
    ed25519, serialization = _library()
    if key.suffix == ".pub":
        raise OperatorError(
            f"{key} is the public half of a key in an agent or a token; a DSSE envelope needs a key on disk.",
            means="nothing was written; the seal itself is as good as any",
            todo="hand out evidence.json and evidence.json.sig",
        )
    try:
        loaded = serialization.load_ssh_private_key(key.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise OperatorError(
            f"{key} can't be read as a key: {error}.", means="nothing was written", todo="name the engine's: AURORA_KEY"
        ) from error
    if not isinstance(loaded, ed25519.Ed25519PrivateKey):
        raise OperatorError(f"{key} is no Ed25519 key.", means="nothing was written", todo="ssh-keygen -t ed25519")
    private: Ed25519PrivateKey = loaded
    return private


def _public_key(public: str) -> Ed25519PublicKey | None:
    """Return a public key, None for one of another kind or that can't be read."""
    ed25519, serialization = _library()
    try:
        loaded = serialization.load_ssh_public_key(public.encode())
    except (ValueError, TypeError):
        return None
    key: Ed25519PublicKey | None = loaded if isinstance(loaded, ed25519.Ed25519PublicKey) else None
    return key


def _holds(key: Ed25519PublicKey, signature: bytes, data: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - an extra that few install

    try:
        key.verify(signature, data)
    except InvalidSignature:
        return False
    return True


def _library() -> tuple[Any, Any]:
    try:
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - an extra that few install
        from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415 - the same
    except ImportError as error:
        raise OperatorError(
            "DSSE envelopes need the package cryptography, which is not installed.",
            means="the seal itself needs only OpenSSH; nothing was written or checked",
            todo="pip install 'aurora-runbooks[dsse]'",
        ) from error
    return ed25519, serialization
