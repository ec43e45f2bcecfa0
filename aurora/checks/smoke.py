"""Smoke: the whole system as its user runs it, in a desk beside this one, on a simulated gateway, within a minute.

Each part is one command in a process of its own. Sessions on the gateway live on the next trading day at 10:30 in New
York, whatever day it is: the gateway and they are set ahead by as much.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import aurora
from aurora.clock import Clock
from aurora.errors import OperatorError
from aurora.housekeeping.drill import ACCOUNT, CLIENT_ID, PROFILE, SCENARIO, SYMBOLS
from aurora.housekeeping.side_desk import make_side_desk, passing_key, run_beside, side_environment, simulated_gateway
from aurora.market.calendar import session_hours
from aurora.market.hours import exchange_day, in_new_york

LONGEST_S = 120.0
"""For one part; the whole may take a minute, and what hangs is to be seen as that."""
STARTS = time(10, 30)
TOLD_LINES = 12
_PAPER = "extends: base\nvenue: paper\naccount: {id: env:IB_ACCOUNT}\n"
_CANARY = "extends: live_canary\nvenue: paper\nlive: false\nsecrets: []\nalerts: {push: false}\n"
_ON_WIRE = ("session", "--quotes", "ibkr", "--poll-sec", "0.25", "--json")

PARTS: dict[str, tuple[str, ...]] = {
    "lint": ("lint",),
    "rehearsal": (
        *("runbook", "go-live", "--profile", "sim", "--steps", "20"),
        *("--answers", "profiles/answers/rehearse.yaml"),
    ),
    "maintenance": ("runbook", "maintenance", "--profile", "sim", "--minutes", "2"),
    "paper": (*_ON_WIRE, "--symbols", "SPY", "--steps", "3", "--profile", "smoke_paper"),
    "shadow": (*_ON_WIRE, "--symbols", "SPY", "--steps", "3", "--profile", "smoke_paper", "--shadow"),
    "canary": (*_ON_WIRE, "--symbols", ",".join(SYMBOLS), "--steps", "20", "--profile", "smoke_canary", "--shadow"),
    "emergency": ("runbook", "emergency", "--profile", "drill", "--why", "smoke", "--minutes", "1"),
    "reconcile": ("reconcile", "--profile", "drill", "--dry-run"),
    "verify": ("verify",),
}
"""By name: what a part types. `lint` to `verify` in this order is the whole system."""


@dataclass(frozen=True)
class SmokePart:
    """One command: how it exited, and how long it took."""

    name: str
    exit_code: int
    took_s: Decimal


@dataclass(frozen=True)
class Smoked:
    """What came of it. took_s: of all parts, and of making the desk. problems: each part that did not exit 0."""

    took_s: Decimal
    parts: list[SmokePart]
    problems: list[str]


def smoke(root: Path, folder: Path, parts: Sequence[str], clock: Clock, say: Callable[[str], object]) -> Smoked:
    """Run `parts` (names of PARTS, in that order) of the project at `root`; all that they write is in `folder`.

    Raises OperatorError for a part that there is not, and when the gateway can't be started.
    """
    unknown = [name for name in parts if name not in PARTS]
    if unknown or not parts:
        raise OperatorError(
            f"Smoke has no part {', '.join(unknown) or 'to run'}.", todo=f"name some of: {', '.join(PARTS)}"
        )
    began = clock.monotonic()
    desk = _make_desk(root, folder)
    done: list[SmokePart] = []
    problems: list[str] = []
    with contextlib.ExitStack() as stack:
        environment = _environment(clock.now(), stack, desk)
        for name in parts:
            part, said = _run(name, desk, environment, clock)
            done.append(part)
            say(f"{name}: exit {part.exit_code}, {part.took_s} s")
            if part.exit_code != 0:
                problems.append(f"{name}: exit {part.exit_code}; by hand: invoke {' '.join(PARTS[name])}")
                for line in said.splitlines()[-TOLD_LINES:]:
                    say(f"  {line}")
    return Smoked(_seconds(clock.monotonic() - began), done, problems)


def _make_desk(root: Path, folder: Path) -> Path:
    desk = make_side_desk(root, folder)
    for name, text in (("drill", PROFILE), ("smoke_paper", _PAPER), ("smoke_canary", _CANARY)):
        (desk / f"profiles/{name}.yaml").write_text(text)
    return desk


def _environment(now: datetime, stack: contextlib.ExitStack, desk: Path) -> dict[str, str]:
    """Return the environment of all parts; their gateway runs until `stack` is closed."""
    folders = [str(Path(__file__).parent / "ahead"), str(Path(aurora.__file__).parents[1])]
    path = os.pathsep.join([*folders, *filter(None, [os.environ.get("PYTHONPATH", "")])])
    ahead = {"PYTHONPATH": path, "AURORA_AHEAD_S": str((_next_start(now) - now).total_seconds())}
    words = ("--symbols", ",".join(SYMBOLS), "--quotes", "dummy:seed=7,gaps_per_hour=0")
    scenario = SCENARIO.format(account=ACCOUNT)
    address = stack.enter_context(simulated_gateway(desk, scenario, words, {**os.environ, **ahead}))
    return {**side_environment(address, ACCOUNT, CLIENT_ID), **ahead, **stack.enter_context(passing_key())}


def _next_start(now: datetime) -> datetime:
    """Return 10:30 in New York of the next day that the exchange is open."""
    day = exchange_day(now) + timedelta(days=1)
    while session_hours(day) is None:
        day += timedelta(days=1)
    return in_new_york(day, STARTS)


def _run(name: str, desk: Path, environment: dict[str, str], clock: Clock) -> tuple[SmokePart, str]:
    began = clock.monotonic()
    try:
        code, said = run_beside(desk, environment, PARTS[name], LONGEST_S)
    except OperatorError as late:
        code, said = 1, late.what
    return SmokePart(name, code, _seconds(clock.monotonic() - began)), said


def _seconds(seconds: float) -> Decimal:
    return Decimal(str(round(seconds, 1)))
