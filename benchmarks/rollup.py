"""The rollup of a long record, beside DuckDB reading the same columns of the same file and keeping none of it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measure import Figure, Group, Size, in_turns
from benchmarks.project import ROOT

LONG = 10
"""How many times as many polls the long record has."""
BARE, ROLLED, MEMORY = "DuckDB reads every column", "the rollup", "resident at the most, the rollup"
BUDGET, MOST_MIB = 3.0, 2_048
ALIKE = 1_000
"""Lines that differ; they are repeated, numbered on: what is in them costs nothing to make."""


def measure(size: Size) -> Group:
    """Roll up a record of `size.ticks` polls of one symbol, and read it only, each in a process of its own."""
    return _measured(size, size.ticks)


def measure_long(size: Size) -> Group:
    """Do the same over a record ten times as long, in three rounds at the most: memory must not grow with it."""
    return _measured(replace(size, rounds=min(size.rounds, 3), warm_up=0), size.ticks * LONG)


def _measured(size: Size, polls: int) -> Group:
    with TemporaryDirectory(dir=size.folder) as folder:
        path = Path(folder) / "session.jsonl"
        with path.open("w") as file:
            file.writelines(_lines(polls))
        mib = path.stat().st_size / 2**20
        values = in_turns([lambda: _run("bare", path), lambda: _run("rolled", path)], size)
    figures = [
        Figure(BARE, "s", values[BARE]),
        Figure(ROLLED, "s", values[ROLLED], values[BARE], None, BUDGET),
        Figure(MEMORY, "MiB", values[MEMORY], None, MOST_MIB),
    ]
    return Group(f"rollup of {polls:,} polls, {mib:,.0f} MiB", figures, beside="bare")


def _lines(polls: int) -> Iterator[str]:
    for number in range(polls):
        second, cents = number % 86_400, number % ALIKE
        at = f"2026-01-05T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}.000000Z"
        yield (
            f'{{"type":"poll","n":{number + 1},"step":{number + 1},"due":"{at}","at":"{at}","since":[],'
            f'"quotes":{{"SPY":'
            f'{{"at":"{at}","bid":"16{cents % 10}.{cents % 90 + 10}","ask":"171.00","bid_size":1,"ask_size":1,'
            f'"halted":false}}}},"holds":{{}},"line":{{"down":"","delayed":""}},"notes":{{}},"weights":{{"SPY":"0.01"}},'
            f'"decisions":[],"orders":[],"fills":[],"positions":{{}},"cash":"100000","anomalies":[],"fallbacks":0,'
            f'"phase_times_ms":{{"quotes":0.{cents + 1},"tripwires":0.02,"features":0.01,"predict":0.02,"risk":0.03,'
            f'"route":0.0{cents % 9},"record":0.05}}}}\n'
        )


def _run(which: str, path: Path) -> Mapping[str, float]:
    command = [sys.executable, "-m", "benchmarks.rollup", which, str(path)]
    said = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    took, mib = (float(word) for word in said.split()[-2:])
    return {BARE: took} if which == "bare" else {ROLLED: took, MEMORY: mib}


def _bare(path: str) -> None:
    import duckdb  # noqa: PLC0415 - in the measured process alone

    from aurora.analytics.scan import _COLUMNS, LONGEST_LINE, MEMORY  # noqa: PLC0415 - the same

    with duckdb.connect(config={"memory_limit": MEMORY, "threads": 2}) as connection:
        connection.execute(
            f"SELECT count(COLUMNS(*)) FROM read_json(?, format = 'newline_delimited', records = 'true', "
            f"ignore_errors = true, maximum_object_size = {LONGEST_LINE}, columns = {_COLUMNS})",
            [path],
        ).fetchall()


def _rolled(path: str) -> None:
    from decimal import Decimal  # noqa: PLC0415 - in the measured process alone

    from aurora.analytics.scan import scan  # noqa: PLC0415 - the same

    found = scan(Path(path), Decimal(1))
    assert found.polls
    assert not found.unfit


if __name__ == "__main__":
    import resource

    began = time.perf_counter()
    (_bare if sys.argv[1] == "bare" else _rolled)(sys.argv[2])
    took_s = time.perf_counter() - began
    sys.stdout.write(f"{took_s} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}\n")
