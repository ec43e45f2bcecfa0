"""Figures: taken in turns with their floor, kept whole, and told as median, range and ratio."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Case = Callable[[], Mapping[str, float]]
"""One measurement of one or more figures, by name."""


@dataclass(frozen=True)
class Size:
    """How much is measured; a test takes as little as there is."""

    rounds: int
    folder: Path
    """Where the projects that are measured lie; what a sync costs hangs on the disk below."""
    steps: int = 200
    long_steps: int = 1_000
    """Steps of a long runbook; there is one of ten times as many, too."""
    peers: str | None = None
    """The Python of a virtual environment in which what Aurora is compared with is installed."""
    sealed_runs: int = 1_000
    """Runs whose records are verified."""
    ticks: int = 1_000_000
    """Ticks of a day that is replayed."""
    positions: int = 100
    """Positions that are flattened."""
    warm_up: int = 1
    """Rounds that are thrown away: they fill caches."""


@dataclass(frozen=True)
class Figure:
    """One figure: its values in the order they were taken, and the floor's, taken in the same rounds.

    `most` and `most_of_floor` are the budget; None where nothing was promised.
    """

    name: str
    unit: str
    values: tuple[float, ...]
    floor: tuple[float, ...] | None = None
    most: float | None = None
    most_of_floor: float | None = None

    @property
    def median(self) -> float:
        """Return the median of the values."""
        return statistics.median(self.values)

    @property
    def ratio(self) -> float | None:
        """Return how many times the floor it is: the median over the rounds, whose two values share the weather."""
        if self.floor is None:
            return None
        return statistics.median(value / floor for value, floor in zip(self.values, self.floor, strict=True))

    @property
    def kept(self) -> bool | None:
        """Return whether the budget is kept; None without a budget."""
        pairs = [(self.median, self.most), (self.ratio, self.most_of_floor)]
        verdicts = [value <= most for value, most in pairs if value is not None and most is not None]
        return all(verdicts) if verdicts else None

    def data(self) -> dict[str, Any]:
        """Return everything as JSON data."""
        return {
            "name": self.name,
            "unit": self.unit,
            "values": list(self.values),
            "median": self.median,
            "min": min(self.values),
            "max": max(self.values),
            "ratio": self.ratio,
            "most": self.most,
            "most_of_floor": self.most_of_floor,
            "kept": self.kept,
        }


@dataclass(frozen=True)
class Group:
    """The figures of one benchmark, under a line that says what was done."""

    title: str
    figures: Sequence[Figure]
    beside: str = "floor"
    """What the ratios are to."""
    notes: Sequence[str] = ()

    def data(self) -> dict[str, Any]:
        """Return everything as JSON data."""
        figures = [figure.data() for figure in self.figures]
        return {"title": self.title, "beside": self.beside, "figures": figures, "notes": list(self.notes)}


def in_turns(cases: Sequence[Case], size: Size) -> dict[str, tuple[float, ...]]:
    """Measure A B C, A B C, … and return each figure's values.

    Taking turns spreads what else the machine does evenly over what is compared.
    """
    values: dict[str, list[float]] = {}
    for number in range(size.warm_up + size.rounds):
        for case in cases:
            gc.collect()  # nobody pays for what the one before left behind
            for name, value in case().items():
                values.setdefault(name, [])
                if number >= size.warm_up:
                    values[name].append(value)
    return {name: tuple(each) for name, each in values.items()}
