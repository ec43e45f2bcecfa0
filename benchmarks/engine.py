"""The engine's own time: no-op steps one after the other, beside two synced, hash-chained lines a step."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from benchmarks.measure import Case, Figure, Group, Size, in_turns
from benchmarks.project import AURORA, Bench, bench, noops, written_step
from benchmarks.start import when

FLOOR = "two synced lines a step"
NOOPS, WRITTEN = "noops", "written"
BUDGET_MS = 1.0
TIMES_FLOOR = 2.0
_sync = getattr(os, "fdatasync", os.fsync)


def measure(size: Size) -> Group:
    """Run `size.steps` steps in a process of their own."""
    with bench(size) as project:
        project.book(NOOPS, noops(size.steps))
        project.book(WRITTEN, [written_step(number) for number in range(size.steps)])
        cases: list[Case] = [lambda: {FLOOR: bare(project.root / "floor.jsonl", size.steps)}]
        cases += [partial(_a_step, project, name) for name in (NOOPS, WRITTEN)]
        values = in_turns(cases, size)
    floor = values[FLOOR]
    figures = [
        Figure(FLOOR, "ms", floor),
        Figure("a step that does nothing", "ms", values[NOOPS], floor, BUDGET_MS, TIMES_FLOOR),
        Figure("a step with arguments and a gate", "ms", values[WRITTEN], floor),
    ]
    return Group(f"engine, {size.steps:,} steps in a row", figures)


def _a_step(project: Bench, book: str) -> Mapping[str, float]:
    """Return the milliseconds from one step's end to the next one's: the first has a worker to wait for."""
    project.call([*AURORA, "runbook", book])
    ends = [when(event) for event in project.events() if event.type == "step.finished"]
    return {book: (ends[-1] - ends[0]) / (len(ends) - 1) * 1000}


def bare(path: Path, steps: int) -> float:
    """Write what the journal writes of so many steps, with nothing around it; return milliseconds a step."""
    head = "0" * 64
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_TRUNC, 0o644)
    clock = time.perf_counter()
    for number in range(steps):
        for type_, data in _lines(number):
            line = {"seq": number, "prev": head, "ts": "2026-11-22T14:30:00.000000Z", "type": type_, "data": data}
            raw = json.dumps(line, separators=(",", ":")).encode() + b"\n"
            os.write(descriptor, raw)
            _sync(descriptor)
            head = hashlib.sha256(raw).hexdigest()
    seconds = time.perf_counter() - clock
    os.close(descriptor)
    return seconds / steps * 1000


def _lines(number: int) -> list[tuple[str, dict[str, object]]]:
    step = f"s{number}"
    token = f"2026-11-22T143000Z-steps:{step}:1"
    end: dict[str, object] = {
        "status": "passed",
        "reason": "",
        "outputs": None,
        "gates": [],
        "error": None,
        "elapsed_s": 0.000123,
    }
    return [
        ("step.started", {"step": step, "attempt": 1, "token": token, "with": {}}),
        ("step.finished", {"step": step, "attempt": 1, **end, "log": [], "artifacts": [], "simulated": False}),
    ]
