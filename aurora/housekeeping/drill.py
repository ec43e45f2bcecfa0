"""An emergency drill: a simulated IB Gateway that holds positions, a desk beside this one, and the emergency for real.

The commands are those that a trader types, each in a process of its own (`side_desk`).
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aurora.housekeeping.side_desk import make_side_desk, passing_key, run_beside, side_environment, simulated_gateway

ACCOUNT = "DU1234567"
CLIENT_ID = 71
KEY_S = 30.0
SYMBOLS = ("SPY", "TSLA")
SCENARIO = """
scenario: drill
settings:
  account: {account}
  wall_clock: true
  positions:
    - {{symbol: SPY, quantity: 300, average_cost: 100}}
    - {{symbol: TSLA, quantity: -40, average_cost: 100}}
"""
PROFILE = """
extends: base
mode: live
venue: paper
account: {id: env:IB_ACCOUNT}
"""


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
    desk = make_side_desk(root, folder)
    (desk / "profiles/drill.yaml").write_text(PROFILE)
    with contextlib.ExitStack() as stack:
        if not gateway:
            symbols = ("--symbols", ",".join(SYMBOLS))
            gateway = stack.enter_context(simulated_gateway(desk, SCENARIO.format(account=ACCOUNT), symbols))
        environment = side_environment(gateway, ACCOUNT, CLIENT_ID) | stack.enter_context(passing_key())
        run_beside(desk, environment, ("keys", "init"), KEY_S)
        words = ("runbook", "emergency", "--profile", "drill", "--why", "a drill", "--minutes", str(minutes))
        code, said = run_beside(desk, environment, words, minutes * 60 + 180)
    for line in said.splitlines():
        say(line)
    return _result(desk, code, gateway)


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
