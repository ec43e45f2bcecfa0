"""Counter-signatures: a person puts her name under a sealed run, beside the engine's, in `review.WHO.sig`.

What she signs is `evidence.json` as it lies there, so the same command that checks the seal checks her, too.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from aurora.consent import Signed
from aurora.errors import OperatorError, RecordError
from aurora.evidence import statement
from aurora.evidence.findings import Finding
from aurora.evidence.ledger import write_synced
from aurora.evidence.persons import PLAIN, PersonSignatory, whose
from aurora.evidence.signing import REVIEW, SignatureRefused, Trust
from aurora.journal import Event

_PREFIX, _SUFFIX = "review.", ".sig"


def review_run(folder: Path, signatory: PersonSignatory) -> Signed:
    """Counter-sign the evidence of the run in `folder`. Raises RecordError and its kin.

    Whether there is anything worth signing is `verify`'s to say, before.
    """
    try:
        evidence = (folder / statement.FILE).read_bytes()
    except OSError as error:
        raise OperatorError(
            f"The run {folder.name} has no evidence.",
            means="only a sealed run can be reviewed; nothing was signed",
            todo=f"look: invoke verify {folder.name}",
        ) from error
    signed = signatory.sign(evidence, namespace=REVIEW)
    try:
        write_synced(folder / f"{_PREFIX}{signed.principal}{_SUFFIX}", signed.sshsig.encode("ascii"))
    except OSError as error:
        raise RecordError(
            f"The review can't be written: {error.strerror}.", todo="mend the folder's permissions"
        ) from error
    return signed


def reviews_of(folder: Path) -> list[Path]:
    """Return what lies in a run's folder under the name of a review, whatever it is."""
    return sorted(path for path in folder.iterdir() if path.name.startswith(_PREFIX))


def reviewed_at(events: Iterable[Event], run: str, evidence: bytes) -> dict[str, datetime]:
    """Return when the ledger says that which person reviewed this evidence."""
    digest = hashlib.sha256(evidence).hexdigest()
    found = {}
    for event in events:
        data = event.data
        if (event.type, data.get("act"), data.get("run"), data.get("evidence")) == ("act", "reviewed", run, digest):
            with contextlib.suppress(ValueError):
                found[str(data.get("principal"))] = datetime.fromisoformat(event.ts)
    return found


def check_reviews(
    run: str, folder: Path, evidence: bytes, trust: Trust, engine: frozenset[str], events: Sequence[Event]
) -> Iterator[Finding]:
    """Yield who reviewed a run, and what only looks like a review.

    events: the ledger's, which say who did at what time; a review that they do not know needs a key that counts now.
    """
    there = reviews_of(folder)
    when = reviewed_at(events, run, evidence)
    for who in sorted(when.keys() - {path.name.removeprefix(_PREFIX).removesuffix(_SUFFIX) for path in there}):
        yield Finding(
            "REVIEW_MISSING", run, f"{who} has reviewed it, as the ledger says, and {_PREFIX}{who}{_SUFFIX} is gone"
        )
    for path in there:
        who = path.name.removeprefix(_PREFIX).removesuffix(_SUFFIX)
        if not path.name.endswith(_SUFFIX) or not PLAIN.fullmatch(who) or path.is_symlink() or not path.is_file():
            yield Finding("SUBJECT_UNKNOWN", run, f"{path.name} was added after the seal, and is no review")
            continue
        try:
            signed = whose(
                evidence, path.read_text("ascii", "replace"), trust, engine, namespace=REVIEW, at=when.get(who)
            )
        except SignatureRefused as refused:
            yield Finding(refused.code, run, f"{path.name} does not hold: {refused.why}")
            continue
        if signed.principal != who:
            yield Finding("KEY_ROLE", run, f"{path.name} was signed by {signed.principal}")
        else:
            yield Finding("REVIEWED", run, f"{who} has reviewed it, with {signed.key}")
