"""How figures are shown: a table for people."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.measure import Figure, Group


def table(group: Group) -> str:
    """Return a group's figures as lines in columns."""
    head = (group.title, "median", "min – max", f"× {group.beside}", "budget")
    rows = [head, *(_row(figure, group.beside) for figure in group.figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return "\n".join([*(_line(row, widths) for row in rows), *(f"  {note}" for note in group.notes)])


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    name, *numbers, budget = row
    cells = [f"{cell:>{width}}" for cell, width in zip(numbers, widths[1:-1], strict=True)]
    return "   ".join([f"{name:<{widths[0]}}", *cells, budget]).rstrip()


def _row(figure: Figure, beside: str) -> tuple[str, str, str, str, str]:
    low, high = min(figure.values), max(figure.values)
    return (
        f"  {figure.name}",
        f"{_number(figure.median)} {figure.unit}".rstrip(),
        f"{_number(low)} – {_number(high)}",
        "" if figure.ratio is None else f"{figure.ratio:.2f}",
        _budget(figure, beside),
    )


def _budget(figure: Figure, beside: str) -> str:
    asked = []
    if figure.most is not None:
        asked.append(f"≤ {figure.most:g} {figure.unit}".rstrip())
    if figure.most_of_floor is not None:
        asked.append(f"≤ {figure.most_of_floor:g} × {beside}")
    mark = {True: "✔ ", False: "✘ ", None: ""}[figure.kept]
    return mark + ", ".join(asked)


def _number(value: float) -> str:
    return f"{value:.1f}" if value >= 10 else f"{value:.3f}" if value >= 0.01 else f"{value:.5f}"
