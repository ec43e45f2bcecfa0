"""Lint: a generated runbook of many steps, beside composing the same bytes as YAML."""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import replace

import yaml

from benchmarks.measure import Case, Figure, Group, Size, in_turns
from benchmarks.project import AURORA, Bench, bench, written_step

BUDGET_S = 0.5
FLOOR = "yaml.compose with the C loader"
TEN_TIMES = 12
LINT = """
import sys, time
from aurora.engine.functions import FunctionTable
from aurora.engine.lint import lint_names
from aurora.engine.project import find_project

clock = time.perf_counter()
project = find_project()
faults = lint_names(project, sys.argv[1:], FunctionTable(project.root))
print(time.perf_counter() - clock)
sys.exit(str(faults[0]) if faults else 0)
"""
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def measure(size: Size) -> Group:
    """Lint it with the schema check remembered and not, and again with ten times the steps."""
    few, many = size.long_steps, size.long_steps * 10
    with bench(size) as project:
        for count in (few, many):
            project.book(f"steps{count}", [written_step(number) for number in range(count)])
        cases: list[Case] = [
            lambda: {FLOOR: _compose(project, few)},
            lambda: {"warm": _lint(project, few)},
            lambda: {"cold": _lint(project, few, cold=True)},
            lambda: {"whole": project.call([*AURORA, "lint", f"steps{few}"]).seconds},
        ]
        values = in_turns(cases, size)
        fewer = replace(size, rounds=-(-size.rounds // 2))
        growth = in_turns([lambda: {"few": _lint(project, few)}, lambda: {"many": _lint(project, many)}], fewer)
    floor = values[FLOOR]
    return Group(
        f"lint, {few:,} steps",
        [
            Figure(FLOOR, "s", floor),
            Figure("the schema known", "s", values["warm"], floor, BUDGET_S),
            Figure("the schema checked anew", "s", values["cold"], floor, BUDGET_S),
            Figure("the whole process, the schema known", "s", values["whole"], floor),
            Figure(f"{many:,} steps, beside {few:,}", "s", growth["many"], growth["few"], None, TEN_TIMES),
        ],
    )


def _compose(project: Bench, count: int) -> float:
    raw = project.project.path_of(f"steps{count}").read_bytes()
    clock = time.perf_counter()
    yaml.compose(raw, Loader=LOADER)
    return time.perf_counter() - clock


def _lint(project: Bench, count: int, *, cold: bool = False) -> float:
    """Return the seconds that lint says it took, in a process that has never seen the runbook."""
    if cold:
        shutil.rmtree(project.project.runs / ".cache")
    return float(project.call([sys.executable, "-c", LINT, f"steps{count}"]).output)
