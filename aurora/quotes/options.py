"""Reads the options of a quote source: `seed=7,day=2013-10-08`, each with a message that says what was wrong."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime, time

from aurora.clock import ManualClock, PacedClock
from aurora.errors import OperatorError, UsageError
from aurora.market.hours import parse_time


def refuse_unknown(kind: str, options: Mapping[str, str], known: Collection[str]) -> None:
    """Raise UsageError for an option that `kind` does not have."""
    for key in options:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            raise UsageError(
                f"{kind} has no option {key!r}{f'; did you mean {near[0]!r}?' if near else '.'}",
                todo=f"its options are: {', '.join(sorted(known)) or 'none'}",
            )


def read_int(options: Mapping[str, str], key: str, default: int) -> int:
    """Return a whole number, or `default` where the option is missing."""
    try:
        return int(options.get(key, default))
    except ValueError:
        raise UsageError(f"{key} was {options[key]!r}; it is a whole number.") from None


def read_rate(options: Mapping[str, str], key: str, default: float) -> float:
    """Return a number of at least zero, or `default` where the option is missing."""
    try:
        value = float(options.get(key, default))
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise UsageError(f"{key} was {options[key]!r}; it is a number of at least 0.")
    return value


def read_day(options: Mapping[str, str], key: str = "day") -> date | None:
    """Return a date written like 2013-10-07, or None where the option is missing."""
    text = options.get(key)
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{key} was {text!r}; write it like 2013-10-07.") from None


def read_time(options: Mapping[str, str], key: str = "start") -> time | None:
    """Return a time of day in New York, or None where the option is missing."""
    text = options.get(key)
    if text is None:
        return None
    try:
        return parse_time(text)
    except OperatorError as error:
        raise UsageError(f"{key}: {error.what}") from None


def read_pace(options: Mapping[str, str], key: str = "speed") -> Callable[[datetime], ManualClock]:
    """Return what makes the source's clock: one that jumps when it sleeps, or one that goes at `speed`."""
    speed = read_rate(options, key, 0.0)
    if key not in options:
        return ManualClock
    if speed <= 0:
        raise UsageError(f"{key} was {options[key]!r}; it is a number above 0, 1 is real time.")
    return lambda start: PacedClock(start, speed)
