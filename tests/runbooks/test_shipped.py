"""The shipped runbooks, run as their user runs them: a real process in a copy of the project, on generated quotes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.push_server import TOPIC, PushServer, free_port

ROOT = Path(__file__).resolve().parents[2]
ANSWERS = "profiles/answers/rehearse.yaml"
SECONDS = 100


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """Return a copy of the project's runbooks, steps and profiles, committed to a repository of its own."""
    for name in ("runbooks", "steps", "profiles"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", ".gitignore"):
        shutil.copy(ROOT / name, tmp_path)
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.invalid", "-c", "commit.gpgsign=false"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        subprocess.run([*git, *words], cwd=tmp_path, check=True)
    return tmp_path


def aurora(desk: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run one command in `desk`, with no terminal, as cron would; `variables` are added to the environment."""
    program = [sys.executable, "-c", "from aurora.commands.main import entry; entry()"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CI": "true", **variables}
    return subprocess.run([*program, *words], cwd=desk, env=environment, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=SECONDS, check=False)  # fmt: skip


def rehearse(
    desk: Path, *words: str, profile: str = "sim", steps: int = 30, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run go-live as `make rehearse` does, in few steps."""
    command = ["runbook", "go-live", "--profile", profile, "--steps", str(steps), "--answers", ANSWERS]
    return aurora(desk, *command, *words, **variables)


def journal(desk: Path) -> list[dict[str, Any]]:
    """Return the events of the newest run."""
    folder = max(path for path in (desk / "runs").iterdir() if path.name.startswith("2"))
    return [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]


def ends(desk: Path) -> dict[str, dict[str, Any]]:
    """Return the end of each step of the newest run."""
    return {event["data"]["step"]: event["data"] for event in journal(desk) if event["type"] == "step.finished"}


def test_a_rehearsal_walks_the_whole_checklist(desk: Path) -> None:
    """`make rehearse` ends green or amber, every step over, and leaves both reports."""
    done = rehearse(desk)
    assert done.returncode == 0, done.stdout + done.stderr
    finished = ends(desk)
    planned = {entry["id"] for entry in journal(desk)[0]["data"]["plan"]}
    assert set(finished) == {step for step in planned if not step.startswith("live/on_failure")}
    others = {name: end["status"] for name, end in finished.items() if end["status"] != "passed"}
    real_only = (
        "api", "venue_clock", "market_data", "terms", "orders_taken", "branch", "drift", "actions_secrets", "smoke",
        "week", "warmed_up", "psi", "promoted",
        "proven_on_paper",
    )  # fmt: skip
    assert others == {**{f"preflight/{step}": "skipped" for step in real_only}, "eod/reconcile": "skipped"}
    assert finished["live"]["outputs"]["orders_sent"] >= 0
    assert finished["live"]["outputs"]["flat"] is True
    folder = next(path for path in (desk / "runs").iterdir() if path.name.startswith("2"))
    assert "SIMULATED" in (folder / "report.md").read_text()
    assert "scripted" in (folder / "report.html").read_text()


def test_a_clean_rehearsal_is_green_each_time(desk: Path) -> None:
    """In a clean checkout no gate has a remark, in a second run neither: what a run writes is no change of the code."""
    for _ in range(2):
        rehearse(desk, steps=120)
        gates = [(step, gate) for step, end in ends(desk).items() for gate in end["gates"]]
        assert [(step, gate["check"]) for step, gate in gates if gate["verdict"] != "pass"] == []
        assert journal(desk)[-1]["data"]["outcome"] == "green"


def test_a_short_rehearsal_is_amber_for_what_few_fills_do_not_tell(desk: Path) -> None:
    """Trading rule 17: under twenty fills slippage is unknown, advisory; every other promise of the profile is met."""
    rehearse(desk)
    gates = [(step, gate) for step, end in ends(desk).items() for gate in end["gates"]]
    assert [(step, gate["check"]) for step, gate in gates if gate["verdict"] != "pass"] == [("eod/slo", "advice == []")]
    verdicts = {each["name"]: each["verdict"] for each in ends(desk)["eod/slo"]["outputs"]["findings"]}
    assert [name for name, verdict in verdicts.items() if verdict != "met"] == [
        "slippage_median", "slippage_p95", "fee_p95",
    ]  # fmt: skip
    assert journal(desk)[-1]["data"]["outcome"] == "amber"


def test_figures_and_slos_are_in_the_sealed_report(desk: Path) -> None:
    """The report shows the step's figures and findings; rendered again it has the same bytes, and the run verifies."""
    rehearse(desk, steps=120)
    folder = max(path for path in (desk / "runs").iterdir() if path.name.startswith("2"))
    drawn = sorted(path.name for path in (folder / "artifacts/eod.figures/1").iterdir())
    assert drawn == ["equity.svg", "limits_used.svg", "loop_latency.svg", "slippage.svg"]
    sealed = {name: (folder / name).read_bytes() for name in ("report.html", "report.md")}
    assert sealed["report.html"].count(b"<img src=") == 4
    assert all(f"(artifacts/eod.figures/1/{name})".encode() in sealed["report.md"] for name in drawn)
    for report in sealed.values():
        assert b"loop_p95" in report
    assert aurora(desk, "report", folder.name).returncode == 0
    assert {name: (folder / name).read_bytes() for name in sealed} == sealed
    assert aurora(desk, "verify", folder.name).returncode == 0
    (folder / "artifacts/eod.figures/1/equity.svg").write_text("<svg></svg>")
    assert aurora(desk, "verify", folder.name).returncode == 8
    refused = aurora(desk, "report", folder.name)
    assert (refused.returncode, "a figure was changed" in refused.stderr) == (1, True)


def test_preflight_is_red_while_live_is_locked_out(desk: Path) -> None:
    """Trading rule 23: a lockout makes preflight red (exit 2), and its gate says what to type."""
    (desk / "runlocks").mkdir()
    (desk / "runlocks/live.lock").write_text('{"reason": "reject of a-1", "session": "s", "at": "2026-01-05"}\n')
    done = aurora(desk, "runbook", "preflight", "--profile", "sim")
    assert done.returncode == 2, done.stdout + done.stderr
    red = [step for step, end in ends(desk).items() if end["status"] == "red"]
    assert red == ["lockout"]
    assert "reject of a-1" in json.dumps(ends(desk)["lockout"])
    assert "invoke unlock" in done.stdout


def test_sim_tells_nobody_and_says_so(desk: Path) -> None:
    """A rehearsal under sim pushes nothing, even where an address is set, and its outputs don't claim otherwise."""
    with PushServer() as server:
        rehearse(desk, NTFY_URL=server.address)
    outputs = ends(desk)["kill_switch"]["outputs"]
    assert outputs["notified"] is False
    assert "nobody is told" in outputs["notice"]
    assert server.received == []
    (line,) = (desk / "logs/alerts.log").read_text().splitlines()
    assert json.loads(line)["title"] == "Rehearsal of the kill switch"


@pytest.fixture
def pushing(desk: Path) -> Path:
    """Return a desk with a profile `phone`: sim, but it pushes."""
    (desk / "profiles/phone.yaml").write_text("extends: sim\nsecrets: [NTFY_URL]\nalerts: {push: true}\n")
    return desk


def test_kill_switch_rehearsal_tells_the_phone(pushing: Path) -> None:
    """Where the profile pushes, one message gets to the server during the rehearsal, and the gate is green."""
    with PushServer() as server:
        done = rehearse(pushing, profile="phone", NTFY_URL=server.address)
    assert done.returncode == 0, done.stdout + done.stderr
    titles = [each.title for each in server.received]
    assert [title for title in titles if "go-live:" not in title] == ["Rehearsal of the kill switch"]
    assert ends(pushing)["kill_switch"]["outputs"]["notified"] is True
    assert not spilled(pushing, done)


def test_nobody_told_is_red_before_anything_goes_live(pushing: Path) -> None:
    """A profile that wants a push which nobody takes is red, exit 3: no session runs, and the address stays secret."""
    done = rehearse(pushing, profile="phone", NTFY_URL=f"http://127.0.0.1:{free_port()}/{TOPIC}")
    assert done.returncode == 3, done.stdout + done.stderr
    finished = ends(pushing)
    assert (finished["kill_switch"]["status"], finished["live"]["status"]) == ("red", "omitted")
    assert "nothing listens" in finished["kill_switch"]["outputs"]["notice"]
    assert "nothing listens" in done.stdout
    assert not spilled(pushing, done)


def test_missing_address_is_a_red_preflight(pushing: Path) -> None:
    """A profile that pushes does not pass preflight without an address: exit 2."""
    done = rehearse(pushing, profile="phone", NTFY_URL="")
    assert done.returncode == 2
    assert ends(pushing)["preflight/environment"]["status"] == "red"


def spilled(desk: Path, done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return where the address of the push stands in what a run said or wrote."""
    written = [path for folder in ("runs", "logs") for path in (desk / folder).rglob("*") if path.is_file()]
    found = [str(path) for path in written if TOPIC in path.read_text(errors="replace")]
    return found + (["the terminal"] if TOPIC in done.stdout + done.stderr else [])


def test_requires_is_recorded_as_not_checked_on_the_simulated_venue(desk: Path) -> None:
    """Engine rule 25: under a simulated venue evidence that nobody looked for is recorded as not checked."""
    rehearse(desk)
    assert {each["verdict"] for each in journal(desk)[0]["data"]["requires"]} == {"not checked"}


def test_live_money_is_refused_without_evidence(desk: Path) -> None:
    """go-live's own default profile does not start: no sealed evidence can exist yet; exit 2, no run."""
    done = aurora(desk, "runbook", "go-live")
    assert done.returncode == 2
    assert "requires evidence" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (desk / "runs").exists() or not list((desk / "runs").glob("2*"))


def test_answers_are_refused_where_money_is(desk: Path) -> None:
    """Engine rule 26: a script never answers on a venue that is not simulated."""
    done = aurora(desk, "runbook", "eod", "--profile", "live_canary", "--answers", ANSWERS)
    assert done.returncode == 2
    assert "--answers works with a simulated venue only" in done.stderr


def test_nobody_at_the_terminal_declines_the_first_question(desk: Path) -> None:
    """Without answers and without a terminal the first confirm is a no: exit 5, and no session ran."""
    done = aurora(desk, "runbook", "go-live", "--profile", "sim")
    assert done.returncode == 5
    finished = ends(desk)
    assert finished["t1"]["status"] == "declined"
    assert finished["live"]["status"] == "omitted"


@pytest.mark.parametrize("step", ["t1", "venue_setup", "t0"])
def test_one_line_left_unticked_keeps_the_session_from_starting(desk: Path, step: str) -> None:
    """A checklist with one line unticked is declined, and nothing after it runs but finally."""
    answers = yaml.safe_load((desk / ANSWERS).read_text().replace(": yes", ": 'yes'"))
    runbook = yaml.safe_load((desk / "runbooks/go-live.yaml").read_text())
    lines = next(each for each in runbook["steps"] if each["id"] == step)["checklist"]
    answers[step] = dict.fromkeys(lines[:-1], "yes")
    (desk / ANSWERS).write_text(json.dumps(answers))
    done = rehearse(desk)
    assert done.returncode == 5
    assert ends(desk)["live"]["status"] == "omitted"


def test_a_kill_flag_at_the_root_is_a_red_preflight(desk: Path) -> None:
    """A flag left from before is a preflight failure, exit 2, and Aurora leaves it where it is."""
    (desk / "kill.flag").touch()
    done = aurora(desk, "runbook", "preflight")
    assert done.returncode == 2
    assert ends(desk)["kill_flag"]["status"] == "red"
    assert (desk / "kill.flag").exists()
    assert rehearse(desk).returncode == 2
    assert ends(desk)["live"]["status"] == "omitted"


def test_stale_quotes_make_the_session_red_and_the_day_is_closed_all_the_same(desk: Path) -> None:
    """Anomalies are red, exit 3, and `finally` closes the day; the report names what the gate saw."""
    done = rehearse(desk, "--quotes", "dummy:seed=3,gaps_per_hour=700", steps=200)
    finished = ends(desk)
    assert finished["preflight"]["status"] == "passed", done.stdout
    assert done.returncode == 3, done.stdout
    assert finished["live"]["status"] == "red"
    assert finished["live"]["outputs"]["locked_out"] is True
    assert finished["eod/positions"]["status"] == "passed"
    assert "anomalies = [" in done.stdout


def test_a_dry_run_sends_nothing_and_asks_nobody(desk: Path) -> None:
    """`--dry-run` runs the safe checks, simulates the session from its sample, asks nobody, and is amber."""
    done = aurora(desk, "runbook", "go-live", "--profile", "sim", "--dry-run")
    assert done.returncode == 0, done.stdout + done.stderr
    finished = ends(desk)
    assert finished["live"]["simulated"] is True
    assert finished["t0"]["status"] == "skipped"
    assert not any(event["type"] == "prompt.opened" for event in journal(desk))
    assert journal(desk)[-1]["data"]["outcome"] == "amber"


def test_a_rehearsal_killed_in_its_session_asks_what_became_of_it(desk: Path) -> None:
    """Engine rule 18: after kill -9 inside the live session nobody guesses; settled by a person, the rest runs once."""
    program = [sys.executable, "-c", "from aurora.commands.main import entry; entry()"]
    words = ["runbook", "go-live", "--profile", "sim", "--steps", "4000", "--answers", ANSWERS]
    words += ["--quotes", "dummy:seed=2,gaps_per_hour=0"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CI": "true"}
    with subprocess.Popen([*program, *words], cwd=desk, env=environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, text=True) as engine:  # fmt: skip
        assert engine.stdout is not None
        for line in engine.stdout:
            if line.startswith("▶ live"):
                engine.kill()
                break
    waiting = aurora(desk, "resume", "last")
    assert waiting.returncode == 4, waiting.stdout + waiting.stderr
    assert "--settle live=" in waiting.stdout
    assert aurora(desk, "runbook", "go-live", "--profile", "sim").returncode == 2  # the group is blocked
    done = aurora(desk, "resume", "last", "--settle", "live=not_done")
    assert done.returncode == 0, done.stdout + done.stderr
    started = [event["data"]["step"] for event in journal(desk) if event["type"] == "step.started"]
    assert started.count("kill_switch") == 1
    assert started.count("live") == 2


def test_warmup_sends_no_order(desk: Path) -> None:
    """Shadow computes everything and sends nothing."""
    done = aurora(desk, "runbook", "warmup", "--steps", "40")
    assert done.returncode == 0, done.stdout + done.stderr
    assert ends(desk)["shadow"]["outputs"]["orders_sent"] == 0


def test_a_shadow_day_on_generated_quotes_is_amber_and_says_why(desk: Path) -> None:
    """Trading rule 18: daily-shadow sends nothing and sums up; on generated quotes it does not count, thus no green."""
    done = aurora(desk, "runbook", "daily-shadow", "--minutes", "10")
    assert done.returncode == 0, done.stdout + done.stderr
    finished = ends(desk)
    assert (finished["shadow"]["status"], finished["rollup"]["status"]) == ("passed", "passed")
    assert finished["shadow"]["outputs"]["orders_sent"] == 0
    assert finished["rollup"]["outputs"]["closed"] is True
    assert finished["reconcile"]["status"] == "skipped"
    assert journal(desk)[-1]["data"]["outcome"] == "amber"
    assert "generated or recorded quotes: this day does not count" in done.stdout


def test_a_shadow_day_with_an_anomaly_is_red_and_summed_up(desk: Path) -> None:
    """An anomaly is exit 3, and the rollup is there all the same."""
    done = aurora(desk, "runbook", "daily-shadow", "--quotes", "dummy:seed=3,gaps_per_hour=700", "--minutes", "30")
    assert done.returncode == 3, done.stdout + done.stderr
    finished = ends(desk)
    assert (finished["shadow"]["status"], finished["rollup"]["status"]) == ("red", "passed")
    assert finished["rollup"]["outputs"]["anomalies"]


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "runbooks").glob("*.yaml")))
def test_each_shipped_runbook_names_its_schema(name: str) -> None:
    """An editor finds the schema in the first line of each shipped runbook, and the file it names exists."""
    first = (ROOT / "runbooks" / f"{name}.yaml").read_text().splitlines()[0]
    target = first.removeprefix("# yaml-language-server: $schema=")
    assert (ROOT / "runbooks" / target).is_file()
