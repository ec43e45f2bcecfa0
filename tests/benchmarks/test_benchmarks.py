"""The benchmarks can be run, and say what they measured."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.measure import Figure, Group, Size, in_turns
from benchmarks.table import table

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_every_benchmark_measures_each_figure_beside_its_floor(tmp_path: Path) -> None:
    """`--tiny --json` runs all of them and prints one document: each figure has its values, most have a ratio."""
    command = [sys.executable, "-m", "benchmarks", "--tiny", "--json", "--nightly", "--folder", str(tmp_path)]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert process.returncode == 0, process.stderr
    groups = json.loads(process.stdout)["groups"]
    assert set(groups) == {
        "start",
        "lint",
        "engine",
        "memory",
        "verify",
        "kill",
        "others",
        "growth",
        "records",
        "session",
        "ticks",
        "wire",
        "router",
        "hour",
        "leave",
        "rollup",
        "long_rollup",
    }
    for group in groups.values():
        assert all(figure["values"] and figure["min"] > 0 for figure in group["figures"])
    figures = [figure for group in groups.values() for figure in group["figures"]]
    assert any(figure["ratio"] is not None and figure["kept"] is not None for figure in figures)
    assert [note.partition(" (")[0] for note in groups["others"]["notes"]] == [
        f"{peer}: not installed" for peer in ("DBOS", "doit", "Prefect")
    ]
    assert not list(tmp_path.iterdir()), "what was measured in is taken away"


def test_measurements_take_turns_and_warm_up_does_not_count(tmp_path: Path) -> None:
    """Floor and figure are taken A B A B, and the values of the warm-up rounds are thrown away."""
    order: list[str] = []

    def case(name: str) -> dict[str, float]:
        order.append(name)
        return {name: float(len(order))}

    values = in_turns([lambda: case("a"), lambda: case("b")], Size(rounds=2, folder=tmp_path))
    assert order == ["a", "b"] * 3
    assert values == {"a": (3.0, 5.0), "b": (4.0, 6.0)}


def test_a_ratio_compares_values_of_the_same_round() -> None:
    """A machine that is slow for one round makes figure and floor slow, and leaves the ratio as it is."""
    figure = Figure("work", "s", (2.0, 20.0, 2.2), floor=(1.0, 10.0, 1.1), most_of_floor=2.0)
    assert figure.ratio == pytest.approx(2.0)


def test_the_table_shows_range_ratio_and_what_was_promised() -> None:
    """Each figure is a line: median, least and most, ratio, and the budget with a mark for whether it is kept."""
    good = Figure("quick", "s", (0.1, 0.2, 0.3), floor=(0.1, 0.1, 0.1), most=0.25, most_of_floor=3)
    bad = Figure("slow", "ms", (12.0,), most=1.0)
    text = table(Group("made up", [good, bad]))
    head, first, second = text.splitlines()
    assert head.startswith("made up")
    assert re.fullmatch(r"  quick +0\.200 s +0\.100 – 0\.300 +2\.00 +✔ ≤ 0\.25 s, ≤ 3 × floor", first)
    assert second.endswith("✘ ≤ 1 ms")


def test_the_table_says_what_ratios_are_to_and_what_is_to_be_known_of_them() -> None:
    """A group that is not measured beside a floor names what it is beside, and its notes stand below."""
    figure = Figure("other: a step", "ms", (3.0,), floor=(1.0,))
    head, _, note = table(Group("made up", [figure], beside="Aurora", notes=["other 1.2"])).splitlines()
    assert "× Aurora" in head
    assert note == "  other 1.2"
