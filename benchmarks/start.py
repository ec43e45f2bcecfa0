"""Start-up: from a process's start to the first step on record, beside what Python and invoke alone cost."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime

from aurora.journal import Event
from benchmarks.measure import Case, Figure, Group, Size, in_turns
from benchmarks.project import AURORA, INVOKE, Bench, bench, shipped

PYTHON, IMPORT_INVOKE = "python -c pass", 'python -c "import invoke"'
FIRST, GO_LIVE = "invoke, to step.started", "invoke go-live, to step.started"
BUDGET_S = 0.35


def measure(size: Size) -> Group:
    """Start a runbook of one step with `invoke` and with `aurora`, and rehearse the shipped go-live."""
    with bench(size) as project, shipped(size) as real:
        project.book("one", ["{id: only, uses: bench.called}"])
        cases: list[Case] = [
            lambda: {PYTHON: project.call([sys.executable, "-c", "pass"]).seconds},
            lambda: {IMPORT_INVOKE: project.call([sys.executable, "-c", "import invoke"]).seconds},
            lambda: _run(project, "invoke", INVOKE),
            lambda: _run(project, "aurora", AURORA),
            lambda: {GO_LIVE: _rehearse(real)},
        ]
        values = in_turns(cases, size)
    figures = [Figure(name, "s", values.pop(name)) for name in (PYTHON, IMPORT_INVOKE)]
    floors = {"aurora": figures[0].values, "invoke": figures[1].values}
    for name, seconds in values.items():
        budget = BUDGET_S if name in (FIRST, GO_LIVE) else None
        figures.append(Figure(name, "s", seconds, floors[name[:6]], budget))
    return Group("start-up", figures)


def _run(project: Bench, program: str, command: Sequence[str]) -> Mapping[str, float]:
    ended = project.call([*command, "runbook", "one"])
    events = {event.type: event for event in project.events()}
    return {
        f"{program}, to step.started": when(events["step.started"]) - ended.started,
        f"{program}, to the call": events["step.finished"].data["outputs"]["at"] - ended.started,
        f"{program}, whole process": ended.seconds,
    }


def _rehearse(project: Bench) -> float:
    """Start go-live as its users do, in a dry run: the same way to the first step, a short one after it."""
    command = [*INVOKE, "runbook", "go-live", "--profile", "sim", "--dry-run"]
    ended = project.call(command, codes=(0, 3))  # a gate that is red here and now is none of our business
    return when(next(event for event in project.events() if event.type == "step.started")) - ended.started


def when(event: Event) -> float:
    """Return the time of an event in seconds since 1970."""
    return datetime.fromisoformat(event.ts).timestamp()
