"""The way to real money, over the wire: live on paper, a week of warm-ups, promotion, go-live; and what undoes it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.engine.kit import processes_in, wait_until
from tests.gateway.kit import is_installed
from tests.runbooks.wire import ACCOUNT, SECONDS, WiredDesk, gateway, seconds_until, wired_desk

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        not (is_installed("ib_async") or is_installed("ib_insync")), reason="no client of Interactive Brokers is there"
    ),
]
PAPER_ACCOUNT = "DU1234567"
ON_PAPER = {"IB_ACCOUNT": PAPER_ACCOUNT}
PAPER = ("--profile", "paper_account", "--symbols", "SPY,TSLA")
SHORT = ("--quotes", "ibkr", "--steps", "60", "--poll-sec", "0.1")
PROFILE = ("--profile", "live_canary", "--symbols", "SPY,TSLA")


def git(desk: WiredDesk, *words: str) -> None:
    """Run git in the desk."""
    who = ("-c", "user.name=t", "-c", "user.email=t@example.invalid", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *who, *words], cwd=desk.root, check=True, capture_output=True)


def settings(account: str = ACCOUNT) -> dict[str, object]:
    """Return a gateway of an account whose clock is the machine's."""
    return {"settings": {"account": account, "wall_clock": True}}


def passed(desk: WiredDesk, *words: str, **variables: str) -> None:
    """Run a command, which succeeds."""
    done = desk.aurora(*words, **variables)
    assert done.returncode == 0, done.stdout + done.stderr


def make_desk(desk: WiredDesk, folder: Path) -> None:
    """Commit the desk; let an engine and a person sign, who says yes from now on.

    The limits of drift are as loose as they get: sessions of six seconds of a random walk differ.
    """
    with (desk.root / ".gitignore").open("a") as ignored:
        ignored.write("gateway.yaml\n")
    base = desk.root / "profiles/base.yaml"
    base.write_text(re.sub("fail_psi: .*", "fail_psi: 1", re.sub("warn_psi: .*", "warn_psi: 1", base.read_text())))
    git(desk, "init", "-q")
    git(desk, "add", "-A")
    git(desk, "commit", "-qm", "one")
    key = folder / "alice"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    desk.environment["AURORA_PERSON_KEY"] = str(key)
    passed(desk, "keys", "init")
    passed(desk, "keys", "add", "alice@desk", f"{key}.pub")


def fit_reference(desk: WiredDesk) -> None:
    """Fit the model's reference from sessions on the paper account."""
    for _ in range(5):
        with gateway(desk, settings(PAPER_ACCOUNT)) as port:
            passed(desk, "session", "--shadow", *PAPER, *SHORT, **ON_PAPER, IB_PORT=port)
    passed(desk, "drift", "fit", "--profile", "paper_account", **ON_PAPER, IB_PORT="4002")
    git(desk, "add", "-A")
    git(desk, "commit", "-qm", "the model's reference")


def prove_on_paper(desk: WiredDesk) -> None:
    """Go live on the paper account."""
    with gateway(desk, settings(PAPER_ACCOUNT)) as port:
        passed(desk, "runbook", "warmup", *PAPER, *SHORT, **ON_PAPER, IB_PORT=port)
        code, screen = desk.at_terminal("runbook", "go-live", *PAPER, *SHORT, **ON_PAPER, IB_PORT=port)
    assert (code, desk.ends()["live"]["status"]) == (0, "passed"), screen


def live_on(desk: WiredDesk, day: int, minute: int = 30) -> None:
    """Turn the desk's clock to 10:`minute` in New York, `day` trading days ahead."""
    desk.environment["AURORA_AHEAD_S"] = str(seconds_until(10, minute, day))


def warm_up(desk: WiredDesk) -> None:
    """Run the day's warm-up against a gateway of the same day."""
    with gateway(desk, settings()) as port:
        passed(desk, "runbook", "warmup", *PROFILE, *SHORT, IB_PORT=port)


def promote(desk: WiredDesk) -> tuple[int, list[str]]:
    """Ask for promotion; return its exit code and what it says is missing."""
    done = desk.aurora("runbook", "promote", *PROFILE)
    outputs = desk.ends()["week"]["outputs"]
    assert outputs["known"], f"{outputs}\n" + done.stdout + done.stderr
    return done.returncode, outputs["missing"]


def promoted(desk: WiredDesk) -> list[str]:
    """Run a live day's preflight; return what it says has changed since the promotion."""
    with gateway(desk, settings()) as port:
        desk.aurora("runbook", "preflight", *PROFILE, "--quotes", "ibkr", IB_PORT=port)
    end = desk.ends()["promoted"]
    assert end["outputs"]["known"], end
    changes: list[str] = end["outputs"]["changes"]
    assert (end["status"] == "passed") == (changes == [])
    return changes


def go_live(desk: WiredDesk) -> tuple[int, str]:
    """Go live with real money, as the desk's person."""
    with gateway(desk, settings()) as port:
        return desk.at_terminal("runbook", "go-live", *PROFILE, *SHORT, IB_PORT=port)


def test_way_to_real_money_and_what_undoes_it(tmp_path: Path) -> None:
    """Trading rules 1 and 18, lived: paper, five days, promotion, a signed go-live; a looser cap undoes it."""
    folder = tmp_path / "desk"
    folder.mkdir()
    with wired_desk(folder, seconds_until(10, 30)) as desk:
        make_desk(desk, tmp_path)
        fit_reference(desk)
        prove_on_paper(desk)
        for day in (1, 2, 3, 4):
            live_on(desk, day, 45)
            warm_up(desk)
        code, missing = promote(desk)
        assert (code, missing[0]) == (3, "1 more exchange days in a row, of 5")
        live_on(desk, 5)
        warm_up(desk)
        code, screen = go_live(desk)
        assert (code, desk.ends()["preflight/promoted"]["status"]) == (2, "red"), screen
        live_on(desk, 5, 45)
        assert promote(desk) == (0, [])
        code, screen = go_live(desk)
        ends = desk.ends()
        assert (code, ends["live"]["status"], ends["live"]["outputs"]["flat"]) == (0, "passed", True), screen
        assert ends["preflight/proven_on_paper"]["status"] == ends["eod/reconcile"]["status"] == "passed"
        assert screen.count("signed by alice@desk") == 4
        passed(desk, "verify")
        profile = desk.root / "profiles/live_canary.yaml"
        profile.write_text(profile.read_text().replace("max_gross_exposure_pct: 5", "max_gross_exposure_pct: 6"))
        git(desk, "commit", "-qam", "looser")
        (change,) = promoted(desk)
        assert "max_gross_exposure_pct" in change
        live_on(desk, 5, 55)
        code, missing = promote(desk)
        assert code == 3
        assert "the week begins anew" in missing[1]


def kill_where_it_holds(desk: WiredDesk) -> None:
    """Kill all that a run of the desk consists of, as a power cut does, as soon as its live session has traded."""

    def has_traded() -> bool:
        journals = desk.root.glob(f"orders/live-paper-{PAPER_ACCOUNT}/*.jsonl")
        return any('"type":"fill"' in path.read_text() for path in journals)

    wait_until(has_traded, SECONDS, what="a fill")
    for id_, command in processes_in(desk.root).items():
        if "aurora gateway" not in command:
            os.kill(id_, signal.SIGKILL)


def test_killed_live_session_is_resumed_to_a_flat_account(tmp_path: Path) -> None:
    """A power cut while shares are held: the resume asks what it can't know, sells them, locks out, ends the day."""
    folder = tmp_path / "desk"
    folder.mkdir()
    with wired_desk(folder, seconds_until(10, 30)) as desk, ThreadPoolExecutor(1) as beside:
        make_desk(desk, tmp_path)
        fit_reference(desk)
        with gateway(desk, settings(PAPER_ACCOUNT)) as port:
            where = {**ON_PAPER, "IB_PORT": port}
            passed(desk, "runbook", "warmup", *PAPER, *SHORT, **where)
            words = ("runbook", "go-live", *PAPER, "--quotes", "ibkr", "--steps", "600", "--poll-sec", "0.1")
            running = beside.submit(desk.at_terminal, *words, **where)
            kill_where_it_holds(desk)
            assert running.result(SECONDS)[0] == -signal.SIGKILL
            code, screen = desk.at_terminal("resume", "last", **where)
            ends = desk.ends()
            assert (code, ends["live"]["status"]) == (1, "broken"), screen
            assert "its record has no end" in screen
            flatten = "live/on_failure/flatten"
            assert (ends[flatten]["outputs"]["flat"], ends[flatten]["outputs"]["orders"]) == (True, 1), screen
            assert ends["live/on_failure/reconcile"]["status"] == ends["eod/reconcile"]["status"] == "passed", screen
            assert ends["eod/reconcile"]["outputs"]["fills"] == 2
            passed(desk, "reconcile", "--profile", "paper_account", "--dry-run", **where)
            assert "live since" in desk.aurora("status", **where).stdout.replace(",", "")
            passed(desk, "verify")
