"""`tune` over sessions that were recorded a moment ago: a yes writes the profile, anything else does not."""

from __future__ import annotations

from pathlib import Path

from aurora.engine.profiles import load_profile
from tests.runbooks.test_shipped import aurora, desk, ends, journal

__all__ = ["desk"]
MINE = "extends: sim\n# my own\nrisk:\n  max_spread_bps: 40   # calm\n"


def recorded(desk: Path) -> Path:
    """Record three sessions under a profile of its own; return its file."""
    profile = desk / "profiles/mine.yaml"
    profile.write_text(MINE)
    for seed in (1, 2, 3):
        words = ("--symbols", "SPY,TSLA", "--steps", "200", "--profile", "mine", "--quotes", f"dummy:seed={seed}")
        assert aurora(desk, "session", *words).returncode == 0
    return profile


def test_yes_writes_what_was_shown_in_a_sealed_run(desk: Path) -> None:
    """It shows values, sessions and effects, asks, writes, and verifies; the profile keeps its comments."""
    profile = recorded(desk)
    (desk / "yes.yaml").write_text("sure: yes\n")
    done = aurora(desk, "runbook", "tune", "--profile", "mine", "--answers", "yes.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "risk.slippage_bps: 1.5 -> " in done.stdout
    assert done.stdout.count("rests on sessions/") == 3
    said = ends(desk)["propose"]["outputs"]
    assert (said["changes"], len(said["sessions"])) == (len(said["lines"]), 3)
    assert "max_spread_bps: 40   # calm" in profile.read_text()
    assert load_profile(desk, "mine").risk.slippage_bps != 1.5
    assert journal(desk)[-1]["data"]["outcome"] == "green"
    assert aurora(desk, "verify").returncode == 0


def test_no_writes_nothing(desk: Path) -> None:
    """Nobody there to say yes: declined, and the profile is what it was."""
    profile = recorded(desk)
    done = aurora(desk, "runbook", "tune", "--profile", "mine")
    assert done.returncode in (4, 5), done.stdout + done.stderr
    assert profile.read_text() == MINE


def test_nothing_recorded_asks_nobody(desk: Path) -> None:
    """Without sessions there is nothing to propose: said in words, and no question."""
    done = aurora(desk, "runbook", "tune", "--profile", "sim")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 clean sessions in 30 days, it takes 3" in done.stdout
    assert {name: end["status"] for name, end in ends(desk).items()} == {
        "propose": "passed", "sure": "skipped", "write": "skipped",
    }  # fmt: skip
