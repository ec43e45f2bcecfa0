"""Checks records: that the ledger is what was signed, and each run what the ledger sealed.

    ledger: signature → chain → time → witnesses      run: sealed? → evidence → signature → files → journal → report

One ssh-keygen call covers the ledger, and through the digests in it the evidence of every run and its signature. With
`each_signature` every run's own signature is checked by ssh-keygen, too; without, what the signature says of itself is
(which key, for what), which proves as much, as long as the ledger's does.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import aurora
from aurora.errors import AuroraError, JournalDamaged, LedgerDamaged, RecordError, SigningFailed
from aurora.evidence import archive, dsse, signing, statement
from aurora.evidence.confirmations import Verifier
from aurora.evidence.files import render_reports
from aurora.evidence.findings import Finding
from aurora.evidence.ledger import Head, LedgerText, read_ledger
from aurora.evidence.persons import listed_as_engine
from aurora.evidence.reviews import check_reviews
from aurora.evidence.sealing import first_line
from aurora.evidence.signing import SignatureRefused, Trust
from aurora.evidence.witness import skews
from aurora.journal import Event, parse_journal, read_journal

LEDGER = "ledger"


@dataclass
class Verified:
    """What came of a verification: the findings, how many runs are sealed and whole, and the ledger's head."""

    findings: list[Finding] = field(default_factory=list)
    whole: list[str] = field(default_factory=list)
    head: Head | None = None

    @property
    def is_good(self) -> bool:
        """Return whether nothing was found but notes."""
        return all(finding.is_note for finding in self.findings)


def verify(
    runs: Path,
    names: Collection[str] | None = None,
    *,
    witnesses: Sequence[Head] = (),
    trust: Trust | None = None,
    each_signature: bool | None = None,
    renders: bool | None = None,
    is_running: Callable[[str], bool] = lambda _: False,
) -> Verified:
    """Check the ledger of `runs` and the runs named, or all that it and the folder know.

    trust:          who may sign; `runs/allowed_signers` unless given.
    each_signature: check the signature of each run by itself; those of the runs named unless said otherwise.
    renders:        render the reports of each run once more; those of the runs named unless said otherwise.
    is_running:     whether a process is at work on a run now.

    Raises SigningFailed, and RecordError, when that can't be found out.
    """
    trust = trust or Trust.of(runs)
    try:
        raw, signature = read_ledger(runs)
        folders = {entry.name for entry in os.scandir(runs) if entry.is_dir() and not entry.name.startswith(".")}
    except OSError as error:
        raise RecordError(f"{runs} can't be read: {error.strerror}.", todo="name the folder of the records") from error
    result = Verified()
    ledger = _check_ledger(runs, raw, signature, trust, witnesses, result)
    persons = Verifier(trust, listed_as_engine(trust.signers) | _sealer(signature))
    result.findings += persons.acts(ledger.events) if names is None else []
    each = names is not None if each_signature is None else each_signature
    renders = names is not None if renders is None else renders
    checker = _Checker(runs, ledger, trust, each or bool(result.findings), is_running, renders, persons)
    wanted = folders | ledger.opened.keys() if names is None else names
    result.findings += _unknown_archives(runs, ledger) if names is None else []
    for run in sorted(wanted):
        found = list(checker.run(run))
        result.findings += found
        if all(finding.is_note and finding.code != "RUNNING" for finding in found):
            result.whole.append(run)
    if not witnesses and ledger.events:
        result.findings.append(Finding("WITNESS_ABSENT", LEDGER, "no witness given: rollback can't be excluded"))
    return result


def _check_ledger(
    runs: Path, raw: bytes, signature: bytes, trust: Trust, witnesses: Sequence[Head], result: Verified
) -> LedgerText:
    def found(code: str, what: str) -> None:
        result.findings.append(Finding(code, LEDGER, what))

    if not raw and not signature and not witnesses:
        return LedgerText()
    path = runs / "ledger.jsonl"
    cut = raw[: raw.rfind(b"\n") + 1]
    if signature:
        try:
            signing.check(raw, signature, trust, signing.LEDGER, at=_last_time(cut))
        except SignatureRefused as refused:
            code = refused.code if refused.code != "SIGNATURE" else "LEDGER_SIGNATURE"
            found(code, f"ledger.jsonl is not what its signature is of ({refused.why})")
    else:
        found("LEDGER_SIGNATURE", "ledger.jsonl.sig is missing")
    try:
        ledger = LedgerText.of(raw, path)
    except LedgerDamaged as error:
        found("LEDGER_CHAIN", error.what.rstrip("."))
        ledger = LedgerText.of(_longest_whole(cut, path), path)
    before = ""
    for event in ledger.events:
        if event.ts < before:
            found("TIME_REGRESSION", f"line {event.seq} of the ledger goes back in time, from {before} to {event.ts}")
        before = max(before, event.ts)
    for event in ledger.odd:
        found("LEDGER_CHAIN", f"line {event.seq} says {event.type} of {event.data.get('run')}, which can't be")
    for witness in witnesses:
        ours = ledger.hashes[witness.seq - 1] if 1 <= witness.seq <= len(ledger.hashes) else None
        if ours != witness.sha256:
            said = f"has only {len(ledger.hashes)} lines" if ours is None else f"has another line {witness.seq}"
            found("WITNESS_MISMATCH", f"the ledger is not an extension of the head that was witnessed: it {said}")
        elif (skew := skews(ledger, witness)) is not None:
            found("TIME_SKEW", skew)
    result.head = ledger.head if ledger.events else None
    return ledger


def _unknown_archives(runs: Path, ledger: LedgerText) -> Iterator[Finding]:
    for path in sorted(runs.glob(f"[!.]*{archive.SUFFIX}")):
        run = path.name.removesuffix(archive.SUFFIX)
        if run not in ledger.opened:
            yield Finding("RUN_UNKNOWN", run, f"the ledger knows no such run as {path.name} is named after")


def _sealer(signature: bytes) -> frozenset[str]:
    """Return the fingerprint of the key that sealed: it is no person's, whatever a list says of it."""
    try:
        return frozenset([signing.facts_of(signature).fingerprint])
    except SignatureRefused:
        return frozenset()


def _bytes_of(path: Path) -> bytes:
    """Return what a plain file holds; a pipe in its place would be waited for. Raises OSError."""
    if path.exists() and not path.is_file():
        raise FileNotFoundError(errno.ENOENT, "it is no file", str(path))
    return path.read_bytes()


def _time(text: str) -> datetime | None:
    """Return a line's time; None when it is none, as in a ledger that was changed."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _last_time(raw: bytes) -> datetime | None:
    """Return the time of the last line: a key that has expired since was valid when it signed."""
    try:
        return _time(json.loads(raw.splitlines()[-1])["ts"])
    except (ValueError, KeyError, TypeError, IndexError):
        return None


def _longest_whole(raw: bytes, path: Path) -> bytes:
    """Return the lines of a damaged ledger up to the first that does not follow."""
    lines = raw.splitlines(keepends=True)
    low, high = 0, len(lines)
    while low < high:
        middle = (low + high + 1) // 2
        try:
            parse_journal(b"".join(lines[:middle]), path)
        except JournalDamaged:
            high = middle - 1
        else:
            low = middle
    text = b"".join(lines[:low])
    return text[: parse_journal(text, path).whole_bytes]


@dataclass
class _Checker:
    """Checks one run after another against a ledger."""

    runs: Path
    ledger: LedgerText
    trust: Trust
    each_signature: bool
    is_running: Callable[[str], bool]
    renders: bool
    persons: Verifier
    _revoked: dict[str, bool] = field(default_factory=dict)
    _reviews: Sequence[Event] = ()

    def __post_init__(self) -> None:
        self._reviews = [event for event in self.ledger.events if event.data.get("act") == "reviewed"]

    def run(self, run: str) -> Iterator[Finding]:
        """Yield what is wrong with a run, or why it can't be sealed yet."""
        folder = self.runs / run
        if run not in self.ledger.opened:
            yield Finding("RUN_UNKNOWN", run, "the ledger knows no such run")
            return
        sealed = self.ledger.sealed.get(run)
        if sealed is None:
            yield from self._unsealed(run, folder)
            return
        try:
            if run in self.ledger.archived and not folder.exists():
                yield from self._archived(run, self.ledger.archived[run], sealed)
            else:
                yield from self._sealed(run, folder, sealed)
        except FileNotFoundError as error:
            yield Finding("EVIDENCE_MISSING", run, f"{Path(error.filename).name} is missing")
        except OSError as error:
            yield Finding("SUBJECT_DIGEST", run, f"it can't be read: {error}")
        except RecordError as error:
            yield Finding("SUBJECT_UNKNOWN", run, error.what.rstrip("."))

    def _unsealed(self, run: str, folder: Path) -> Iterator[Finding]:
        if self.is_running(run):
            yield Finding("RUNNING", run, "it is running now, and not sealed yet")
            return
        opening = "it was opened but never sealed"
        if not (folder / "journal.jsonl").is_file():
            yield Finding("RUN_UNSEALED", run, f"{opening}, and it has no journal that can be read")
            return
        try:
            text = read_journal(folder / "journal.jsonl")
        except JournalDamaged as error:
            yield Finding("JOURNAL_CHAIN", run, f"{opening}, and {error.what.rstrip('.')}")
            return
        except AuroraError:
            yield Finding("RUN_UNSEALED", run, f"{opening}, and it has no journal that can be read")
            return
        yield from self._begins_as_opened(run, folder)
        last = text.events[-1] if text.events else None
        if last is None or last.type == "run.finished":
            yield Finding("RUN_UNSEALED", run, opening)
        elif last.type == "run.interrupted" and str(last.data.get("reason")).startswith("waiting"):
            yield Finding("WAITING", run, f"{opening}: it waits for a person")
        else:
            yield Finding("INTERRUPTED", run, f"{opening}: it was interrupted, or its process was killed")

    def _begins_as_opened(self, run: str, folder: Path) -> Iterator[Finding]:
        if first_line(folder) != self.ledger.opened[run].data.get("journal"):
            yield Finding("JOURNAL_HEAD", run, "the first line of its journal is not the one that the ledger opened")

    def _archived(self, run: str, line: Event, sealed: Event) -> Iterator[Finding]:
        """Check a run's archive as the ledger has it; where runs are looked at closely, what is in it, too."""
        path = archive.archive_of(self.runs, run)
        try:
            digest = statement.digest_of(path)["sha256"] if path.is_file() else None
        except RecordError:
            digest = None
        if digest is None:
            yield Finding("ARCHIVE_MISSING", run, f"{path.name} can't be read, and the run's folder is gone")
            return
        if digest != line.data.get("sha256"):
            yield Finding("ARCHIVE_DIGEST", run, f"{path.name} is not the file that the ledger names")
        elif self.each_signature:
            with contextlib.ExitStack() as stack:
                try:
                    folder = stack.enter_context(archive.unpacked(path, run))
                except RecordError as error:
                    yield Finding("CANT_CHECK", run, f"{error.what.rstrip('.')}: what is in it was not looked at")
                    return
                yield from self._sealed(run, folder, sealed)

    def _sealed(self, run: str, folder: Path, sealed: Event) -> Iterator[Finding]:
        evidence = _bytes_of(folder / statement.FILE)
        signature = _bytes_of(folder / statement.SIGNATURE)
        if hashlib.sha256(evidence).hexdigest() != sealed.data.get("evidence"):
            yield Finding("EVIDENCE_NOT_SEALED", run, "evidence.json is not what the ledger sealed")
            yield from self._signature(run, evidence, signature, sealed)
        elif hashlib.sha256(signature).hexdigest() != sealed.data.get("signature"):
            yield Finding("EVIDENCE_NOT_SEALED", run, "evidence.json.sig is not what the ledger sealed")
            yield from self._signature(run, evidence, signature, sealed)
        elif self.each_signature:
            yield from self._signature(run, evidence, signature, sealed)
        else:
            yield from self._signature_facts(run, signature)
        if (folder / dsse.FILE).exists():
            yield from self._envelope(run, _bytes_of(folder / dsse.FILE), evidence, signature)
        try:
            details = statement.read_statement(evidence)["predicate"]["runDetails"]
            subjects = statement.subjects_of(evidence)
            name, end = details["metadata"]["invocationId"], details["journal"]
            head, events = end["head"], end["events"]
        except (ValueError, KeyError, TypeError) as error:
            yield Finding("EVIDENCE_NOT_SEALED", run, f"evidence.json can't be read: {error}")
            return
        opening = self.ledger.head_of(self.ledger.opened[run])
        if name != run or details.get("ledger") != {"seq": opening.seq, "sha256": opening.sha256}:
            yield Finding("RUN_MISMATCH", run, f"evidence.json speaks of another run: {name}")
        yield from self._files(run, folder, subjects)
        persons = replace(self.persons, engine=self.persons.engine | _sealer(signature))
        yield from check_reviews(run, folder, evidence, self.trust, persons.engine, self._reviews)
        yield from self._journal(run, folder, head, events, persons)
        if self.renders:
            yield from self._report(run, folder, details)

    def _signature(self, run: str, evidence: bytes, signature: bytes, sealed: Event) -> Iterator[Finding]:
        at = _time(sealed.ts)
        try:
            signing.check(evidence, signature, self.trust, signing.RUN, at=at)
        except SignatureRefused as refused:
            yield Finding(refused.code, run, f"evidence.json.sig does not hold: {refused.why}")

    def _envelope(self, run: str, raw: bytes, evidence: bytes, signature: bytes) -> Iterator[Finding]:
        try:
            problem = dsse.problem_of(raw, evidence, signing.facts_of(signature).public_key)
        except SignatureRefused:
            return  # said of the signature already
        except SigningFailed as error:
            yield Finding("CANT_CHECK", run, f"{error.what} {error.todo}".rstrip("."))
            return
        if problem is not None:
            yield Finding("SIGNATURE", run, problem)

    def _signature_facts(self, run: str, signature: bytes) -> Iterator[Finding]:
        try:
            facts = signing.facts_of(signature)
        except SignatureRefused as refused:
            yield Finding(refused.code, run, f"evidence.json.sig does not hold: {refused.why}")
            return
        if facts.namespace != signing.RUN:
            yield Finding("KEY_ROLE", run, f"evidence.json.sig was made for {facts.namespace}, not {signing.RUN}")
        if facts.public_key not in self._revoked:
            self._revoked[facts.public_key] = signing.is_revoked(facts.public_key, self.trust)
        if self._revoked[facts.public_key]:
            yield Finding("KEY_REVOKED", run, f"it was signed by a key that is revoked: {facts.fingerprint}")

    def _files(self, run: str, folder: Path, subjects: Mapping[str, str]) -> Iterator[Finding]:
        there = {f"{run}/{name}": path for name, path in statement.files_of(folder)}
        for name, digest in subjects.items():
            shown = name.removeprefix(f"{run}/")
            if name not in there:
                yield Finding("SUBJECT_DIGEST", run, f"{shown} is missing")
            elif statement.digest_of(there[name])["sha256"] != digest:
                yield Finding("SUBJECT_DIGEST", run, f"{shown} is not the file that was sealed")
        for name in sorted(there.keys() - subjects.keys()):
            yield Finding("SUBJECT_UNKNOWN", run, f"{name.removeprefix(f'{run}/')} was added after the seal")
        for name in statement.odd_of(folder):
            yield Finding("NO_FILE", run, f"{name} is a link, or no file at all: it is no part of the record")

    def _journal(self, run: str, folder: Path, head: Any, events: Any, persons: Verifier) -> Iterator[Finding]:
        path = folder / "journal.jsonl"
        if not path.is_file():
            return  # said as a missing file already
        try:
            text = read_journal(path)
        except JournalDamaged as error:
            yield Finding("JOURNAL_CHAIN", run, error.what.replace(str(path), "the journal").rstrip("."))
            return
        if (text.head, len(text.events)) != (head, events) or text.torn:
            what = f"the journal has {len(text.events)} events and another end than the {events} that were sealed"
            yield Finding("JOURNAL_HEAD", run, what)
        yield from self._begins_as_opened(run, folder)
        yield from persons.run(run, text.events, path)

    def _report(self, run: str, folder: Path, details: Mapping[str, Any]) -> Iterator[Finding]:
        """Render the reports once more; another version of Aurora may render others, so only its own are compared."""
        is_ours = details["engine"]["version"].get("aurora") == aurora.__version__
        if not is_ours or not (folder / "journal.jsonl").is_file():
            return
        try:
            rendered = render_reports(folder)
        except AuroraError:
            return  # said of the journal already
        for name, text in rendered.items():
            if (folder / name).is_file() and (folder / name).read_text("utf-8", "replace") != text:
                yield Finding("REPORT_DRIFT", run, f"{name} is not what its journal renders to now")
