"""The day's one command, as cron runs it: real processes in a copy of the project, short sessions, generated quotes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aurora.engine.locks import Locks
from tests.github_server import SECRET, serve_github
from tests.push_server import TOPIC, PushServer
from tests.runbooks import test_shipped
from tests.runbooks.test_shipped import ROOT, aurora, ends, journal

desk = test_shipped.desk

SHORT = ["runbook", "maintenance", "--minutes", "2"]
STALE = ["--quotes", "dummy:seed=3,gaps_per_hour=700", "--minutes", "5"]


def statuses(desk: Path) -> dict[str, str]:
    """Return the status of each step of the newest run, those inside sub-runbooks left out."""
    return {step: end["status"] for step, end in ends(desk).items() if "/" not in step}


def test_a_good_day_exits_0(desk: Path) -> None:
    """Preflight, both sessions with their rollups, housekeeping and the summary: exit 0, no gate red that blocks."""
    done = aurora(desk, *SHORT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(statuses(desk).values()) == {"passed"}
    assert ends(desk)["canary"]["outputs"]["orders_sent"] == 0
    assert ends(desk)["canary_rollup"]["outputs"]["closed"] is True
    told = json.loads((desk / "logs/alerts.log").read_text())
    assert told["title"] == "Maintenance: all well"
    assert "canary rollup: passed" in told["text"]


@pytest.mark.parametrize(("flag", "left_out", "runs"), [
    ("--skip-paper", "paper", "canary"),
    ("--skip-canary", "canary", "paper"),
])  # fmt: skip
def test_a_part_can_be_left_out(desk: Path, flag: str, left_out: str, runs: str) -> None:
    """`--skip-paper` and `--skip-canary` leave that part out, its rollup too, and the day is as good."""
    done = aurora(desk, *SHORT, flag)
    assert done.returncode == 0, done.stdout + done.stderr
    found = statuses(desk)
    assert (found[left_out], found[f"{left_out}_rollup"]) == ("skipped", "skipped")
    assert (found[runs], found[f"{runs}_rollup"]) == ("passed", "passed")


def test_a_kill_flag_is_exit_2_and_stays(desk: Path) -> None:
    """A kill flag is a preflight failure: no session runs, the flag stays, housekeeping and summary do their part."""
    (desk / "kill.flag").touch()
    done = aurora(desk, *SHORT)
    assert done.returncode == 2, done.stdout + done.stderr
    found = statuses(desk)
    assert (found["preflight"], found["paper"], found["canary"]) == ("red", "omitted", "omitted")
    assert (found["housekeeping"], found["summary"]) == ("passed", "passed")
    assert (desk / "kill.flag").exists()
    assert json.loads((desk / "logs/alerts.log").read_text())["title"] == "Maintenance: preflight not well"


def test_a_lock_that_is_held_is_exit_2_and_stays(desk: Path) -> None:
    """While a trading run goes on, maintenance leaves it alone, names it, and runs no session."""
    with Locks(desk / "runs/.locks", ["trading"], "2026-11-23T140000.000Z-go-live", lambda _: True):
        done = aurora(desk, *SHORT)
    assert done.returncode == 2, done.stdout + done.stderr
    assert ends(desk)["preflight/locks"]["outputs"]["taken"] == ["trading is held by 2026-11-23T140000.000Z-go-live"]
    assert statuses(desk)["summary"] == "passed"


def test_what_the_environment_lacks_is_exit_2(desk: Path) -> None:
    """An empty environment under a profile that needs one is a red preflight by name; a `.env` for all, a refusal."""
    names = ("BROKER", "IB_ACCOUNT", "IB_CLIENT_ID", "IB_HOST", "IB_PORT", "NTFY_URL")
    done = aurora(desk, *SHORT, "--profile", "paper_account", **dict.fromkeys(names, ""))
    assert done.returncode == 2, done.stdout + done.stderr
    assert ends(desk)["preflight/environment"]["outputs"]["missing"] == [*names]
    (desk / ".env").touch(0o644)
    refused = aurora(desk, *SHORT)
    assert refused.returncode == 2
    assert "chmod 600" in refused.stderr


def test_an_accounts_quotes_need_a_profile_with_one(desk: Path) -> None:
    """`--quotes ibkr` under a profile of the simulated venue is a red preflight, exit 2, and says what to add."""
    done = aurora(desk, *SHORT, "--quotes", "ibkr")
    assert done.returncode == 2, done.stdout + done.stderr
    assert ends(desk)["preflight/account"]["status"] == "red"
    assert "--profile paper_account" in done.stdout
    assert statuses(desk)["paper"] == "omitted"


def test_anomalies_are_exit_3_and_hide_nothing(desk: Path) -> None:
    """A locked-out paper session is red, exit 3; canary, rollups, housekeeping and summary run all the same."""
    done = aurora(desk, *SHORT[:2], *STALE)
    assert done.returncode == 3, done.stdout + done.stderr
    found = statuses(desk)
    assert (found["paper"], found["canary"]) == ("red", "red")
    assert {found[name] for name in ("paper_rollup", "canary_rollup", "housekeeping", "summary")} == {"passed"}
    last = json.loads((desk / "logs/alerts.log").read_text().splitlines()[-1])
    assert last["title"] == "Maintenance: paper, paper SLOs, canary, canary SLOs not well"
    assert last["priority"] == "high"


def test_a_session_that_breaks_hides_nothing(desk: Path) -> None:
    """Quotes that can't be had break both sessions, exit 1; what is after them runs."""
    done = aurora(desk, *SHORT, "--quotes", "replay:nowhere")
    assert done.returncode == 1, done.stdout + done.stderr
    found = statuses(desk)
    assert (found["paper"], found["paper_rollup"], found["canary"]) == ("broken", "skipped", "broken")
    assert (found["housekeeping"], found["summary"]) == ("passed", "passed")


def test_a_dry_run_lists_what_would_go(desk: Path) -> None:
    """`--dry-run` runs no session, sends nothing, touches no log, and lists what housekeeping would do."""
    (desk / "logs").mkdir()
    (desk / "logs/cron.log").write_text("x\n")
    done = aurora(desk, *SHORT, "--dry-run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert ends(desk)["housekeeping/look"]["outputs"]["gone"] == [
        f"would rotate logs/cron.log, 2 bytes: to cron-{datetime.now(UTC).date()}.log"
    ]
    assert (desk / "logs/cron.log").exists()
    assert not (desk / "logs/alerts.log").exists()


def test_nobody_told_is_a_remark_when_ntfy_was_asked_for(desk: Path) -> None:
    """`--ntfy` under a profile that tells nobody is an advisory red: the exit code stays that of the trading part."""
    done = aurora(desk, *SHORT, "--ntfy")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [gate["verdict"] for gate in ends(desk)["summary"]["gates"]] == ["red", "pass"]


def test_ntfy_pushes_under_a_profile_that_does_not(desk: Path) -> None:
    """`--ntfy` sends the summary to NTFY_URL under any profile, and the address stands in no record."""
    with PushServer() as server:
        done = aurora(desk, *SHORT, "--ntfy", "--skip-paper", "--keep-days", "7", NTFY_URL=server.address)
    assert done.returncode == 0, done.stdout + done.stderr
    (got,) = server.received
    assert (got.title, got.tags) == ("Maintenance: all well", ["white_check_mark"])
    assert [gate["verdict"] for gate in ends(desk)["summary"]["gates"]] == ["pass", "pass"]
    written = [path for path in (desk / "runs").rglob("*") if path.is_file()]
    assert not [path for path in written if TOPIC in path.read_text(errors="replace")]


def test_a_profile_can_require_the_alert(desk: Path) -> None:
    """Where `alerts.required` is true a summary that reached nobody is red, exit 3; else the exit code stays."""
    (desk / "profiles/must.yaml").write_text("extends: sim\nalerts: {required: true}\n")
    done = aurora(desk, *SHORT, "--skip-paper", "--profile", "must")
    assert done.returncode == 3, done.stdout + done.stderr
    assert statuses(desk)["summary"] == "red"


def test_the_next_day_says_what_was_missed(desk: Path) -> None:
    """A run by schedule that was missed stands in the report and the summary of the next one."""
    (desk / "runs").mkdir()
    line = {"ts": "2026-11-23T21:00:00Z", "event": "missed", "runbook": "maintenance", "due": "2026-11-23T20:30:00Z"}
    (desk / "runs/cron.jsonl").write_text(json.dumps({**line, "why": "the machine was off"}) + "\n")
    assert aurora(desk, *SHORT).returncode == 0
    assert ends(desk)["missed"]["gates"][0]["verdict"] == "red"
    assert "the machine was off" in json.loads((desk / "logs/alerts.log").read_text())["text"]


@pytest.mark.parametrize("phase", ["preflight", "paper", "canary", "housekeeping/tidy", "summary"])
def test_killed_in_any_phase_the_next_goes_on(desk: Path, phase: str) -> None:
    """Kill -9 in each phase: the next maintenance runs whole, exit 0, and no lock or flag is in its way."""
    program = [sys.executable, "-c", "from aurora.commands.main import entry; entry()"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CI": "true"}
    with subprocess.Popen([*program, *SHORT], cwd=desk, env=environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, text=True) as engine:  # fmt: skip
        assert engine.stdout is not None
        for line in engine.stdout:
            if line.startswith(f"▶ {phase}  "):
                engine.kill()
                break
    assert engine.returncode == -signal.SIGKILL
    done = aurora(desk, *SHORT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(statuses(desk).values()) == {"passed"}
    assert journal(desk)[-1]["type"] == "run.finished"


def test_last_months_runs_are_archived_by_the_day(desk: Path) -> None:
    """Runs past `--keep-days` go into their archives inside maintenance, and `verify` is as content as before."""
    assert aurora(desk, "runbook", "housekeeping").returncode == 0
    folder = next(path for path in (desk / "runs").iterdir() if path.name.startswith("2"))
    code = "import sys; from tests.runbooks.test_maintenance import tidy_later; tidy_later(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, str(desk)], env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)
    assert not folder.exists()
    done = aurora(desk, "verify")
    assert done.returncode == 0, done.stdout + done.stderr
    done = aurora(desk, "verify", folder.name)
    assert done.returncode == 0, done.stdout + done.stderr


def tidy_later(desk: str) -> None:
    """Tidy a project as if it were fifteen days later."""
    from aurora.clock import ManualClock  # noqa: PLC0415 - only the child of one test needs it
    from aurora.housekeeping.tidy import Rules, tidy  # noqa: PLC0415 - the same

    done = tidy(Path(desk), Rules(14), ManualClock(datetime.now(UTC) + timedelta(days=15)))
    assert done.gone


def test_what_is_red_has_one_issue(desk: Path) -> None:
    """Two days red in the same way: one issue, one comment, the gate named, no secret; a day red otherwise, another."""
    with serve_github() as github:
        for _ in range(2):
            assert aurora(desk, *SHORT[:2], *STALE, **github.environment).returncode == 3
        (desk / "kill.flag").touch()
        assert aurora(desk, *SHORT, **github.environment).returncode == 2
    assert [len(issue["said"]) for issue in github.issues] == [1, 0]
    assert "gate `anomalies == []` red" in github.issues[0]["body"]
    assert github.issues[1]["title"] == "maintenance: preflight/kill_flag not green"
    assert "issue #2 was opened" in json.loads((desk / "logs/alerts.log").read_text().splitlines()[-1])["text"]
    written = [path for path in (desk / "runs").rglob("*") if path.is_file()]
    assert not [path for path in written if SECRET in path.read_text(errors="replace")]


def test_a_github_that_is_down_changes_no_exit_code(desk: Path) -> None:
    """5xx from GitHub is a named line; the exit code stays that of the trading part."""
    with serve_github() as github:
        github.status = 503
        assert aurora(desk, *SHORT[:2], *STALE, **github.environment).returncode == 3
    assert statuses(desk)["issue"] == "passed"
    assert "answered 503" in json.loads((desk / "logs/alerts.log").read_text().splitlines()[-1])["text"]


def test_cron_runs_it_twice_each_exchange_day(desk: Path) -> None:
    """As shipped: 10:30 and 14:30 in Chicago on the days of XNYS; `cron --print` says when next."""
    done = aurora(desk, "cron", "--print")
    assert done.returncode == 0, done.stderr
    assert "maintenance\n    30 10,14 * * 1-5 America/Chicago, days of XNYS; next " in done.stdout
    assert "aurora cron --tick >> logs/cron.log" in done.stdout
