"""Which mock or answer is meant for a step: its exact id, else its `foreach` step's, else the longest pattern."""

from __future__ import annotations

import re
from collections.abc import Iterable


def fits(pattern: str, step: str) -> bool:
    """Return whether `pattern` names `step`: the same text, where `*` stands for any."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), step) is not None


def chosen(step: str, among: Iterable[str]) -> str | None:
    """Return the name in `among` that is meant for `step`, or None; an item `quotes[0]` may be named `quotes`.

    Of several patterns the one with the most letters is meant: `preflight/*` before `*`.
    """
    names = list(among)
    whole = step.partition("[")[0]
    for exact in (step, whole):
        if exact in names:
            return exact
    fitting = [name for name in names if "*" in name and (fits(name, step) or fits(name, whole))]
    return max(fitting, key=lambda name: len(name.replace("*", "")), default=None)
