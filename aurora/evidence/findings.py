"""What `verify` can find, each with the sentence that says what to do about it."""

from __future__ import annotations

from dataclasses import dataclass

NOTES = frozenset(["WITNESS_ABSENT", "RUNNING", "REPORT_DRIFT", "REVIEWED", "NO_FILE"])
"""Codes that are said and do not fail."""

TODO = {
    "SIGNATURE": "restore the run's folder from a copy; trust nothing in this one",
    "SUBJECT_DIGEST": "restore the file from a copy; nothing that the run says can lean on this one",
    "SUBJECT_UNKNOWN": "take the file out of the folder; it is no part of the record",
    "NO_FILE": "do not lean on it: what it points to may change; a record holds files",
    "JOURNAL_CHAIN": "restore the journal from a copy",
    "JOURNAL_HEAD": "restore the journal from a copy",
    "LEDGER_SIGNATURE": "restore ledger.jsonl and ledger.jsonl.sig from a copy, and ask who could write to runs/",
    "LEDGER_CHAIN": "restore ledger.jsonl and ledger.jsonl.sig from a copy",
    "EVIDENCE_NOT_SEALED": "restore evidence.json and evidence.json.sig from a copy",
    "EVIDENCE_MISSING": "restore the run's folder from a copy",
    "ARCHIVE_MISSING": "put {run}.tar.gz back beside the ledger, from a copy",
    "ARCHIVE_DIGEST": "restore {run}.tar.gz from a copy; nothing that the run says can lean on this one",
    "RUN_MISMATCH": "restore the run's folder from a copy: what lies in it is another run's",
    "RUN_UNSEALED": "start any run: that seals it, if its journal is whole",
    "RUN_UNKNOWN": "ask who put it there; no run of this ledger did",
    "WAITING": "answer it: invoke resume {run}   or end it: invoke cancel {run} --reason TEXT",
    "INTERRUPTED": "go on: invoke resume {run}   or end it: invoke cancel {run} --reason TEXT",
    "RUNNING": "look again when it has ended",
    "TIME_REGRESSION": "compare with the heads that were announced: somebody with the key wrote this line later",
    "TIME_SKEW": "ask whether it was announced late (no network then?); else somebody with the key dated it back",
    "WITNESS_MISMATCH": "keep this folder as it is, and fetch the copy that the head was announced from",
    "WITNESS_ABSENT": "give a head that left this machine: invoke verify --witness SEQ:SHA256",
    "KEY_ROLE": "see who may sign what: invoke keys list",
    "KEY_EXPIRED": "see when the key was valid: invoke keys list",
    "KEY_REVOKED": "trust what it signed only with a witness from before its loss",
    "REPORT_DRIFT": "compare with a fresh one: invoke report {run}",
    "CONFIRMATION": "ask who said yes; what leaned on it has to be confirmed anew",
    "REVIEW_MISSING": "restore the file from a copy, or have it reviewed anew: invoke review {run}",
    "REVIEWED": "see who may review: invoke keys list",
    "CANT_CHECK": "see above",
}


@dataclass(frozen=True)
class Finding:
    """One thing that verify found: a code for programs, the run ("ledger" for all of them), a sentence, what to do."""

    code: str
    run: str
    what: str

    @property
    def todo(self) -> str:
        """Return what a person can do about it."""
        return TODO[self.code].format(run=self.run)

    @property
    def is_note(self) -> bool:
        """Return whether it is only said."""
        return self.code in NOTES

    def __str__(self) -> str:
        return f"{self.code} {self.run}: {self.what}. To do: {self.todo}."
