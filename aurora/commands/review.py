"""`review RUN [--note TEXT]`: counter-sign a sealed run, after it has verified, with the reviewer's own key."""

from __future__ import annotations

import hashlib
import sys

from aurora.commands.acts import enter
from aurora.commands.parser import Invocation
from aurora.engine.faults import visible
from aurora.engine.project import Project
from aurora.engine.records import find_run
from aurora.errors import OperatorError
from aurora.evidence import statement
from aurora.evidence.persons import PersonSignatory
from aurora.evidence.reviews import review_run
from aurora.evidence.verification import verify


def execute(project: Project, invocation: Invocation) -> int:
    """Sign; 0 when the review stands."""
    folder = find_run(project, invocation.options.run)
    wrong = [finding for finding in verify(project.runs, [folder.name]).findings if not finding.is_note]
    if wrong:
        raise OperatorError(
            f"The run {folder.name} does not verify: {visible(wrong[0].what)} ({wrong[0].code}).",
            means="nobody puts a name under a record that does not hold; nothing was signed",
            todo=f"look: invoke verify {folder.name}",
        )
    signed = review_run(folder, PersonSignatory(project.root, project.runs))
    evidence = hashlib.sha256((folder / statement.FILE).read_bytes()).hexdigest()
    note = invocation.options.note.strip()
    data = {"run": folder.name, "evidence": evidence, "principal": signed.principal, "key": signed.key, "note": note}
    enter(project, "reviewed", data)
    sys.stdout.write(f"{signed.principal} has reviewed {folder.name}, with {signed.key}.\n")
    return 0
