"""Seeded days over the simulated gateway, with random faults, kills and crashes: what must hold, holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aurora.execution import in_flight, recovery, router
from aurora.execution.in_flight import InFlight
from aurora.execution.order_journal import OrderJournal
from aurora.execution.recovery import Inquiry
from aurora.risk.kill_switch import KillSwitch
from aurora.risk.lockout import Lockout
from aurora.session import run as runner
from aurora.session.ordering import Orders
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
