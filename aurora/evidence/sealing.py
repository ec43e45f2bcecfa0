"""Seals runs: statement, signature, and the ledger's word for both, in an order that a crash can't make lie.

    reports → evidence.json → evidence.json.sig, verified as it lies on the disk → ledger `run.sealed`

All of it under the ledger's lock. Each file takes its name when it is whole, and the statement is a function of the
run's folder, so a seal that was cut short is simply made again, when the next run starts.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from aurora.errors import AuroraError, RecordError
from aurora.evidence import signing, statement
from aurora.evidence.files import write_reports
from aurora.evidence.ledger import Head, Ledger, write_synced
from aurora.evidence.reviews import reviews_of
from aurora.evidence.signing import SignatureRefused, Trust
from aurora.journal import read_journal

JOURNAL = "journal.jsonl"


Look = Callable[[Path], object]
"""A last look at a run before its seal; raises RecordError when it must not be sealed."""


def open_run(
    folder: Path, key: Path, opened: str, now: datetime, say: Callable[[str], object], look: Look = bool
) -> Head:
    """Put a run on the ledger before its first step. `opened` is the hash of its journal's first line.

    A run that is there already (its engine was killed just then) keeps its line. Runs that ended without their seal
    are sealed first; `say` is told which, and which could not be. Raises RecordError and its kin.
    """
    with Ledger.locked(folder.parent, key) as ledger:
        _complete_seals(folder.parent, key, ledger, now, say, look)
        event = ledger.text.opened.get(folder.name)
        if event is None:
            event = ledger.append("run.opened", {"run": folder.name, "journal": opened}, now)
        return ledger.text.head_of(event)


def seal_run(folder: Path, key: Path, now: datetime, look: Look = bool) -> Head:
    """Seal a finished run and return the ledger's head; one that is sealed stays as it is. Raises RecordError."""
    with Ledger.locked(folder.parent, key) as ledger:
        if folder.name not in ledger.text.sealed:
            look(folder)
            _seal(folder, key, ledger, now)
        return ledger.text.head


def reopen_run(folder: Path, key: Path, now: datetime) -> None:
    """Say on the ledger that a sealed run goes on: it has no seal until it ends again, and its old evidence is kept.

    Nothing is done of a run that has no seal. Raises RecordError and its kin.
    """
    with Ledger.locked(folder.parent, key) as ledger:
        if folder.name in ledger.text.sealed:
            ledger.append("run.reopened", {"run": folder.name}, now)
        seal = ledger.text.broken.get(folder.name)
        evidence = folder / statement.FILE
        if seal is None or not evidence.exists():
            return
        if hashlib.sha256(evidence.read_bytes()).hexdigest() == seal.data.get("evidence"):
            with _unwritable(folder):
                before = folder / f"sealed-{seal.seq}"
                before.mkdir(exist_ok=True)
                for review in reviews_of(folder):  # what it was a review of is no more
                    review.replace(before / review.name)
                for name in (statement.SIGNATURE, statement.FILE):  # while the evidence is here, it is not done
                    if (folder / name).exists():
                        (folder / name).replace(before / name)


def _complete_seals(
    runs: Path, key: Path, ledger: Ledger, now: datetime, say: Callable[[str], object], look: Look
) -> None:
    for run in ledger.text.unsealed():
        if not is_finished(runs / run):
            continue
        try:
            write_reports(runs / run)  # the killed process may have left none, or older ones
            look(runs / run)
            _seal(runs / run, key, ledger, now)
        except (AuroraError, OSError) as error:
            say(f"the run {run} could not be sealed: {error}")
        else:
            say(f"the run {run} had ended without its seal; it is sealed now")


def first_line(folder: Path) -> str:
    """Return the hash of the first line of a run's journal. Raises OSError."""
    with (folder / JOURNAL).open("rb") as file:
        return hashlib.sha256(file.readline()).hexdigest()


def is_finished(folder: Path) -> bool:
    """Return whether a run's journal says that it ended; one that can't be read has not."""
    try:
        text = read_journal(folder / JOURNAL)
    except AuroraError:
        return False
    return bool(text.events) and text.events[-1].type == "run.finished" and not text.torn


def _seal(folder: Path, key: Path, ledger: Ledger, now: datetime) -> None:
    opening = ledger.text.opened.get(folder.name)
    if opening is None:
        raise RecordError(
            f"The run {folder.name} was never opened in the ledger; it can't be sealed.",
            means="a run is known to the ledger before its first step, or not at all",
            todo="see what was said when it started; its journal and reports are whole",
        )
    with _unwritable(folder):
        head = ledger.text.head_of(opening)
        evidence = statement.build_statement(folder, {"seq": head.seq, "sha256": head.sha256})
        signature = signing.sign(evidence, key, signing.RUN)
        write_synced(folder / statement.FILE, evidence)
        write_synced(folder / statement.SIGNATURE, signature)
        evidence, signature = (folder / statement.FILE).read_bytes(), (folder / statement.SIGNATURE).read_bytes()
    try:
        signing.check(evidence, signature, Trust.of(folder.parent), signing.RUN)
    except SignatureRefused as refused:
        raise RecordError(
            f"The signature of the run {folder.name} does not verify: {refused.why}.",
            means="the run is not sealed",
            todo="compare the key with allowed_signers: invoke keys list",
        ) from refused
    predicate = statement.read_statement(evidence)["predicate"]
    books = [predicate["runDefinition"]["runbook"], *(each["runbook"] for each in predicate["runbooks"])]
    data = {
        "run": folder.name,
        "outcome": predicate["outcome"],
        "runbooks": list(dict.fromkeys(books)),
        "evidence": hashlib.sha256(evidence).hexdigest(),
        "signature": hashlib.sha256(signature).hexdigest(),
    }
    ledger.append("run.sealed", data, now)


@contextlib.contextmanager
def _unwritable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RecordError(
            f"The run {folder.name} can't be sealed: {error.strerror or error}.",
            means="its journal is whole, and it has no evidence yet",
            todo="make room, or mend the folder's permissions; the next run to start seals it",
        ) from error
