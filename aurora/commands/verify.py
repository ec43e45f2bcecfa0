"""`verify [RUN …]`: check records and their signatures; 0 verified, 8 something was found, 2 it can't be checked."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path

from aurora.commands.parser import Invocation
from aurora.engine.faults import visible
from aurora.engine.locks import holder_of
from aurora.engine.project import Project
from aurora.engine.records import find_run
from aurora.errors import OperatorError, RunNotFound, UsageError
from aurora.evidence.ledger import Head, read_ledger_text
from aurora.evidence.signing import Trust
from aurora.evidence.verification import Verified, verify
from aurora.evidence.witness import Witnessed, desk_name, read_witness, witnesses_in

FOUND = 8


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
        witnesses=list(_witnesses(project, options)),
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


def _witnesses(project: Project, options: Namespace) -> Iterator[Head]:
    for word in options.witness:
        yield _witness(word)
    for name in options.witness_file:
        yield from _witnesses_of(project, Path(name))
    if options.witness_git or options.remote:
        from aurora.evidence.git_witness import witnessed_by  # noqa: PLC0415 - git is asked only here

        if not options.remote and project.witness is None:
            raise UsageError(
                "--witness-git: no remote is named.",
                means="nothing was verified",
                todo='name one: --remote URL, or witness = "URL" in [tool.aurora] of pyproject.toml',
            )
        yield from witnessed_by(options.remote or project.witness or "", desk_name(project.desk_name))


def _witness(word: str) -> Witnessed:
    found = read_witness(word)
    if found is None:
        raise UsageError(
            f"--witness {word!r} is no head of a ledger.",
            means="nothing was verified",
            todo="write SEQ:SHA256 as it was announced, such as 12:9f86d0…, with all 64 digits; "
            "SEQ:SHA256@2026-11-20T20:00:00Z says when it was received",
        )
    return found


def _witnesses_of(project: Project, path: Path) -> list[Witnessed]:
    """Return the heads of this desk in saved messages; a file without any is refused, for it witnesses nothing."""
    try:
        found = list(witnesses_in(path.read_text("utf-8", "replace")))
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}.", means="nothing was verified") from error
    desk = desk_name(project.desk_name)
    ours = [each for each in found if each.desk == desk]
    if not ours:
        others = ", ".join(sorted({each.desk for each in found}))
        raise UsageError(
            f"{path} holds no head of the desk {desk}{'; it holds heads of ' + others if others else ''}.",
            means="nothing was verified",
            todo="give the file of saved announcements; [tool.aurora] desk says what this desk is called",
        )
    return ours


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
