"""The engine's signing key: where it is, and how it is made when there is none."""

from __future__ import annotations

import base64
import binascii
import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from aurora.errors import SigningFailed
from aurora.evidence.signing import ENGINE, LEDGER, RUN, fingerprint_of, ssh_keygen

FOLDER = ".keys"
VARIABLE = "AURORA_KEY"


@dataclass(frozen=True)
class Signer:
    """A line of `allowed_signers`: whose key it is, what it may sign, and until when."""

    principals: str
    options: str
    fingerprint: str


def key_path(root: Path) -> Path:
    """Return where the engine's key of a project is: what AURORA_KEY names, else `.keys/engine` in the project."""
    named = os.environ.get(VARIABLE)
    return Path(named).expanduser() if named else root / FOLDER / "engine"


def ensure_key(root: Path, runs: Path) -> str:
    """See to it that there is a key, and that `allowed_signers` names it. Return what was made, in words, or nothing.

    A key is made only when neither a key nor `allowed_signers` is there: whoever lost a key must see that it is lost.
    Raises SigningFailed.
    """
    key, signers = key_path(root), runs / "allowed_signers"
    if key.is_file() and signers.is_file():
        return ""
    with one_at_a_time(runs):
        if key.is_file() and signers.is_file():
            return ""
        if not key.is_file() and signers.is_file():
            raise SigningFailed(
                f"There is no signing key at {key}, but {signers} names one.",
                means="records can't be signed by the key that signed the others",
                todo=f"put the key back, or name it: {VARIABLE}=PATH",
            )
        made = "" if key.is_file() else _make(key)
        _allow(key, signers)
    return made


def public_half(key: Path) -> str:
    """Return the public key of `key`, as `type base64`. Raises SigningFailed."""
    public = key if key.suffix == ".pub" else key.with_name(key.name + ".pub")
    if public.is_file():
        text = public.read_text("utf-8", "replace")
    else:
        done = ssh_keygen(["-y", "-P", "", "-f", str(key)])
        text = done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""
    words = text.split()
    if len(words) < 2:
        raise SigningFailed(f"{public} holds no public key.", todo=f"ssh-keygen -y -f {key} > {public}")
    return " ".join(words[:2])


def read_signers(path: Path) -> Iterator[Signer]:
    """Yield the lines of an `allowed_signers` file that hold a key. Raises OSError."""
    for line in path.read_text("utf-8", "replace").splitlines():
        words = line.split()
        kinds = [index for index, word in enumerate(words) if index and word.startswith(("ssh-", "ecdsa-", "sk-"))]
        if line.lstrip().startswith("#") or not kinds or kinds[0] + 1 >= len(words):
            continue
        with contextlib.suppress(binascii.Error):
            blob = base64.b64decode(words[kinds[0] + 1])
            yield Signer(words[0], " ".join(words[1 : kinds[0]]), fingerprint_of(blob))


def fingerprint(key: Path) -> str:
    """Return the fingerprint of a key. Raises SigningFailed."""
    return fingerprint_of(base64.b64decode(public_half(key).split()[1]))


@contextlib.contextmanager
def one_at_a_time(runs: Path) -> Iterator[None]:
    """Hold the folder of records while keys are made or entered: two first rehearsals at once make one key.

    Raises SigningFailed.
    """
    try:
        runs.mkdir(exist_ok=True)
        descriptor = os.open(runs, os.O_RDONLY)
    except OSError as error:
        raise SigningFailed(f"{runs} can't be used: {error.strerror}.", todo="make the folder writable") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _make(key: Path) -> str:
    draft = key.with_name(f".{key.name}.draft")
    try:
        key.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        (key.parent / ".gitignore").write_text("*\n", "utf-8")  # a private key is never committed
        for half in (draft, draft.with_name(draft.name + ".pub")):
            half.unlink(missing_ok=True)
        done = ssh_keygen(["-q", "-t", "ed25519", "-N", "", "-C", ENGINE, "-f", str(draft)])
        if done.returncode != 0:
            raise SigningFailed(f"ssh-keygen made no key: {done.stderr.decode('utf-8', 'replace').strip()[:200]}")
        shutil.move(draft.with_name(draft.name + ".pub"), key.with_name(key.name + ".pub"))
        draft.replace(key)  # the private half last: a key that is there is whole
    except OSError as error:
        raise SigningFailed(f"The key {key} can't be made: {error.strerror}.", todo="make room there") from error
    return f"a signing key was made: {key} ({fingerprint(key)}); keep a copy of {key.name}.pub outside this machine"


def _allow(key: Path, signers: Path) -> None:
    line = f'{ENGINE} namespaces="{RUN},{LEDGER}" {public_half(key)}\n'
    draft = signers.with_name(f".{signers.name}.draft")
    try:
        draft.write_text(line, "utf-8")
        draft.replace(signers)
    except OSError as error:
        raise SigningFailed(f"{signers} can't be written: {error.strerror}.", todo="make room there") from error
