"""`verify [RUN …]`: check records and their signatures; 0 verified, 8 something was found, 2 it can't be checked."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from aurora.commands.parser import Invocation
from aurora.engine.faults import visible
from aurora.engine.locks import holder_of
from aurora.engine.project import Project
from aurora.engine.records import find_run
from aurora.errors import OperatorError, RecordError, RunNotFound, UsageError
from aurora.evidence.git_witness import GitWitness
from aurora.evidence.ledger import read_ledger_text
from aurora.evidence.signing import Trust
from aurora.evidence.verification import Verified, verify
from aurora.evidence.witness import Witness, desk_name, saved_witnesses, typed_witness

FOUND = 8
UNCHECKED = 2


def execute(project: Project, invocation: Invocation) -> int:
    """Print every finding; the exit code says whether there was one."""
    options = invocation.options
    if not project.runs.is_dir():
        raise OperatorError("There are no records here yet.", todo="start with a rehearsal: make rehearse")
    trust = Trust.of(project.runs)
    if options.signers:
        trust = Trust(Path(options.signers), trust.revoked)
    result = verify(
        project.runs,
        _named(project, options.runs) if options.runs else None,
        witnesses=[*_witnesses(project, options.witness, options.witness_file), *_git_witness(project, options)],
        trust=trust,
        each_signature=True if options.each_signature else None,
        is_running=lambda run: holder_of(project.runs / ".locks", f"run:{run}") != 0,
    )
    sys.stdout.write(_document(result) if options.json else _words(result))
    return 0 if result.is_good else FOUND


def _named(project: Project, words: Sequence[str]) -> list[str]:
    """Return the ids of runs; one whose folder is gone is known to the ledger still."""
    known = read_ledger_text(project.runs).opened
    names = []
    for word in words:
        try:
            names.append(find_run(project, word).name)
        except RunNotFound:
            if word not in known:
                raise
            names.append(word)
    return names


def _git_witness(project: Project, options: Namespace) -> list[Witness]:
    """Return the head that the git witness has, if it is to be asked. Raises RecordError when it can't be."""
    if not options.witness_git:
        return []
    if not project.witness:
        raise UsageError(
            "This project names no git witness.",
            means="nothing was verified",
            todo="name its remote in pyproject.toml: [tool.aurora] witness",
        )
    try:
        return [Witness(GitWitness(project.runs, project.witness, project.desk).head())]
    except RecordError as error:
        error.exit_code = UNCHECKED
        raise


def _witnesses(project: Project, words: Sequence[str], files: Sequence[str]) -> list[Witness]:
    """Return the heads that were typed, and those in files of saved alerts; a file without any is refused."""
    found = [_typed(word) for word in words]
    for name in files:
        try:
            saved = list(saved_witnesses(Path(name).read_text("utf-8", "replace"), project.desk))
        except OSError as error:
            raise OperatorError(
                f"{name} can't be read: {error.strerror}.", means="nothing was verified", todo="name a file of alerts"
            ) from error
        if not saved:
            raise OperatorError(
                f"{name} announces no head of this desk's ledger.",
                means="nothing was verified",
                todo=f"save the alerts that hold a line 'aurora {desk_name(project.desk)} SEQ SHA256'",
            )
        found += saved
    return found


def _typed(word: str) -> Witness:
    try:
        return typed_witness(word)
    except ValueError as error:
        raise UsageError(
            f"--witness {word!r} is no head of a ledger: {error}.",
            means="nothing was verified",
            todo="write SEQ:SHA256 as it was announced, such as 12:9f86d0…, with all 64 digits; @TIME after it is when "
            "it was received, such as @2026-11-20T20:00:00Z",
        ) from error


def _document(result: Verified) -> str:
    findings = [
        {"code": each.code, "run": each.run, "what": each.what, "todo": each.todo, "note": each.is_note}
        for each in result.findings
    ]
    head = None if result.head is None else f"{result.head.seq}:{result.head.sha256}"
    return json.dumps({"verified": result.is_good, "runs": result.whole, "head": head, "findings": findings}) + "\n"


def _words(result: Verified) -> str:
    lines = [visible(str(finding)) for finding in result.findings]
    count = len(result.whole)
    runs = f"{count} sealed run{'' if count == 1 else 's'}"
    wrong = sum(not finding.is_note for finding in result.findings)
    if result.head is None:
        lines.append("The ledger holds no run.")
    elif wrong:
        lines.append(f"NOT VERIFIED: {wrong} finding{'' if wrong == 1 else 's'}; {runs} hold.")
    else:
        lines.append(f"VERIFIED: {runs}; ledger head {result.head.seq}:{result.head.sha256}")
    return "\n".join(lines) + "\n"
