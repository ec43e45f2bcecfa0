"""SSHSIG signatures, made and checked by the stock `ssh-keygen -Y`; no key is ever read by this process."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from aurora.errors import SigningFailed

RUN = "run@aurora"
LEDGER = "ledger@aurora"
CONFIRM = "confirm@aurora"
REVIEW = "review@aurora"
ENGINE = "engine@desk"
"""The principal under which `allowed_signers` lists the engine's own key."""

PATIENCE_S = 20.0
"""How long ssh-keygen may take; a FIDO key waits for a touch within it."""

Refusal = Literal["SIGNATURE", "KEY_ROLE", "KEY_EXPIRED", "KEY_REVOKED"]
Keygen = Callable[[Sequence[str], bytes], "subprocess.CompletedProcess[bytes]"]
"""Runs ssh-keygen: its words and what it reads → how it ended."""


@dataclass(frozen=True)
class Trust:
    """Who may sign what: the file `allowed_signers`, and a list of revoked keys (a KRL or public keys) if there is one.

    The format of both is that of ssh-keygen(1).
    """

    signers: Path
    revoked: Path | None = None

    @classmethod
    def of(cls, runs: Path) -> Trust:
        """Return what a folder of records trusts."""
        revoked = runs / "revoked_keys"
        return cls(runs / "allowed_signers", revoked if revoked.exists() else None)


class SignatureRefused(Exception):
    """A signature does not hold; `code` says why, as the findings of `verify` do."""

    def __init__(self, code: Refusal, why: str) -> None:
        super().__init__(why)
        self.code = code
        self.why = why


@dataclass(frozen=True)
class SignatureFacts:
    """What a signature says of itself (PROTOCOL.sshsig): nothing of it is proven before ssh-keygen says so."""

    public_key: str
    fingerprint: str
    namespace: str


def sign(
    data: bytes, key: Path, namespace: str, *, variable: str = "AURORA_KEY", keygen: Keygen | None = None
) -> bytes:
    """Return the SSHSIG of `data` by the key at `key`: a private key, or the .pub of one in an agent or a token.

    variable: what names another key in the environment, for what is said when this one does not work.

    Raises SigningFailed: no ssh-keygen, a passphrase that nobody can be asked for, a key file others can read.
    """
    if not key.is_file():
        raise no_key(key)
    # From stdin to stdout: with a file name, ssh-keygen leaves an older .sig as it is, and exits 0.
    done = (keygen or ssh_keygen)(["-Y", "sign", "-n", namespace, "-f", str(key)], data)
    if done.returncode != 0 or not done.stdout.startswith(b"-----BEGIN SSH SIGNATURE-----"):
        raise SigningFailed(
            f"ssh-keygen did not sign with {key}: {_said(done)}.",
            means="nothing was signed, and nothing is called sealed",
            todo=_mend(done.stderr, key, variable),
        )
    return done.stdout


def no_key(key: Path) -> SigningFailed:
    """Return the error that there is no key."""
    return SigningFailed(
        f"There is no signing key at {key}.",
        means="nothing was signed",
        todo="make one: invoke keys init   or name yours: AURORA_KEY=PATH",
    )


def check(
    data: bytes,
    signature: bytes,
    trust: Trust,
    namespace: str,
    principal: str = ENGINE,
    at: datetime | None = None,
    keygen: Keygen | None = None,
) -> None:
    """Check that `signature` is one of `data` by `principal`, for `namespace`, by a key that was valid at `at` (now).

    Raises SignatureRefused, and SigningFailed when that can't be found out.
    """
    if not trust.signers.is_file():
        raise SigningFailed(
            f"There is no {trust.signers}.",
            means="nobody can say whose signature counts",
            todo="put back the file that names the desk's keys; an auditor keeps a copy of it",
        )
    words = ["-Y", "verify", "-f", str(trust.signers), "-I", principal, "-n", namespace]
    words += [] if at is None else [f"-Overify-time={at.astimezone(UTC):%Y%m%d%H%M%SZ}"]
    words += [] if trust.revoked is None else ["-r", str(trust.revoked)]
    with _in_a_file(signature) as name:  # verify reads data from stdin, so not the signature
        done = (keygen or ssh_keygen)([*words, "-s", name], data)
    if done.returncode != 0 or b"Good " not in done.stdout:
        facts = facts_of(signature)
        if is_revoked(facts.public_key, trust, keygen):  # ssh-keygen does not say so
            raise SignatureRefused("KEY_REVOKED", f"its key is revoked: {facts.fingerprint}")
        raise _refused(done)


def principals_of(data: bytes, signature: bytes, trust: Trust) -> tuple[str, ...]:
    """Return under which names `allowed_signers` lists the key of a signature; none for an unknown key."""
    with _in_a_file(signature) as name:
        done = ssh_keygen(["-Y", "find-principals", "-f", str(trust.signers), "-s", name], data)
    return tuple(done.stdout.decode("utf-8", "replace").split("\n")[:-1]) if done.returncode == 0 else ()


def is_revoked(public_key: str, trust: Trust, keygen: Keygen | None = None) -> bool:
    """Return whether the list of revoked keys names this public key; a list that can't be read revokes every key."""
    if trust.revoked is None:
        return False
    with _in_a_file(f"{public_key}\n".encode()) as name:
        done = (keygen or ssh_keygen)(["-Q", "-f", str(trust.revoked), name], b"")
    return done.returncode != 0


@contextlib.contextmanager
def _in_a_file(raw: bytes) -> Iterator[str]:
    """Yield the name of a file that holds `raw` for as long as the block takes. Raises SigningFailed."""
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(tempfile.NamedTemporaryFile())
            file.write(raw)
            file.flush()
        except OSError as error:
            raise SigningFailed(
                f"A signature can't be looked at: {error.strerror}.",
                means="nothing was verified",
                todo="make room for temporary files, or name a folder that has some: TMPDIR=PATH",
            ) from error
        yield file.name


def facts_of(signature: bytes) -> SignatureFacts:
    """Return what a signature says of itself. Raises SignatureRefused when it is none."""
    body = signature.removeprefix(b"-----BEGIN SSH SIGNATURE-----").partition(b"-----END SSH SIGNATURE-----")[0]
    try:
        blob = base64.b64decode(b"".join(body.split()), validate=True)
        if blob[:6] != b"SSHSIG" or len(blob) < 10:
            raise ValueError
        key, rest = _text(blob[10:])
        namespace, _ = _text(rest)
        kind, _ = _text(key)
        public = f"{kind.decode('ascii')} {base64.b64encode(key).decode()}"
        return SignatureFacts(public, fingerprint_of(key), namespace.decode("utf-8"))
    except (ValueError, binascii.Error) as error:
        raise SignatureRefused("SIGNATURE", "it is not an SSH signature") from error


def fingerprint_of(key: bytes) -> str:
    """Return the fingerprint of a public key's blob, as ssh-keygen -l prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def _text(blob: bytes) -> tuple[bytes, bytes]:
    """Split the first length-prefixed string off (RFC 4251, section 5)."""
    length = int.from_bytes(blob[:4])
    if len(blob) < 4 + length:
        raise ValueError("too short")
    return blob[4 : 4 + length], blob[4 + length :]


def ssh_keygen(
    words: Sequence[str],
    data: bytes = b"",
    started: Callable[[subprocess.Popen[bytes]], object] = lambda _: None,
) -> subprocess.CompletedProcess[bytes]:
    """Run ssh-keygen in a session of its own, without a terminal: nothing can stop to ask for a passphrase.

    started: told of the process, by which another thread may end it (`end`).

    Raises SigningFailed when there is none, or it takes too long.
    """
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    environment |= {"SSH_ASKPASS_REQUIRE": "never", "LC_ALL": "C"}
    pipe = subprocess.PIPE
    command = ["ssh-keygen", *words]
    try:
        with subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment, start_new_session=True
        ) as process:
            started(process)
            try:
                out, err = process.communicate(data, timeout=PATIENCE_S)
            except BaseException:
                end(process)
                raise
        return subprocess.CompletedProcess(command, process.returncode, out, err)
    except FileNotFoundError as error:
        raise SigningFailed(
            "ssh-keygen is not installed.",
            means="records can be neither signed nor verified",
            todo="install OpenSSH (Debian: apt install openssh-client)",
        ) from error
    except (subprocess.TimeoutExpired, OSError) as error:
        why = f"gave no answer within {PATIENCE_S:g} s" if isinstance(error, subprocess.TimeoutExpired) else str(error)
        raise SigningFailed(
            f"ssh-keygen {why}.",
            means="nothing was signed or verified",
            todo="see whether the agent or the security key answers: ssh-add -l",
        ) from error


def end(process: subprocess.Popen[bytes]) -> None:
    """End an ssh-keygen with what it has started: a helper that talks to a security key would hold its pipes open."""
    if process.returncode is None:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    text = (done.stderr or done.stdout).decode("utf-8", "replace").replace("\r", "")
    lines = [line.strip(" @") for line in text.splitlines() if line.strip(" @")]
    return "; ".join(lines)[:300].rstrip(".") or f"exit {done.returncode}"


def _mend(stderr: bytes, key: Path, variable: str) -> str:
    if b"UNPROTECTED" in stderr or b"too open" in stderr:
        return f"chmod 600 {key}"
    if b"passphrase" in stderr:
        return f"give the key to your agent: ssh-add {key}   and name its public half: {variable}={key}.pub"
    return f"see whether it works by hand: echo x | ssh-keygen -Y sign -n test -f {key}"


def _refused(done: subprocess.CompletedProcess[bytes]) -> SignatureRefused:
    said = _said(done)
    reasons: tuple[tuple[str, Refusal], ...] = (
        ("not permitted for use in signature namespace", "KEY_ROLE"),
        ("namespace does not match", "KEY_ROLE"),
        ("expired", "KEY_EXPIRED"),
        ("not yet valid", "KEY_EXPIRED"),
    )
    unknown: Refusal = "SIGNATURE"
    return SignatureRefused(next((code for words, code in reasons if words in said), unknown), said)
