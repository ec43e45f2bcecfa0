"""`runs/refusals.jsonl`: what was refused before there was a run to write it down in (engine rule 21)."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aurora.clock import Clock, iso
from aurora.engine.opening import operator
from aurora.engine.project import Project
from aurora.errors import OperatorError

FILE = "refusals.jsonl"
LONGEST = 4_000


@contextlib.contextmanager
def refusals_on_record(project: Project, clock: Clock, command: str, name: str) -> Iterator[None]:
    """Append a line for an OperatorError that leaves the block, and let it go on.

    A line that can't be written is no reason to say something else than what was refused.
    """
    try:
        yield
    except OperatorError as error:
        line = {
            "ts": iso(clock.now()),
            "command": command,
            "name": name,
            "refused": type(error).__name__,
            "what": error.what[:LONGEST],
            "operator": operator(),
            "pid": os.getpid(),
        }
        with contextlib.suppress(OSError):
            _append(project.runs / FILE, line)
        raise


def _append(path: Path, line: dict[str, Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, json.dumps(line).encode() + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
