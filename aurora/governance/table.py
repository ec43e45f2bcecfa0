"""`profiles/governance.yaml`: the named checks, which of them block, and what turns one over."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aurora.engine.document import read_document
from aurora.engine.faults import RunbookError
from aurora.engine.project import Project
from aurora.engine.schema import SchemaPass
from aurora.errors import OperatorError
from aurora.housekeeping.rollback import replace_file

FILE = "profiles/governance.yaml"
SCHEMA = Path(__file__).parents[1] / "schemas" / "governance.schema.json"
ADVISORY, BLOCKING = "advisory", "blocking"


@dataclass(frozen=True)
class Check:
    """One named check.

    runbook: "" where it is a job of the CI alone. greens, days: what makes an advisory one block, 0 for nothing.
    flaky_reds, of: what makes a blocking one advise, 0 for nothing.
    """

    name: str
    named: str
    runbook: str
    phase: int
    state: str
    greens: int
    days: int
    flaky_reds: int
    of: int

    @property
    def blocks(self) -> bool:
        """Return whether what it finds stops anything."""
        return self.state == BLOCKING


def read_table(root: Path) -> dict[str, Check]:
    """Return the checks of the project at `root` by name. Raises RunbookError with every fault of the file."""
    document = read_document(root / FILE, FILE)
    memory = SchemaPass(Project(root).runs / ".cache" / "schema")
    faults = list(document.faults) or memory.faults(document, SCHEMA)
    if faults:
        raise RunbookError(faults)
    return {name: _check(name, entry) for name, entry in document.data["checks"].items()}


def _check(name: str, entry: Mapping[str, Any]) -> Check:
    promote, demote = entry.get("promote", {}), entry.get("demote", {})
    return Check(
        name=name,
        named=str(entry["named"]),
        runbook=str(entry.get("runbook", "")),
        phase=int(entry["phase"]),
        state=str(entry["state"]),
        greens=int(promote.get("greens", 0)),
        days=int(promote.get("days", 0)),
        flaky_reds=int(demote.get("flaky_reds", 0)),
        of=int(demote.get("of", 0)),
    )


def phase_of(table: Mapping[str, Check]) -> int:
    """Return the last phase of which, as of those before, all checks block; 0 when one of the first does not."""
    reached = 0
    for phase in sorted({check.phase for check in table.values()}):
        if not all(check.blocks for check in table.values() if check.phase == phase):
            break
        reached = phase
    return reached


def write_state(root: Path, name: str, state: str, by: str) -> None:
    """Write a check's state, and the run that it is written by; comments and all else stay. Raises OperatorError."""
    from ruamel.yaml import YAML  # noqa: PLC0415 - heavy, and only a flip writes YAML

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 200
    path = root / FILE
    data = yaml.load(path)
    data["checks"][name]["state"] = state
    data["checks"][name]["by"] = by
    text = io.StringIO()
    yaml.dump(data, text)
    replace_file(path, text.getvalue())
    if read_table(root)[name].state != state:
        raise OperatorError(f"{FILE} was written, and {name} is not {state}.", todo=f"see: git diff {FILE}")
