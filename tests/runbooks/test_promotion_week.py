"""A week of warm-ups over the wire, one a trading day, and `promote` over their sealed records; then what undoes it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.gateway.kit import is_installed
from tests.runbooks.wire import ACCOUNT, WiredDesk, gateway, seconds_until, wired_desk

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.skipif(
        not (is_installed("ib_async") or is_installed("ib_insync")), reason="no client of Interactive Brokers is there"
    ),
]
SETTINGS = {"settings": {"account": ACCOUNT, "wall_clock": True}}
PROFILE = ("--profile", "live_canary", "--symbols", "SPY,TSLA")


def git(desk: WiredDesk, *words: str) -> None:
    """Run git in the desk."""
    who = ("-c", "user.name=t", "-c", "user.email=t@example.invalid", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *words], cwd=desk.root, check=True, capture_output=True)


def live_on(desk: WiredDesk, day: int, minute: int = 30) -> None:
    """Turn the desk's clock to 10:`minute` in New York, `day` trading days ahead."""
    desk.environment["AURORA_AHEAD_S"] = str(seconds_until(10, minute, day))


def warm_up(desk: WiredDesk) -> None:
    """Run the day's warm-up against a gateway of the same day."""
    with gateway(desk, SETTINGS) as port:
        words = ("runbook", "warmup", *PROFILE, "--quotes", "ibkr", "--steps", "60", "--poll-sec", "0.1")
        done = desk.aurora(*words, IB_PORT=port)
    assert done.returncode == 0, done.stdout + done.stderr


def promote(desk: WiredDesk) -> tuple[int, list[str]]:
    """Ask for promotion; return its exit code and what it says is missing."""
    done = desk.aurora("runbook", "promote", *PROFILE)
    outputs = desk.ends()["week"]["outputs"]
    assert outputs["known"], f"{outputs}\n" + done.stdout + done.stderr
    return done.returncode, outputs["missing"]


def promoted(desk: WiredDesk) -> list[str]:
    """Run a live day's preflight; return what it says has changed since the promotion."""
    with gateway(desk, SETTINGS) as port:
        desk.aurora("runbook", "preflight", *PROFILE, "--quotes", "ibkr", IB_PORT=port)
    end = desk.ends()["promoted"]
    assert end["outputs"]["known"], end
    changes: list[str] = end["outputs"]["changes"]
    assert (end["status"] == "passed") == (changes == [])
    return changes


def test_five_days_over_the_wire_are_ready_and_a_looser_limit_is_not(tmp_path: Path) -> None:
    """Rule 18, as its user lives it: four days are too few, five are ready, verify agrees, a looser cap begins anew."""
    with wired_desk(tmp_path, seconds_until(10, 30)) as desk:
        with (desk.root / ".gitignore").open("a") as ignored:
            ignored.write("gateway.yaml\n")
        git(desk, "init", "-q")
        git(desk, "add", "-A")
        git(desk, "commit", "-qm", "one")
        assert desk.aurora("keys", "init").returncode == 0
        for day in (1, 2, 3, 4):
            live_on(desk, day)
            warm_up(desk)
        code, missing = promote(desk)
        assert (code, missing[0]) == (3, "1 more exchange days in a row, of 5")
        live_on(desk, 5)
        warm_up(desk)
        live_on(desk, 5, 50)
        assert promote(desk) == (0, [])
        assert promoted(desk) == []
        assert desk.aurora("verify").returncode == 0
        profile = desk.root / "profiles/live_canary.yaml"
        profile.write_text(profile.read_text().replace("max_gross_exposure_pct: 5", "max_gross_exposure_pct: 6"))
        git(desk, "commit", "-qam", "looser")
        (change,) = promoted(desk)
        assert "max_gross_exposure_pct" in change
        live_on(desk, 5, 55)
        code, missing = promote(desk)
        assert code == 3
        assert "the week begins anew" in missing[1]
