"""Play simulated days again: `python -m tests.simulation SEED [TO]` prints what happened and what did not hold."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.simulation.invariants import broken
from tests.simulation.world import World


def play(seed: int, *, tells: bool) -> bool:
    """Play one day; print it when it is asked for, or when something in it did not hold."""
    with tempfile.TemporaryDirectory() as folder:
        world = World(seed, Path(folder)).live()
        faults = broken(world)
        if tells or faults:
            print(f"seed {seed}")
            for rule in world.rules:
                print(f"  rule {rule}")
            for life in world.lives:
                end = life.refused or ("killed" if life.killed else life.result and life.result.ended)
                print(
                    f"  {life.began_s:.2f} to {life.ended_s:.2f} s: {end}; held {life.held or 'nothing'}; {life.fate}"
                )
            for arrival in world.arrivals:
                order = arrival.order
                print(
                    f"  {arrival.at_s:8.2f} s {order.ref} {order.side} {order.terms.quantity} {order.listing.symbol} "
                    f"at {order.terms.limit}: {order.status}, {order.filled} filled; held {arrival.held} before"
                )
            for path in sorted(Path(folder).glob("orders/*/*.jsonl")):
                print(path.read_text() if tells else "")
        for fault in faults:
            print(f"  BROKEN {fault}")
    return not faults


if __name__ == "__main__":
    first, last = int(sys.argv[1]), int(sys.argv[-1])
    good = [play(seed, tells=first == last) for seed in range(first, last + 1)]
    print(f"{sum(good)} of {len(good)} days held")
    sys.exit(not all(good))
