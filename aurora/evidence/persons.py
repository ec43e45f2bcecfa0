"""Signatures of persons: each by her own SSH key, known by the name under which `allowed_signers` lists it.

What she signs is made in `aurora.consent`; the namespace of all of it is `confirm@aurora`. The engine's key signs
nothing in a person's name, whatever `allowed_signers` says of it.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path

from aurora.clock import iso
from aurora.consent import Signed, readiness
from aurora.errors import RecordError, SigningFailed
from aurora.evidence import signing
from aurora.evidence.errands import Errand
from aurora.evidence.keys import fingerprint, key_path, read_signers
from aurora.evidence.signing import CONFIRM, ENGINE, Keygen, SignatureRefused, Trust, facts_of

VARIABLE = "AURORA_PERSON_KEY"
PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*(@[A-Za-z0-9][A-Za-z0-9._-]*)?")
"""A name that can stand in `allowed_signers` and in a file's name; a pattern such as *@desk names nobody."""

_NAMESPACES = re.compile(r'namespaces="([^"]*)"', re.IGNORECASE)

_TODO = {
    "SIGNATURE": "let who keeps the desk's keys enter it: invoke keys add PRINCIPAL FILE.pub",
    "KEY_ROLE": "sign with a key of your own that may confirm: invoke keys list",
    "KEY_EXPIRED": "see until when it was valid: invoke keys list",
    "KEY_REVOKED": "make another key, and have it entered: invoke keys add PRINCIPAL FILE.pub",
}


class PersonSignatory:
    """Signs as the person whose key AURORA_PERSON_KEY names, and says whose signature one is; both fail closed.

    `allowed_signers` and `revoked_keys` are read anew each time: a key that is taken out counts no more at once.
    """

    def __init__(self, root: Path, runs: Path, environment: Mapping[str, str] | None = None) -> None:
        self._root, self._runs = root, runs
        self._environment = os.environ if environment is None else environment

    @property
    def is_configured(self) -> bool:
        """Return whether a person's key is named."""
        return bool(self._environment.get(VARIABLE))

    def ready(self, run: str, at: datetime) -> Signed:
        """Try the key on a text that consents to nothing, and return whose it is. Raises SigningFailed."""
        return self.sign(readiness(run, iso(at)))

    def sign(self, text: bytes, keygen: Keygen | None = None, namespace: str = CONFIRM) -> Signed:
        """Return the person's signature of `text`, once it holds. Raises SigningFailed."""
        named = self._environment.get(VARIABLE)
        if not named:
            raise SigningFailed(
                f"No person's key is named: {VARIABLE} is not set.",
                means="without it nobody here can sign in a person's name",
                todo=f"name yours: export {VARIABLE}=~/.ssh/id_ed25519   (.pub, when it is in an agent or a token)",
            )
        key = Path(named).expanduser()
        if not key.is_file():
            raise SigningFailed(
                f"There is no key at {key}, which {VARIABLE} names.",
                means="nothing was signed",
                todo="name your own key; one that is in an agent or a token by its .pub",
            )
        made = signing.sign(text, key, namespace, variable=VARIABLE, keygen=keygen).decode("ascii")
        return self.check(text, made, keygen, namespace=namespace)

    def check(self, text: bytes, sshsig: str, keygen: Keygen | None = None, *, namespace: str = CONFIRM) -> Signed:
        """Return whose signature of `text` it is, by a key that counts now. Raises SigningFailed."""
        try:
            engine = engine_keys(self._root, self._runs)
            return whose(text, sshsig, Trust.of(self._runs), engine, namespace=namespace, keygen=keygen)
        except SignatureRefused as refused:
            raise SigningFailed(
                f"The signature does not count ({refused.code}): {refused.why}.",
                means="what it was to confirm is not confirmed",
                todo=_TODO[refused.code],
            ) from refused

    def begin_sign(self, text: bytes) -> Errand:
        """Sign beside the engine's loop."""
        return Errand(lambda keygen: self.sign(text, keygen))

    def begin_check(self, text: bytes, sshsig: str) -> Errand:
        """Check beside the engine's loop."""
        return Errand(lambda keygen: self.check(text, sshsig, keygen))


def whose(
    text: bytes,
    sshsig: str,
    trust: Trust,
    engine: frozenset[str],
    *,
    namespace: str = CONFIRM,
    at: datetime | None = None,
    keygen: Keygen | None = None,
) -> Signed:
    """Return whose signature of `text` it is, by a key that was valid at `at` (now), and never one of the engine's.

    engine: the fingerprints of the engine's keys. Raises SignatureRefused, and SigningFailed when nobody can say.
    """
    raw = sshsig.encode("ascii", "replace")
    facts = facts_of(raw)
    if facts.fingerprint in engine:
        raise SignatureRefused(
            "KEY_ROLE", f"it is the engine's own key, which signs for no person: {facts.fingerprint}"
        )
    refused: SignatureRefused | None = None
    for principal in _principals(trust.signers, facts.fingerprint):
        try:
            signing.check(text, raw, trust, namespace, principal, at, keygen)
        except SignatureRefused as error:
            refused = error
        else:
            return Signed(principal, facts.fingerprint, sshsig)
    raise refused or SignatureRefused(
        "SIGNATURE", f"{trust.signers.name} lists the key {facts.fingerprint} under no person's name"
    )


def engine_keys(root: Path, runs: Path) -> frozenset[str]:
    """Return the fingerprints of the keys that are the engine's: the one that it has, and those listed as its own."""
    found = set(listed_as_engine(Trust.of(runs).signers))
    key = key_path(root)
    with contextlib.suppress(RecordError):  # a key whose public half nobody can read is known by the list alone
        if key.is_file():
            found.add(fingerprint(key))
    return frozenset(found)


def listed_as_engine(signers: Path) -> frozenset[str]:
    """Return the fingerprints that `allowed_signers` lists for the engine, or for what only an engine signs."""
    try:
        return frozenset(
            each.fingerprint
            for each in read_signers(signers)
            if ENGINE in each.principals.split(",") or signing.RUN in each.options or signing.LEDGER in each.options
        )
    except OSError:
        return frozenset()


def persons_of(runs: Path) -> list[str]:
    """Return who may confirm in a person's name here; nobody where there is no list. Raises SigningFailed."""
    signers = Trust.of(runs).signers
    try:
        listed = list(read_signers(signers))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unreadable(signers, error) from error
    return [each.principals for each in listed if ENGINE not in each.principals and _may_confirm(each.options)]


def _may_confirm(options: str) -> bool:
    """Return whether a line's options let its key confirm: `namespaces` is a list of patterns, or not there at all."""
    match = _NAMESPACES.search(options)
    patterns = [each.strip() for each in match[1].split(",")] if match else ["*"]
    refused = any(fnmatchcase(CONFIRM, each[1:]) for each in patterns if each.startswith("!"))
    return not refused and any(fnmatchcase(CONFIRM, each) for each in patterns)


def _unreadable(signers: Path, error: OSError) -> SigningFailed:
    return SigningFailed(
        f"{signers} can't be read: {error.strerror}.",
        means="nobody can say whose signature counts",
        todo="put back the file that names the desk's keys; an auditor keeps a copy of it",
    )


def _principals(signers: Path, wanted: str) -> list[str]:
    """Return the names under which a key is listed, whether it may sign now or not: ssh-keygen says that."""
    try:
        lines = [each for each in read_signers(signers) if each.fingerprint == wanted]
    except OSError as error:
        raise _unreadable(signers, error) from error
    names = [name for line in lines for name in line.principals.split(",")]
    return [name for name in dict.fromkeys(names) if PLAIN.fullmatch(name) and name != ENGINE]
