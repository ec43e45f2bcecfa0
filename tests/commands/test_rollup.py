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
    assert "SLOs of the profile sim" in told.stdout
    assert (data["profiles"], data["slo"]["profile"], data["slo"]["missed"]) == (["sim"], "sim", [])
    assert {found["name"]: found["verdict"] for found in data["slo"]["findings"]}["slippage_p95"] == "unknown"


def test_no_session_is_no_proof(project: Path) -> None:
    """Nothing recorded is UNKNOWN, exit 3, and no traceback; a mode that is none is refused."""
    told = piped(project, "rollup", "paper")
    assert (told.returncode, told.stderr) == (3, "")
    assert "UNKNOWN" in told.stdout
    assert piped(project, "rollup", "daily").returncode == 2
    assert "--days was 5000" in piped(project, "rollup", "live", "--days", "5000").stderr


def test_a_missed_promise_is_exit_3(project: Path) -> None:
    """What blocks and was missed is red; what only advises is said; the profile may be another than the sessions'."""
    words = ("--symbols", "SPY", "--steps", "20", "--profile", "sim", "--quotes", "dummy:seed=1")
    assert piped(project, "session", "--shadow", *words).returncode == 0
    (record,) = project.glob("sessions/*/session.jsonl")
    (project / "profiles/swift.yaml").write_text("extends: sim\nslo: {loop_p95_ms: 0.001}\n")
    told = piped(project, "rollup", "canary", "--profile", "swift")
    assert told.returncode == 0
    assert "missed, advice" in told.stdout
    lines = record.read_text().splitlines()
    record.write_text("\n".join(line.replace('"fallbacks":0', '"fallbacks":2') for line in lines) + "\n")
    told = piped(project, "rollup", "canary")
    assert told.returncode == 3
    assert [line.split()[4] for line in told.stdout.splitlines() if line.startswith("fallbacks  ")] == ["missed"]


def test_a_profile_that_is_none_is_refused(project: Path) -> None:
    """A profile that is not there is named, with the ones that are; exit 2, no traceback."""
    told = piped(project, "rollup", "paper", "--profile", "simm")
    assert told.returncode == 2
    assert "Did you mean" in told.stderr or "did you mean" in told.stderr
    assert "Traceback" not in told.stderr
