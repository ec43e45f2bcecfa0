"""Start-up: from a process's start to the first step on record, beside what Python and invoke alone cost."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime

from aurora.journal import Event
from benchmarks.measure import Case, Figure, Group, Size, in_turns
from benchmarks.project import AURORA, INVOKE, Bench, bench

PYTHON, IMPORT_INVOKE = "python -c pass", 'python -c "import invoke"'
BUDGET_S = 0.35


def measure(size: Size) -> Group:
    """Start a runbook of one step again and again, with `invoke` and with `aurora`."""
    with bench(size) as project:
        project.book("one", ["{id: only, uses: bench.called}"])
        cases: list[Case] = [
            lambda: {PYTHON: project.call([sys.executable, "-c", "pass"]).seconds},
            lambda: {IMPORT_INVOKE: project.call([sys.executable, "-c", "import invoke"]).seconds},
            lambda: _run(project, "invoke", INVOKE),
            lambda: _run(project, "aurora", AURORA),
        ]
        values = in_turns(cases, size)
    figures = [Figure(name, "s", values.pop(name)) for name in (PYTHON, IMPORT_INVOKE)]
    floors = {"aurora": figures[0].values, "invoke": figures[1].values}
    for name, seconds in values.items():
        budget = BUDGET_S if name == "invoke, to step.started" else None
        figures.append(Figure(name, "s", seconds, floors[name[:6]], budget))
    return Group("start-up, a runbook of one step", figures)


def _run(project: Bench, program: str, command: Sequence[str]) -> Mapping[str, float]:
    ended = project.call([*command, "runbook", "one"])
    events = {event.type: event for event in project.events()}
    return {
        f"{program}, to step.started": when(events["step.started"]) - ended.started,
        f"{program}, to the call": events["step.finished"].data["outputs"]["at"] - ended.started,
        f"{program}, whole process": ended.seconds,
    }


def when(event: Event) -> float:
    """Return the time of an event in seconds since 1970."""
    return datetime.fromisoformat(event.ts).timestamp()
