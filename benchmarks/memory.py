"""Memory: the most that the engine, a worker and its warden ever held, beside an empty Python."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from benchmarks.measure import Figure, Group, Size, in_turns
from benchmarks.project import Bench, bench, noops

FLOOR = "python -c pass"
PEAK = "import re; print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])"
ENGINE = f"import sys; from aurora.commands.main import main; code = main(['runbook', 'steps', '--json']); {PEAK}"


def measure(size: Size) -> Group:
    """Run `size.steps` steps and look at the peaks of resident memory. Linux only: they are read from /proc."""
    title = f"memory, {size.steps:,} steps, peak resident"
    if not Path("/proc/self/status").exists():
        return Group(f"{title} (not measured: no /proc here)", [])
    with bench(size) as project:
        project.book("steps", [*noops(size.steps), "{id: peaks, uses: bench.peaks}"])
        values = in_turns([lambda: _peaks(project)], size)
    floor = values.pop(FLOOR)
    return Group(title, [Figure(FLOOR, "MiB", floor), *(Figure(n, "MiB", v, floor) for n, v in values.items())])


def _peaks(project: Bench) -> Mapping[str, float]:
    alone, engine = (
        int(project.call([sys.executable, "-c", program]).output.split()[-1]) / 1024 for program in (PEAK, ENGINE)
    )
    ends = [event.data for event in project.events() if event.type == "step.finished"]
    return {FLOOR: alone, "engine": engine, **ends[-1]["outputs"]}
