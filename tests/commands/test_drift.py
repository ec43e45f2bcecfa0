"""`drift` as a person types it, over sessions that were recorded by hand a moment ago."""

from __future__ import annotations

import json
from pathlib import Path

from tests.commands.test_exits import project
from tests.commands.test_stops import piped

__all__ = ["project"]
SIM = ("--profile", "sim")


def test_fit_then_look(project: Path) -> None:
    """Unknown without a reference (3); fitted from sessions, steady (0); of other symbols unknown, in JSON."""
    told = piped(project, "drift", *SIM)
    assert (told.returncode, told.stderr) == (3, "")
    assert "UNKNOWN: the model linear has no reference" in told.stdout
    refused = piped(project, "drift", "fit", *SIM)
    assert refused.returncode == 2
    assert "too little to fit" in refused.stderr
    for number in (1, 2):
        words = ("--symbols", "SPY,TSLA", "--steps", "160", *SIM, "--quotes", f"dummy:seed={number}")
        assert piped(project, "session", "--shadow", *words).returncode == 0
    fitted = piped(project, "drift", "fit", *SIM)
    assert (fitted.returncode, fitted.stderr) == (0, "")
    steady = piped(project, "drift", *SIM)
    assert (steady.returncode, steady.stderr) == (0, "")
    assert "2 sessions pooled, 2 of them the reference's own" in steady.stdout
    assert "✔ no feature has drifted" in steady.stdout
    other = piped(project, "drift", "--symbols", "spy,qqq", "--json", *SIM)
    assert other.returncode == 3
    assert json.loads(other.stdout)["unknown"] == ["the reference knows nothing of QQQ; fit it: invoke drift fit"]


def test_reference_that_was_changed_is_refused(project: Path) -> None:
    """A file that is not what was registered is a clear error, no traceback, and no verdict."""
    registry = project / "profiles" / "models.yaml"
    (project / "profiles" / "models" / "r.json").write_text("{}")
    registry.write_text(registry.read_text() + "  reference: profiles/models/r.json\n  reference_sha256: '0'\n")
    told = piped(project, "drift", *SIM)
    assert told.returncode == 2
    assert "the sha256 of profiles/models/r.json is" in told.stderr
    assert "Traceback" not in told.stderr
