"""Enters persons in `allowed_signers`: whose key it is, what it may sign, and until when; whole, or not at all."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from aurora.errors import OperatorError, UsageError
from aurora.evidence.keys import Signer, one_at_a_time, read_signers
from aurora.evidence.ledger import write_synced
from aurora.evidence.persons import PLAIN, engine_keys
from aurora.evidence.signing import CONFIRM, ENGINE, REVIEW, Trust, fingerprint_of, is_revoked, ssh_keygen

ROLES = {"confirm": CONFIRM, "review": REVIEW}
"""What a person may sign: her answers, waivers and acts; counter-signatures of runs."""

_LARGEST = 16_384
_NAMESPACES = re.compile(r'namespaces="([^"]*)"')
_BEFORE = re.compile(r'valid-before="([^"]*)"')


@dataclass(frozen=True)
class PublicKey:
    """A public key as `type base64`, and its fingerprint."""

    text: str
    fingerprint: str


def add_person(
    root: Path, runs: Path, principal: str, file: Path, *, roles: tuple[str, ...], until: date | None, now: datetime
) -> PublicKey:
    """Let a person's key sign, and return it. The last day on which it may is `until`, by UTC.

    Raises OperatorError, with nothing changed: no name of a person, no public key, the engine's key, a key that is
    there already or revoked, a day that has passed.
    """
    _require_name(principal)
    if until is not None and until < now.astimezone(UTC).date():
        raise UsageError(f"--until {until} has passed.", means="nothing was changed", todo="name a day to come")
    key = read_public_key(file)
    signers = runs / "allowed_signers"
    if not signers.is_file():
        raise OperatorError(
            f"There is no {signers} yet.",
            means="the engine's key comes first, so that nobody's takes its place; nothing was changed",
            todo="make it: invoke keys init",
        )
    with one_at_a_time(runs):
        _require_new(key, root, runs, signers)
        raw = signers.read_bytes()
        line = _line(principal, key, roles, until)
        write_synced(signers, raw + (b"" if not raw or raw.endswith(b"\n") else b"\n") + line.encode())
    return key


def read_public_key(file: Path) -> PublicKey:
    """Return the one public key in a file. Raises UsageError when it holds anything else."""
    try:
        with file.open("rb") as opened:
            raw = opened.read(_LARGEST + 1)
    except OSError as error:
        raise UsageError(f"{file} can't be read: {error.strerror}.", means="nothing was changed") from error
    if b"PRIVATE KEY" in raw:
        raise UsageError(
            f"{file} holds a private key.",
            means="nobody but its owner may ever have it; nothing was changed",
            todo=f"name its public half: {file}.pub   (if this file came from somebody else, that key is lost)",
        )
    lines = [line for line in raw.decode("utf-8", "replace").splitlines() if line.strip() and line.strip()[0] != "#"]
    words = lines[0].split() if len(lines) == 1 and len(raw) <= _LARGEST else []
    try:
        blob = base64.b64decode(words[1], validate=True)
    except (IndexError, binascii.Error):
        raise _no_key(file) from None
    said = ssh_keygen(["-l", "-f", "/dev/stdin"], f"{words[0]} {words[1]}\n".encode())
    if said.returncode != 0 or fingerprint_of(blob) not in said.stdout.decode("ascii", "replace").split():
        raise _no_key(file)
    return PublicKey(f"{words[0]} {words[1]}", fingerprint_of(blob))


def roles_of(signer: Signer) -> list[str]:
    """Return what a key may sign, in words: `run`, `ledger`, `confirm`, `review`, or a namespace as it stands."""
    match = _NAMESPACES.search(signer.options)
    if match is None:
        return ["anything"]
    return [each.removesuffix("@aurora") for each in match[1].split(",")]


def until_of(signer: Signer) -> str:
    """Return when a key ends, as `allowed_signers` says it; the empty string when it does not."""
    match = _BEFORE.search(signer.options)
    return "" if match is None else match[1]


def _line(principal: str, key: PublicKey, roles: tuple[str, ...], until: date | None) -> str:
    options = f'namespaces="{",".join(ROLES[role] for role in ROLES if role in roles)}"'
    if until is not None:
        options += f',valid-before="{until + timedelta(days=1):%Y%m%d}Z"'
    return f"{principal} {options} {key.text}\n"


def _require_name(principal: str) -> None:
    if principal == ENGINE or not PLAIN.fullmatch(principal) or principal.startswith(("ssh-", "ecdsa-", "sk-")):
        why = "is the engine's own name" if principal == ENGINE else "is no plain name"
        raise UsageError(
            f"{principal!r} {why}.",
            means="nothing was changed",
            todo="name a person: letters, digits and . _ + -, such as alice@desk",
        )


def _require_new(key: PublicKey, root: Path, runs: Path, signers: Path) -> None:
    if key.fingerprint in engine_keys(root, runs):
        raise OperatorError(
            f"{key.fingerprint} is the engine's own key.",
            means="it signs for no person, or the engine could say yes to itself; nothing was changed",
            todo="enter a key of the person's own: ssh-keygen -t ed25519",
        )
    for each in read_signers(signers):
        if each.fingerprint == key.fingerprint:
            raise OperatorError(
                f"{key.fingerprint} is there already, as {each.principals}.",
                means="one key is one person's; nothing was changed",
                todo=f"look: invoke keys list   or change its line in {signers} by hand",
            )
    if is_revoked(key.text, Trust.of(runs)):
        raise OperatorError(
            f"{key.fingerprint} is revoked.", means="it counts no more; nothing was changed", todo="make another key"
        )


def _no_key(file: Path) -> UsageError:
    return UsageError(
        f"{file} holds no public key, or more than one.",
        means="nothing was changed",
        todo="name a .pub as ssh-keygen writes it: one line, type, key, comment",
    )
