"""The day's one command over a simulated gateway in a process of its own: real sockets, real quotes, short sessions."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway.kit import is_installed
from tests.runbooks.wire import WiredDesk, gateway, seconds_until, wired_desk

pytestmark = pytest.mark.skipif(
    not (is_installed("ib_async") or is_installed("ib_insync")), reason="no client of Interactive Brokers is installed"
)
PAPER = "DU7"
GATEWAY = {"settings": {"account": PAPER, "wall_clock": True}}
MAINTENANCE = ("runbook", "maintenance", "--profile", "short", "--quotes", "ibkr", "--minutes", "0.05", "--ntfy")
"""Three seconds a session: a look at the quotes each 0.1 s, a second of them to warm up."""


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[WiredDesk]:
    """Return a desk with a paper account, on a trading day at 10:30 in New York."""
    with wired_desk(tmp_path, seconds_until(10, 30)) as made:
        made.environment["IB_ACCOUNT"] = PAPER
        (tmp_path / "profiles/short.yaml").write_text("extends: paper_account\nsession: {poll_sec: 0.1}\n")
        yield made


@pytest.mark.slow
def test_a_day_on_the_accounts_quotes_exits_0(desk: WiredDesk) -> None:
    """Preflight, paper, canary in shadow, records, rollups, housekeeping and the summary on the phone: exit 0."""
    with gateway(desk, GATEWAY) as port:
        done = desk.aurora(*MAINTENANCE, IB_PORT=port)
    assert done.returncode == 0, done.stdout + done.stderr
    ends = desk.ends()
    assert {name: end["status"] for name, end in ends.items() if end["status"] != "passed"} == {}
    assert ends["preflight/port"]["outputs"]["address"] == f"127.0.0.1:{port}"
    for part in ("paper", "canary"):
        outputs = ends[part]["outputs"]
        assert (outputs["quotes"], outputs["realtime"], outputs["flat"]) == ("ibkr", True, True)
        assert outputs["bars_decided"] > 0
        assert ends[f"{part}_record"]["outputs"]["valid"] is True
    assert ends["canary"]["outputs"]["orders_sent"] == 0
    assert ends["summary"]["outputs"]["notified"] is True


def test_no_gateway_is_exit_2_and_says_where_it_looked(desk: WiredDesk) -> None:
    """Nothing listens at IB_PORT: preflight is red, no session runs, the issue is filed, a person is told."""
    done = desk.aurora(*MAINTENANCE, IB_PORT="9")
    ends = desk.ends()
    assert done.returncode == 2, done.stdout + done.stderr
    assert ends["preflight/port"]["outputs"] == {
        "open": False,
        "address": "127.0.0.1:9",
        "reason": "Connection refused",
    }
    assert (ends["paper"]["status"], ends["canary"]["status"]) == ("omitted", "omitted")
    assert ends["issue"]["outputs"]["action"] == "created"
    assert ends["summary"]["outputs"]["notified"] is True


def kill_in(desk: WiredDesk, phase: str, port: str, *words: str) -> None:
    """Start maintenance, and kill its engine with SIGKILL as soon as it says that it is in `phase`."""
    command = [sys.executable, "-m", "aurora", *MAINTENANCE, *words]
    environment = {**desk.environment, "IB_PORT": port}
    with subprocess.Popen(command, cwd=desk.root, env=environment, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, text=True) as engine:  # fmt: skip
        assert engine.stdout is not None
        for line in engine.stdout:
            if line.startswith(f"▶ {phase}  "):
                engine.kill()
                break
    assert engine.returncode == -signal.SIGKILL


@pytest.mark.slow
def test_killed_in_each_phase_the_next_day_is_whole(desk: WiredDesk) -> None:
    """SIGKILL in each phase, one run after the other: each next one gets as far, the last is whole, and is said."""
    with gateway(desk, GATEWAY) as port:
        kill_in(desk, "preflight/port", port)
        kill_in(desk, "paper", port)
        for phase in ("canary", "housekeeping/tidy", "summary"):  # the canary after it finds its client id free again
            kill_in(desk, phase, port, "--skip-paper")
        done = desk.aurora(*MAINTENANCE, IB_PORT=port)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {end["status"] for end in desk.ends().values()} == {"passed"}
    records = [path.read_text().splitlines() for path in desk.root.glob("runs/*/**/session.jsonl")]
    assert [json.loads(lines[-1])["type"] for lines in records if lines] == ["session.closed"] * len(records)
