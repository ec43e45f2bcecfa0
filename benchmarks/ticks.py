"""Replayed ticks: a session over a day of recorded ticks; its memory late in the day beside early in it."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measure import Figure, Group, Size, in_turns
from benchmarks.project import ROOT

EARLY, LATE, TOOK = "after a tenth of the day", "at its end", "a tick, all told"
SYMBOLS = ("AAA", "BBB", "CCC", "DDD")
TICK_MS = 92
"""From one tick of a symbol to its next: 1,000,000 of four symbols fill a day."""
AT_MOST = 1.1


def measure(size: Size) -> Group:
    """Replay `size.ticks` ticks of four symbols, one poll a second, in a process of its own. Linux only: /proc."""
    title = f"{size.ticks:,} replayed ticks"
    if not Path("/proc/self/status").exists():
        return Group(f"{title} (not measured: no /proc here)", [])
    with TemporaryDirectory(dir=size.folder) as folder:
        _write_day(Path(folder), size.ticks)
        values = in_turns([lambda: _replay(Path(folder), size.ticks)], size)
    early = values[EARLY]
    figures = [Figure(f"resident {EARLY}", "MiB", early)]
    figures.append(Figure(f"resident {LATE}", "MiB", values[LATE], early, None, AT_MOST))
    return Group(title, [*figures, Figure(TOOK, "µs", values[TOOK])], beside="early")


def _write_day(folder: Path, ticks: int) -> None:
    """Write a day of Lean ticks, a bid and an ask by turns."""
    each = ticks // len(SYMBOLS)
    for symbol in SYMBOLS:
        path = folder / "data/equity/usa/tick" / symbol.lower() / "20131007_quote.zip"
        path.parent.mkdir(parents=True)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("quotes.csv", "".join(_lines(each)))


def _lines(ticks: int) -> Iterator[str]:
    for number in range(ticks):
        ms = 34_200_000 + number * TICK_MS
        cents = 10_000 + number // 50 % 40
        yield f"{ms},{cents * 100},500,0,0,N,1,0\n" if number % 2 else f"{ms},0,0,{cents * 100 + 100},500,P,1,0\n"


def _replay(folder: Path, ticks: int) -> Mapping[str, float]:
    command = [sys.executable, "-m", "benchmarks.ticks", str(folder), str(ticks)]
    said = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    early, late, took = (float(word) for word in said.split()[-3:])
    return {EARLY: early, LATE: late, TOOK: took / ticks * 1e6}


def resident_mib() -> float:
    """Return what this process holds in memory. Linux only."""
    found = re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def replay(folder: Path, ticks: int) -> None:
    """Run the session in this process, and print its memory early and late in MiB, and how many seconds it took."""
    import time  # noqa: PLC0415 - the imports of a session are not those of the benchmark

    from aurora.desk import Desk  # noqa: PLC0415 - the same
    from aurora.engine.profiles import load_profile  # noqa: PLC0415 - the same
    from aurora.market.mode import Mode  # noqa: PLC0415 - the same
    from aurora.session.run import Attempt, run_session  # noqa: PLC0415 - the same
    from aurora.session.settings import SessionRequest  # noqa: PLC0415 - the same

    early: list[float] = []

    def look(elapsed_s: float, _: float | None, __: str) -> None:
        if not early and elapsed_s >= ticks // len(SYMBOLS) * TICK_MS / 10_000:
            early.append(resident_mib())

    desk = Desk(ROOT, load_profile(ROOT, "sim"), {})
    request = SessionRequest(Mode.SHADOW, SYMBOLS, f"replay:{folder / 'data'}", poll_sec=Decimal(1))
    began = time.perf_counter()
    with TemporaryDirectory(dir=folder) as record:
        result = run_session(desk, request, Attempt("ticks", Path(record) / "a", look))
    took = time.perf_counter() - began
    if result.anomalies:
        raise SystemExit(f"the session did not see the day: {result.anomalies[0]}")
    sys.stdout.write(f"{early[0]} {resident_mib()} {took}\n")


if __name__ == "__main__":
    replay(Path(sys.argv[1]), int(sys.argv[2]))
