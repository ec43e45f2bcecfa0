"""Heads that leave the machine: by the alerts of a run's profile and by the git witness, from real runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from aurora.evidence.outbox import Outbox
from tests.engine.kit import Lab, wait_until
from tests.push_server import PushServer

BOOK = """
    params: {good: {type: boolean, default: true}}
    steps:
      - {id: a, gate: params.good}
"""
PUSHES = """
    mode: paper
    venue: simulated
    secrets: [NTFY_URL]
    alerts: {log: true, push: true}
    limit: 400
"""


@pytest.fixture
def desk(lab: Lab) -> Lab:
    """A project with the name `canary`, whose profile pushes its alerts."""
    lab.book(BOOK)
    lab.profile("base", PUSHES)
    path = lab.root / "pyproject.toml"
    path.write_text((path.read_text() if path.exists() else "") + '\n[tool.aurora]\ndesk = "canary"\n')
    return lab


def is_idle(lab: Lab) -> bool:
    """Return whether no process sends now."""
    with Outbox(lab.root / "runs").sending() as mine:
        return mine


def announced(lab: Lab) -> bool:
    """Return whether nothing is left in the outbox."""
    return Outbox(lab.root / "runs").unsent() == []


def head(lab: Lab) -> str:
    """Return the head of the ledger."""
    return str(json.loads(lab.command("verify", "--json").stdout)["head"])


def test_opening_and_seal_are_announced(desk: Lab) -> None:
    """Issue: the head goes into the alert's text when the run is opened and when it is sealed; the first is quiet."""
    with PushServer() as server:
        done = desk.command("runbook", "book", env={"NTFY_URL": server.address})
        assert done.returncode == 0, done.stderr
        wait_until(lambda: len(server.received) == 2 and announced(desk))
    first, last = server.received
    assert (first.headers["Title"], first.headers["Priority"]) == ("book: begun", "min")
    assert (last.headers["Title"], last.headers["Priority"]) == ("book: green", "low")
    run = desk.last().folder.name
    assert last.text == f"{run} ended green, and is sealed.\naurora canary {head(desk).replace(':', ' ')}"


def test_red_run_is_loud(desk: Lab) -> None:
    """A run that did not end well is told as loud as it should be."""
    with PushServer() as server:
        desk.command("runbook", "book", "--no-good", env={"NTFY_URL": server.address})
        wait_until(lambda: len(server.received) == 2 and announced(desk))
    assert (server.received[1].headers["Title"], server.received[1].headers["Priority"]) == ("book: red", "high")


def test_saved_alerts_are_a_witness(desk: Lab, tmp_path: Path) -> None:
    """What the server received verifies the ledger, and refutes one that was rolled back since."""
    with PushServer() as server:
        for _ in range(2):
            desk.command("runbook", "book", env={"NTFY_URL": server.address})
        wait_until(lambda: len(server.received) == 4 and announced(desk))
        saved = tmp_path / "saved.txt"
        saved.write_text("\n".join(each.text for each in server.received))
    done = desk.command("verify", "--witness-file", str(saved))
    assert (done.returncode, "WITNESS_ABSENT" in done.stdout) == (0, False), done.stdout
    ledger = desk.root / "runs/ledger.jsonl"
    ledger.write_bytes(b"".join(ledger.read_bytes().splitlines(keepends=True)[:2]))
    assert "WITNESS_MISMATCH" in desk.command("verify", "--witness-file", str(saved)).stdout


def test_network_that_is_down_holds_nothing_up(desk: Lab) -> None:
    """Engine rule 27: what can't be sent stays in the outbox, is said by status, and goes out by hand or with a run."""
    nowhere = "http://127.0.0.1:9/topic"
    assert desk.command("runbook", "book", env={"NTFY_URL": nowhere}).returncode == 0
    wait_until(lambda: _log(desk).count("nothing listens") >= 2 and is_idle(desk))
    assert len(Outbox(desk.root / "runs").unsent()) == 2
    assert "2 announcements" in desk.command("status").stdout
    done = desk.command("announce", env={"NTFY_URL": nowhere})
    assert (done.returncode, "nothing listens at that address" in done.stdout) == (1, True)
    with PushServer() as server:
        done = desk.command("announce", env={"NTFY_URL": server.address})
        assert (done.returncode, len(server.received)) == (0, 2)
    assert desk.command("announce").stdout == "nothing is left to announce\n"


def test_profile_that_does_not_push_announces_nothing(lab: Lab) -> None:
    """Where alerts tell nobody, no head leaves, and nothing is kept for ever in an outbox."""
    lab.book(BOOK)
    with PushServer() as server:
        lab.command("runbook", "book", env={"NTFY_URL": server.address})
        assert lab.command("announce", env={"NTFY_URL": server.address}).returncode == 0
        assert server.received == []
    assert not (lab.root / "runs/.outbox").exists()


def test_file_that_is_none_is_said_and_does_not_stop_the_others(desk: Lab) -> None:
    """An outbox that was meddled with: what can be sent is sent, what can't be read is named."""
    desk.command("runbook", "book", env={"NTFY_URL": "http://127.0.0.1:9/x"})
    wait_until(lambda: _log(desk).count("nothing listens") >= 2 and is_idle(desk))
    (desk.root / "runs/.outbox/000000000-odd.json").write_text("{")
    with PushServer() as server:
        done = desk.command("announce", env={"NTFY_URL": server.address})
        assert (done.returncode, len(server.received)) == (1, 2)
    assert "000000000-odd.json is no announcement" in done.stdout


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_git_witness_gets_each_seal(desk: Lab, tmp_path: Path) -> None:
    """Issue: when configured, the ledger goes to a git remote; verify asks that for its head."""
    remote = tmp_path / "remote.git"
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    subprocess.run(["git", "init", "--quiet", "--bare", str(remote)], check=True, env=env)
    path = desk.root / "pyproject.toml"
    path.write_text(path.read_text() + f'witness = "{remote}"\n')
    desk.command("runbook", "book")
    wait_until(lambda: "is at the git witness" in _log(desk) and "the git witness can be rewound" in _log(desk))
    done = desk.command("verify", "--witness-git")
    assert (done.returncode, "WITNESS_ABSENT" in done.stdout) == (0, False), done.stdout
    shutil.rmtree(desk.root / "runs")
    desk.command("runbook", "book")
    wait_until(lambda: "another history" in _log(desk))
    done = desk.command("verify", "--witness-git")
    assert (done.returncode, "WITNESS_MISMATCH" in done.stdout) == (8, True)
    assert desk.command("announce").returncode == 8


def _log(lab: Lab) -> str:
    path = lab.root / "logs/announce.log"
    return path.read_text() if path.exists() else ""


def test_witness_that_is_not_there_can_not_be_asked(desk: Lab, tmp_path: Path) -> None:
    """Without a git witness, or with files that hold no head, verify checks nothing: exit 2, and what to do."""
    desk.command("runbook", "book")
    (tmp_path / "empty.txt").write_text("nothing here\n")
    for words in (["--witness-git"], ["--witness-file", str(tmp_path / "empty.txt")], ["--witness-file", "nowhere"]):
        done = desk.command("verify", *words)
        assert (done.returncode, done.stdout) == (2, ""), words
        assert "to do:" in done.stderr


LEAK = """
    import os
    from aurora.engine.context import Context
    from aurora.engine.registry import step

    @step(repeat="safe")
    def leak(context: Context) -> None:
        run = next(path for path in context.artifacts.parents if (path / "journal.jsonl").exists())
        (run / "notes.txt").write_text("token=" + os.environ["LAB_TOKEN"])
"""


def test_run_that_holds_a_secret_is_not_sealed(lab: Lab) -> None:
    """Design: what holds a secret is refused its seal; it is said which file, nothing is lost, and verify says so."""
    lab.steps("leaks", LEAK)
    lab.book("\n    steps:\n      - {id: a, uses: leaks.leak}\n")
    done = lab.command("runbook", "book", env={"LAB_TOKEN": "a-very-secret-token"})
    run = lab.last().folder
    assert f"not sealed: The run {run.name} holds a secret in notes.txt." in done.stdout
    assert "a-very-secret-token" not in done.stdout + done.stderr
    assert not (run / "evidence.json").exists()
    done = lab.command("verify")
    assert (done.returncode, "RUN_UNSEALED" in done.stdout) == (8, True)
    (run / "notes.txt").unlink()
    lab.book(BOOK, "other")
    assert f"the run {run.name} had ended without its seal; it is sealed now" in lab.command("runbook", "other").stdout
    assert lab.command("verify").returncode == 0
