"""Seeded days over the simulated gateway, with random faults, kills and crashes: what must hold, holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aurora.execution import in_flight, router
from aurora.execution.flatten import Flatten
from aurora.execution.in_flight import InFlight
from aurora.execution.router import Router
from aurora.risk.kill_switch import KillSwitch
from aurora.risk.lockout import Lockout
from aurora.session.leaving import Left, WayOut
from tests.simulation.invariants import broken
from tests.simulation.world import World

NORMAL = 200
NIGHTLY = 10_000
PER_TEST = 100


def hold(seed: int, folder: Path) -> None:
    """Play a day, and fail with the command that plays it again."""
    folder.mkdir()
    faults = broken(World(seed, folder).live())
    assert not faults, "\n".join([*faults, f"again: python -m tests.simulation {seed}"])


@pytest.mark.parametrize("seed", range(NORMAL))
def test_day_holds(tmp_path: Path, seed: int) -> None:
    """Issue: no limit exceeded, no order twice, nothing opened after a stop, each exit open, every fill on record."""
    hold(seed, tmp_path / "desk")


@pytest.mark.nightly
@pytest.mark.timeout(600)
@pytest.mark.parametrize("first", range(NORMAL, NIGHTLY, PER_TEST))
def test_many_days_hold(tmp_path: Path, first: int) -> None:
    """The same, of ten thousand days."""
    for seed in range(first, first + PER_TEST):
        hold(seed, tmp_path / f"desk-{seed}")


@pytest.mark.parametrize("seed", [1, 37, 69])
def test_day_is_the_same_again(tmp_path: Path, seed: int) -> None:
    """A seed that is played again gives the same orders, executions and record, byte for byte."""

    def play(name: str) -> tuple[object, ...]:
        folder = tmp_path / name
        folder.mkdir()
        world = World(seed, folder).live()
        records = [path.read_bytes() for path in sorted(folder.glob("orders/*/*.jsonl"))]
        came = [(arrival.at_s, arrival.order.ref, arrival.order.filled) for arrival in world.arrivals]
        return came, [(life.began_s, life.ended_s, life.refused) for life in world.lives], records

    assert play("a") == play("b")


def nothing(*_: object, **__: object) -> None:
    """Guard nothing."""


def no_reason(*_: object) -> tuple[str, ...]:
    """Find no limit broken."""
    return ()


def flat_already(*_: object, **__: object) -> Left:
    """Say that it is flat, and do nothing for it."""
    return Left([], True, "")


rare = pytest.mark.nightly
"""It takes dozens of days until one needs this guard; each has a test of its own elsewhere, too."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("where", "guard", "instead", "says"),
    [
        pytest.param(Router, "_last_look", lambda _: "", "the kill flag stood", marks=rare),
        pytest.param(KillSwitch, "require_clear", nothing, "was not refused", marks=rare),
        (Lockout, "require_none", nothing, "was not refused"),
        pytest.param(router, "check_opening", no_reason, "opened with fees of", marks=rare),
        (router, "check_exposure", no_reason, "brought all to"),
        pytest.param(router, "check_pace", no_reason, "of a minute", marks=rare),
        (router, "is_reducing", lambda *_: True, "brought all to"),
        pytest.param(in_flight, "POSITION_LAG_S", 0.0, "brought all to", marks=rare),
        pytest.param(InFlight, "_told", InFlight._position, "", marks=rare),
        (WayOut, "flatten", flat_already, "said that it was flat"),
        pytest.param(Flatten, "_look_twice", Flatten._look_anew, "said that it was flat", marks=rare),
    ],
)
def test_days_without_a_guard_do_not_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: Any, guard: str, instead: object, says: str
) -> None:
    """Each guard, taken away, is missed: within some days something no longer holds."""
    monkeypatch.setattr(where, guard, instead)
    for seed in range(300):
        folder = tmp_path / f"desk-{seed}"
        folder.mkdir()
        faults = broken(World(seed, folder).live())
        if any(says in fault for fault in faults):
            return
    pytest.fail(f"no day of 300 needed {guard}")
