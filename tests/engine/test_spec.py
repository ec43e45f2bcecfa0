"""What a runbook says, as values."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.engine.spec import LONGEST_S, Param, Retry, seconds


@pytest.mark.parametrize(
    ("text", "found"),
    [("250ms", 0.25), ("30s", 30), ("1.5h", 5400), ("10m", 600), ("2d", 172800), ("0s", 0), ("366d", LONGEST_S)],
)
def test_a_duration_is_a_number_and_a_unit(text: str, found: float) -> None:
    """The unit is mandatory; the value is in seconds."""
    assert seconds(text) == found


@pytest.mark.parametrize("text", ["30", "s", "30 s", "1e3s", "-1s", "30S", "1h30m", "", "٣s", "1.s", "30s\n"])
def test_anything_else_is_no_duration(text: str) -> None:
    """A number alone could be seconds or minutes: it is refused, with what to write."""
    with pytest.raises(ValueError, match="such as 30s"):
        seconds(text)


@given(st.integers(367, 10**40))
def test_no_duration_is_longer_than_a_year(days: int) -> None:
    """A slip of the unit does not make a run wait for ever, nor overflow a timer."""
    with pytest.raises(ValueError, match="longer than a year"):
        seconds(f"{days}d")


def test_waits_between_attempts_grow_and_stop_growing() -> None:
    """delay, times backoff for each attempt, never more than max_delay."""
    retry = Retry(5, delay=1, backoff=3, max_delay=10)
    assert [retry.wait_before(attempt) for attempt in (2, 3, 4, 5, 99)] == [1, 3, 9, 10, 10]


@pytest.mark.parametrize(
    ("schema", "type_"),
    [
        ({"type": "string"}, str),
        ({"type": "integer"}, int),
        ({"type": "number"}, Decimal),
        ({"type": "boolean"}, bool),
        ({"type": "array", "items": {"type": "number"}}, list[Decimal]),
        ({"type": "array"}, list[Any]),
        ({}, Any),
    ],
)
def test_a_parameter_has_the_type_that_steps_see(schema: dict[str, Any], type_: Any) -> None:
    """JSON Schema's words stand for Python's types; numbers are Decimal."""
    assert Param("p", schema).python_type == type_


def test_a_parameter_is_a_flag_with_dashes() -> None:
    """`poll_sec` in a runbook is `--poll-sec` on the command line."""
    assert Param("poll_sec", {"type": "number"}).flag == "--poll-sec"
