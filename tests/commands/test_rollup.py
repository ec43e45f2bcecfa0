"""`rollup` as a person types it, over sessions that were recorded by hand a moment ago."""

from __future__ import annotations

import json
from pathlib import Path

from tests.commands.test_exits import project
from tests.commands.test_stops import piped

__all__ = ["project"]


def test_recorded_sessions_add_up(project: Path) -> None:
    """Two sessions of a mode are one table, a Markdown table, or JSON; the other modes do not count."""
    for number in (1, 2):
        words = ("--symbols", "SPY", "--steps", "20", "--profile", "sim", "--quotes", f"dummy:seed={number}")
        assert piped(project, "session", "--shadow", *words).returncode == 0
    told = piped(project, "rollup", "canary", "--days", "1")
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.startswith("shadow: 2 sessions since ")
    assert "\n| figure | value |\n" in piped(project, "rollup", "canary", "--format", "md").stdout
    data = json.loads(piped(project, "rollup", "canary", "--format", "json").stdout)
    assert (data["sessions"], data["closed"], data["steps"], data["known"]) == (2, 2, 40, True)


def test_no_session_is_no_proof(project: Path) -> None:
    """Nothing recorded is UNKNOWN, exit 3, and no traceback; a mode that is none is refused."""
    told = piped(project, "rollup", "paper")
    assert (told.returncode, told.stderr) == (3, "")
    assert "UNKNOWN" in told.stdout
    assert piped(project, "rollup", "daily").returncode == 2
    assert "--days was 5000" in piped(project, "rollup", "live", "--days", "5000").stderr
