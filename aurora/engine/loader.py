"""Reads runbooks: YAML, then the schema, then frozen values; what is wrong is a list of faults, never an exception."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from aurora.engine.builder import build_runbook
from aurora.engine.document import Document, read_document
from aurora.engine.faults import Fault
from aurora.engine.params import value_problem_of as value_problem_of  # for those who check values at run time
from aurora.engine.project import Project
from aurora.engine.schema import RUNBOOK_SCHEMA, SchemaPass
from aurora.engine.spec import Runbook


@dataclass(frozen=True)
class Loaded:
    """A file as loaded: the runbook when there is nothing wrong, and the faults found on the way.

    `draft` is what could be made of a file with faults, so that lint can look at the rest of it in the same pass; None
    when nothing could.
    """

    path: Path
    document: Document
    draft: Runbook | None
    faults: tuple[Fault, ...]

    @property
    def runbook(self) -> Runbook | None:
        """Return the runbook, or None when the file has faults."""
        return None if self.faults else self.draft

    @property
    def sha256(self) -> str:
        """Return the digest of the file's text."""
        return hashlib.sha256(self.document.text.encode()).hexdigest()


def load_file(project: Project, path: Path) -> Loaded:
    """Load the runbook in the file `path`."""
    document = read_document(path, project.shown(path))
    if document.data is None and document.faults:
        return Loaded(path, document, None, tuple(document.faults))
    faults = [*document.faults, *SchemaPass(project.runs / ".cache" / "schema").faults(document, RUNBOOK_SCHEMA)]
    draft, found = build_runbook(document, path.stem)
    return Loaded(path, document, draft, (*faults, *found))
