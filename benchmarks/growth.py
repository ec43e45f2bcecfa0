"""Growth: a run of ten times the steps beside a tenth of it: what a step costs must not grow with the plan."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from benchmarks.measure import Case, Figure, Group, Size, in_turns
from benchmarks.project import AURORA, Bench, bench, noops

TIMES = 10
AT_MOST = 12
ITEMS = "{id: each, foreach: '{{ steps.all.numbers }}', uses: bench.pass_on, with: {n: '{{ item }}'}}"
SHAPES: Mapping[str, Callable[[int], Sequence[str]]] = {
    "steps in a row": noops,
    "items of a foreach": lambda count: [f"{{id: all, uses: bench.count, with: {{to: {count}}}}}", ITEMS],
    "steps left out": lambda count: ["{id: no, gate: 1 == 2}", *noops(count)],
}


def measure(size: Size) -> Group:
    """Run each shape with `size.long_steps` and with ten times as many."""
    few, many = size.long_steps, size.long_steps * TIMES
    with bench(size) as project:
        cases: list[Case] = []
        for number, (shape, steps) in enumerate(SHAPES.items()):
            for count in (few, many):
                project.book(f"shape{number}-{count}", steps(count))
                cases.append(partial(_run, project, f"shape{number}-{count}", f"{count:,} {shape}"))
        values = in_turns(cases, replace(size, rounds=-(-size.rounds // 2)))
    figures = []
    for shape in SHAPES:
        floor = values[f"{few:,} {shape}"]
        figures.append(Figure(f"{few:,} {shape}", "s", floor))
        figures.append(Figure(f"{many:,} {shape}", "s", values[f"{many:,} {shape}"], floor, None, AT_MOST))
    return Group("growth, processor time", figures, beside="a tenth")


def _run(project: Bench, book: str, name: str) -> Mapping[str, float]:
    """Return the processor time of the whole command: in so long a run the disk's weather would hide what grows."""
    before = os.times()
    project.call([*AURORA, "runbook", book], codes=(0, 3))
    after = os.times()
    used = after.children_user - before.children_user + after.children_system - before.children_system
    return {name: used}
