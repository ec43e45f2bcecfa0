"""`python -m benchmarks`: measure, and print a table or JSON."""

from __future__ import annotations

import argparse
import compileall
import json
import os
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks import (
    engine,
    growth,
    kill,
    leave,
    lint,
    memory,
    peers,
    rollup,
    router,
    session,
    start,
    ticks,
    verify,
    wire,
)
from benchmarks.measure import Group, Size
from benchmarks.project import ROOT
from benchmarks.table import table

BENCHMARKS: dict[str, Callable[[Size], Group]] = {
    "start": start.measure,
    "lint": lint.measure,
    "engine": engine.measure,
    "memory": memory.measure,
    "verify": verify.measure,
    "others": peers.measure,
    "growth": growth.measure,
    "records": verify.measure_growth,
    "kill": kill.measure,
    "session": session.measure,
    "ticks": ticks.measure,
    "wire": wire.measure,
    "router": router.measure,
    "hour": wire.measure_hour,
    "leave": leave.measure,
    "rollup": rollup.measure,
    "long_rollup": rollup.measure_long,
}
NIGHTLY = ("growth", "records", "ticks", "hour", "leave", "rollup", "long_rollup")


def main(words: Sequence[str] | None = None) -> int:
    """Measure what was asked for. A budget that is not kept is shown, and is no error: machines differ."""
    options = _parser().parse_args(words)
    size = Size(options.rounds, options.folder, options.steps, peers=options.peers)
    if options.tiny:
        size = replace(size, rounds=1, steps=3, long_steps=10, sealed_runs=3, ticks=40_000, positions=2, warm_up=0)
    else:
        compileall.compile_dir(ROOT / "aurora", quiet=1)  # a start must not measure Python's compiler
    options.folder.mkdir(parents=True, exist_ok=True)
    groups = {}
    for name in options.only or [name for name in BENCHMARKS if name not in NIGHTLY or options.nightly]:
        groups[name] = BENCHMARKS[name](size)
        if not options.json:
            print(table(groups[name]), end="\n\n", flush=True)
    if options.json:
        print(json.dumps({"machine": machine(), "groups": {name: group.data() for name, group in groups.items()}}))
    return 0


def machine() -> dict[str, object]:
    """Return what figures hang on: the Python, the platform and the number of processors."""
    return {"python": platform.python_version(), "platform": platform.platform(), "processors": os.cpu_count()}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure budgets beside their floors.")
    names = ", ".join(BENCHMARKS)
    parser.add_argument("--only", action="append", choices=BENCHMARKS, metavar="NAME", help=f"one of: {names}")
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="how often each is measured (default 7)")
    parser.add_argument("--steps", type=int, default=200, metavar="N", help="steps in a row (default 200)")
    parser.add_argument(
        "--nightly", action="store_true", help="growth, ticks, hour, leave, rollups, too: 10,000 steps, 1,000,000 ticks"
    )
    parser.add_argument("--tiny", action="store_true", help="only see that everything can be measured")
    parser.add_argument(
        "--folder", type=Path, default=ROOT / "runs", help="where to run; a sync costs what the disk there asks (runs/)"
    )
    parser.add_argument(
        "--peers", metavar="PYTHON", help="a Python that has dbos, doit and prefect, to compare Aurora with them"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser


if __name__ == "__main__":
    sys.exit(main())
