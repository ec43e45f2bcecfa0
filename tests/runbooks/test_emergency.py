"""The emergency, and the commands below it, where half of the rest does not work: real processes, a real socket."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.commands.test_gateway import gateway_process
from tests.runbooks.test_shipped import aurora, desk, ends, journal

__all__ = ["desk"]
ACCOUNT = "DU1234567"
WIRE = "extends: base\nmode: live\nvenue: paper\naccount: {id: env:IB_ACCOUNT}\n"
SCENARIO = """
scenario: held
settings:
  wall_clock: true
  positions:
    - {symbol: SPY, quantity: 30, average_cost: 100}
    - {symbol: TSLA, quantity: -4, average_cost: 100}
"""
FULL = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); "
"""A disk that takes not one byte more, said by the kernel; pipes are not files."""


@contextmanager
def holding(folder: Path) -> Iterator[int]:
    """Run a gateway whose account holds a long and a short position; yield its port."""
    (folder / "held.yaml").write_text(SCENARIO)
    with gateway_process("--scenario", str(folder / "held.yaml")) as (_process, port):
        yield port


def on_wire(desk: Path, port: int, *words: str, before: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command on the gateway's account; `before` is code that its process runs first."""
    (desk / "profiles/wire.yaml").write_text(WIRE)
    program = [sys.executable, "-c", f"{before}from aurora.commands.main import entry; entry()"]
    address = {"BROKER": "ibkr", "IB_HOST": "127.0.0.1", "IB_PORT": str(port), "IB_CLIENT_ID": "31"}
    environment = {**os.environ, **address, "IB_ACCOUNT": ACCOUNT, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run([*program, *words, "--profile", "wire"], cwd=desk, env=environment, text=True, timeout=120,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False)  # fmt: skip


def test_emergency_is_rehearsed_on_sim(desk: Path) -> None:
    """By hand on sim: flag and lockout stand afterwards with the reason, and the log has the alarm."""
    done = aurora(desk, "runbook", "emergency", "--profile", "sim", "--why", "smoke in the room")
    assert done.returncode == 0, done.stdout + done.stderr
    statuses = {step: end["status"] for step, end in ends(desk).items()}
    assert statuses == dict.fromkeys(("stop", "flatten", "lockout", "tell", "issue"), "passed") | {
        "reconcile": "skipped"
    }
    assert "smoke in the room" in (desk / "kill.flag").read_text()
    assert "smoke in the room" in (desk / "runlocks/live.lock").read_text()
    alerts = [json.loads(line) for line in (desk / "logs/alerts.log").read_text().splitlines()]
    assert [each["title"] for each in alerts] == ["EMERGENCY on simulated: all done"]


def test_what_one_step_cannot_do_keeps_no_other_from_its_turn(desk: Path) -> None:
    """Where the lock can't be written, the account is flattened and a person is told all the same, and of what."""
    (desk / "runlocks").write_text("a file where a folder is to be")
    done = aurora(desk, "runbook", "emergency", "--profile", "sim")
    assert done.returncode != 0
    statuses = {step: end["status"] for step, end in ends(desk).items()}
    assert (statuses["lockout"], statuses["flatten"], statuses["tell"]) == ("broken", "passed", "passed")
    (line,) = (desk / "logs/alerts.log").read_text().splitlines()
    assert "lockout not done" in json.loads(line)["title"]


def test_drill_ends_flat_and_leaves_this_desk_alone(desk: Path) -> None:
    """The drill flattens a gateway's long and short, reconciles, is green and sealed, and sets no flag or lock here."""
    done = aurora(desk, "runbook", "drill")
    assert done.returncode == 0, done.stdout + done.stderr
    outputs = ends(desk)["emergency"]["outputs"]
    assert (outputs["flat"], outputs["reconciled"], outputs["flag_set"], outputs["locked_out"]) == (True,) * 4
    assert outputs["orders"] >= 2
    assert journal(desk)[-1]["data"]["outcome"] == "green"
    assert not (desk / "kill.flag").exists()
    assert not (desk / "runlocks/live.lock").exists()
    assert "sealed" in done.stdout


@pytest.mark.parametrize("trouble", ["broken runbooks and steps", "no key and no ledger", "a full disk"])
def test_flatten_works_where_the_rest_does_not(desk: Path, trouble: str) -> None:
    """`invoke flatten` needs no runbook, no step, no key and no disk: the account ends flat, exit 0."""
    before = ""
    if trouble == "broken runbooks and steps":
        for path in [*(desk / "runbooks").glob("*.yaml"), *(desk / "steps").glob("*.py")]:
            path.write_text("][ not yaml, not python\n")
    elif trouble == "no key and no ledger":
        (desk / "runs").write_text("no folder")
        (desk / ".keys").write_text("no folder")
    else:
        before = FULL
    with holding(desk) as port:
        seen = on_wire(desk, port, "status")
        assert "! position    30 SPY at 100.00 USD\n! position    -4 TSLA at 100.00 USD" in seen.stdout
        done = on_wire(desk, port, "flatten", "--minutes", "1", before=before)
        assert done.returncode == 0, done.stdout
        again = on_wire(desk, port, "flatten", "--dry-run")
    assert "nothing would be sent" in again.stdout
    assert "Traceback" not in done.stdout
    if trouble == "a full disk":
        assert "on no record" in done.stdout or "can't be" in done.stdout
