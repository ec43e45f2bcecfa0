"""Projects whose runs are really sealed, for tests that attack them: real keys, real ssh-keygen, real files."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from aurora.clock import SystemClock
from aurora.engine.execute import GoingOn, resume_run, start_run
from aurora.engine.leg import Desk
from aurora.engine.prompts import Nobody
from aurora.evidence import signing
from aurora.evidence.findings import Finding
from aurora.evidence.keeper import SigningKeeper
from aurora.evidence.ledger import Head
from aurora.evidence.verification import Verified, verify
from aurora.journal import line_of
from tests.engine.kit import Lab, Recorder

BOOK = """
    params:
      day: {type: string, default: monday}
      profile: {type: string, default: base}
      good: {type: boolean, default: true}
    steps:
      - {id: look, gate: 1 == 1}
      - {id: decide, gate: params.good}
"""
PAPER = """
    mode: paper
    venue: account
    secrets: []
    limit: 400
"""


def path_of(folder: Path, tools: Iterable[str]) -> Path:
    """Make a PATH that has these tools alone; a test skips where one is missing."""
    folder.mkdir()
    for name in tools:
        found = shutil.which(name)
        if found is None:
            pytest.skip(f"{name} is not installed here; an auditor has it, and CI installs it")
        (folder / name).symlink_to(found)
    return folder


class Records:
    """A project of its own with signed records, and what an attacker or an auditor does with them."""

    def __init__(self, root: Path, book: str = BOOK) -> None:
        self.lab = Lab(root)
        self.lab.book(book)
        self.lab.profile("paper", PAPER)
        self.said: list[str] = []

    @property
    def runs(self) -> Path:
        return self.lab.project.runs

    @property
    def key(self) -> Path:
        return self.lab.root / ".keys" / "engine"

    @property
    def ledger(self) -> Path:
        return self.runs / "ledger.jsonl"

    def keeper(self) -> SigningKeeper:
        return SigningKeeper(self.lab.root, self.said.append)

    def desk(self) -> Desk:
        keeper = self.keeper()
        return Desk(Recorder(), Nobody("no terminal"), on_end=keeper.closed, keeper=keeper)

    def run(self, book: str = "book", *, dry_run: bool = False, **params: Any) -> Path:
        """Run a runbook to its end and return its folder."""
        folder, _, _ = start_run(self.lab.project, book, self.lab._params(book, params), self.desk(), dry_run=dry_run)
        return folder

    def resume(self, **options: Any) -> Path:
        """Go on with the newest run."""
        return resume_run(self.lab.project, "last", self.desk(), GoingOn(**options))[0]

    def verify(self, *names: str, **options: Any) -> Verified:
        """Verify runs, or all."""
        return verify(self.runs, names or None, **options)

    def found(self, *names: str, **options: Any) -> set[str]:
        """Return the codes that are found, but that no witness was given."""
        return codes(self.verify(*names, **options)) - {"WITNESS_ABSENT"}

    def head(self) -> Head:
        """Return the ledger's head, as an announcement tells it."""
        lines = self.ledger.read_bytes().splitlines(keepends=True)
        return Head(len(lines), hashlib.sha256(lines[-1]).hexdigest())

    # what somebody with the key can do

    def sign_ledger(self, raw: bytes, key: Path | None = None, namespace: str = signing.LEDGER) -> None:
        """Write a ledger, and sign it."""
        self.ledger.write_bytes(raw)
        (self.runs / "ledger.jsonl.sig").write_bytes(signing.sign(raw, key or self.key, namespace))

    def sign_evidence(self, folder: Path, raw: bytes, key: Path | None = None, namespace: str = signing.RUN) -> None:
        """Write a run's evidence, and sign it."""
        (folder / "evidence.json").write_bytes(raw)
        (folder / "evidence.json.sig").write_bytes(signing.sign(raw, key or self.key, namespace))

    def rewrite_ledger(self, change: Callable[[list[dict[str, Any]]], object]) -> bytes:
        """Return the ledger's bytes after a change to its lines, numbered and chained again."""
        lines = [json.loads(line) for line in self.ledger.read_text().splitlines()]
        change(lines)
        return chained(lines)


def codes(result: Verified) -> set[str]:
    """Return the codes of all findings."""
    return {finding.code for finding in result.findings}


def of_run(result: Verified, run: str) -> list[Finding]:
    """Return the findings about one run."""
    return [finding for finding in result.findings if finding.run == run]


def chained(lines: list[dict[str, Any]]) -> bytes:
    """Return lines as a journal has them, each following the one above."""
    raw, prev = b"", "0" * 64
    for number, line in enumerate(lines, start=1):
        text = line_of(number, prev, line["ts"], line["type"], line["data"])
        prev = hashlib.sha256(text).hexdigest()
        raw += text
    return raw


def rechained(path: Path, change: Callable[[list[dict[str, Any]]], object]) -> None:
    """Change the lines of a journal, and chain it again."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    change(lines)
    path.write_bytes(chained(lines))


def redigested(folder: Path) -> bytes:
    """Return a run's evidence with the digests that its files have now."""
    statement: Mapping[str, Any] = json.loads((folder / "evidence.json").read_bytes())
    for subject in statement["subject"]:
        subject["digest"]["sha256"] = hashlib.sha256((folder.parent / subject["name"]).read_bytes()).hexdigest()
    return json.dumps(statement, separators=(",", ":")).encode() + b"\n"


def copy_of(records: Records, root: Path) -> Records:
    """Return a copy of a project with its records, to be attacked."""
    shutil.copytree(records.lab.root, root)
    copy = object.__new__(Records)
    copy.lab = object.__new__(Lab)
    copy.lab.root, copy.lab.project = root, type(records.lab.project)(root)
    copy.lab.started, copy.lab.terminals = [], []
    copy.said = []
    return copy


def now() -> Any:
    """Return the present instant."""
    return SystemClock().now()
