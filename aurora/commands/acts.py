"""What a person does outside of any run, in the signed ledger too (engine rule 21)."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from aurora.engine.console import Output
from aurora.engine.project import Project
from aurora.evidence.keeper import SigningKeeper


def enter(project: Project, act: str, data: Mapping[str, Any]) -> None:
    """Enter an act in the ledger; one that can't be is said on standard error, and stops nothing."""
    keeper = SigningKeeper(project.root, bool, warn=lambda text: Output(sys.stderr).write(f"record | {text}\n"))
    keeper.act(project.runs, act, data)
