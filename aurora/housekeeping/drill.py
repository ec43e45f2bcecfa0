"""An emergency drill: a simulated IB Gateway that holds positions, a desk beside this one, and the emergency for real.

The desk is a folder of its own with this project's runbooks and steps, so its kill flag, lockout and order journal are
not this project's. The commands are those that a trader types, each in a process of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aurora.errors import OperatorError

ACCOUNT = "DU1234567"
SYMBOLS = ("SPY", "TSLA")
START_S = 30.0
_SCENARIO = """
scenario: drill
settings:
  account: {account}
  wall_clock: true
  positions:
    - {{symbol: SPY, quantity: 300, average_cost: 100}}
    - {{symbol: TSLA, quantity: -40, average_cost: 100}}
"""
_PROFILE = """
extends: base
mode: live
venue: paper
account: {id: env:IB_ACCOUNT}
"""
_LISTENING = re.compile(r"listening on 127\.0\.0\.1:(\d+)")
_PROGRAM = (sys.executable, "-c", "from aurora.commands.main import entry; entry()")


@dataclass(frozen=True)
class Drilled:
    """What came of a drill.

    orders:   that the flatten sent. reconciled: record and venue agreed afterwards. exit_code: of the emergency's run.
    gateway:  where it was. statuses: of each step of the emergency.
    """

    flat: bool
    orders: int
    reconciled: bool
    flag_set: bool
    locked_out: bool
    exit_code: int
    gateway: str
    statuses: dict[str, str]


def drill_emergency(root: Path, folder: Path, gateway: str, minutes: float, say: Callable[[str], object]) -> Drilled:
    """Rehearse the emergency of the project at `root` in `folder`, which holds all that it writes.

    gateway: HOST:PORT of a simulated one that is up; "" starts one, which holds something. Raises OperatorError.
    """
    desk = _desk(root, folder)
    with contextlib.ExitStack() as stack:
        host, _, port = (gateway or f"127.0.0.1:{stack.enter_context(_gateway(root, folder))}").rpartition(":")
        environment = {**os.environ, "BROKER": "ibkr", "IB_HOST": host, "IB_PORT": port, "IB_CLIENT_ID": "71",
                       "IB_ACCOUNT": ACCOUNT, "CI": "true"}  # fmt: skip
        environment.pop("GITHUB_TOKEN", None)  # a drill files nothing
        words = ["runbook", "emergency", "--profile", "drill", "--why", "a drill", "--minutes", str(minutes)]
        code, said = _run(desk, environment, words, minutes * 60 + 180)
    for line in said.splitlines():
        say(line)
    return _result(desk, code, f"{host}:{port}")


def _desk(root: Path, folder: Path) -> Path:
    desk = folder / "desk"
    desk.mkdir(parents=True)
    for name in ("runbooks", "steps"):
        (desk / name).symlink_to(root / name)
    shutil.copytree(root / "profiles", desk / "profiles")
    shutil.copy(root / "pyproject.toml", desk)
    (desk / "profiles/drill.yaml").write_text(_PROFILE)
    return desk


@contextlib.contextmanager
def _gateway(root: Path, folder: Path) -> Iterator[int]:
    """Run a gateway in a process of its own while the context is open; yield its port."""
    scenario = folder / "drill.yaml"
    scenario.write_text(_SCENARIO.format(account=ACCOUNT))
    words = ["gateway", "--port", "0", "--scenario", str(scenario), "--symbols", ",".join(SYMBOLS)]
    with subprocess.Popen([*_PROGRAM, *words], cwd=root, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True) as process:  # fmt: skip
        late = threading.Timer(START_S, process.kill)
        late.start()
        try:
            assert process.stdout is not None
            heard: list[str] = []
            for line in process.stdout:
                heard.append(line)
                if found := _LISTENING.search(line):
                    late.cancel()
                    threading.Thread(target=process.stdout.read, daemon=True).start()  # or it would stand still, full
                    yield int(found[1])
                    return
            raise OperatorError(
                f"The simulated gateway did not start: {''.join(heard).strip() or 'it said nothing'}",
                means="nothing was drilled",
                todo="try it by hand: invoke gateway --port 0",
            )
        finally:
            late.cancel()
            process.kill()


def _run(desk: Path, environment: Mapping[str, str], words: list[str], limit_s: float) -> tuple[int, str]:
    try:
        done = subprocess.run([*_PROGRAM, *words], cwd=desk, env=environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=limit_s,
                              check=False)  # fmt: skip
    except subprocess.TimeoutExpired as late:
        raise OperatorError(
            f"The emergency did not end within {limit_s:.0f} s.", todo=f"look into {desk}/runs"
        ) from late
    return done.returncode, done.stdout


def _result(desk: Path, code: int, gateway: str) -> Drilled:
    ends: dict[str, Mapping[str, Any]] = {}
    for path in sorted((desk / "runs").glob("2*/journal.jsonl")):
        for line in path.read_text("utf-8").splitlines():
            event = json.loads(line)
            if event["type"] == "step.finished":
                ends[event["data"]["step"]] = event["data"]
    flatten = ends.get("flatten", {}).get("outputs") or {}
    reconcile = ends.get("reconcile", {}).get("outputs") or {}
    return Drilled(
        flat=flatten.get("flat") is True,
        orders=int(flatten.get("orders", 0)),
        reconciled=reconcile.get("clean") is True,
        flag_set=(desk / "kill.flag").exists(),
        locked_out=(desk / "runlocks/live.lock").exists(),
        exit_code=code,
        gateway=gateway,
        statuses={step: str(end["status"]) for step, end in ends.items()},
    )
