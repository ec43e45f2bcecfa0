from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pytest

from aurora.engine.functions import StepFunction
from aurora.engine.registry import step, step_info
from aurora.testing.filling import blank, complete, returned
from aurora.testing.outcomes import RehearsalError


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


@dataclass(frozen=True)
class Inner:
    name: str
    price: Decimal


@dataclass(frozen=True)
class Outer:
    inner: Inner
    count: int
    names: list[str] = field(default_factory=lambda: ["default"])
    note: str = "default"


def function_of(returns: type | None, sample: Any = None) -> StepFunction:
    """Return a step function that returns `returns`."""

    @step(sample=sample)
    def act() -> None: ...

    info = step_info(act)
    assert info is not None
    return StepFunction("shop.act", act, info, {}, False, returns)


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (bool, False),
        (int, 0),
        (Decimal, "0"),
        (str, ""),
        (int | None, None),
        (int | str, 0),
        (list[int], []),
        (tuple[int, ...], []),
        (tuple[int, str], [0, ""]),
        (dict[str, int], {}),
        (Mapping[str, int], {}),
        (Literal["a", "b"], "a"),
        (Colour, "red"),
        (Path, ""),
        (Inner, {"name": "", "price": "0"}),
        (datetime, "1970-01-01T00:00:00Z"),
        (Any, None),
    ],
)
def test_each_type_has_a_plainest_value(hint: Any, value: Any) -> None:
    """What nobody reads is filled with the plainest value that its type has."""
    assert blank(hint) == value


def test_a_type_without_a_plainest_value_is_refused() -> None:
    """A class of somebody's own can't be guessed at."""

    @dataclass(frozen=True)
    class Odd:
        thing: Test

    class Test: ...

    with pytest.raises(TypeError, match="no blank"):
        blank(Test)


def test_outputs_that_are_not_given_come_from_defaults_or_are_blank() -> None:
    """What the mock says, then the dataclass's defaults, then the plainest values."""
    found = complete(function_of(Outer), "a", {"count": 3}, {})
    assert found == {"inner": {"name": "", "price": "0"}, "count": 3, "names": ["default"], "note": "default"}


def test_a_declared_sample_comes_before_defaults() -> None:
    """A step's sample outputs are nearer to what it returns than anything made up."""
    sample = Outer(Inner("x", Decimal("1.5")), 9, ["sample"], "sample")
    found = complete(function_of(Outer, sample), "a", {"note": "mine"}, {"count": "a gate"})
    assert found == {"inner": {"name": "x", "price": "1.5"}, "count": 9, "names": ["sample"], "note": "mine"}


def test_what_is_read_is_never_made_up() -> None:
    """An output that a gate or a template reads is said by the mock, or the rehearsal ends, naming the reader."""
    with pytest.raises(RehearsalError, match=r"'a' does not say 'count', which the gate 'count > 1' of a reads"):
        complete(function_of(Outer), "a", {}, {"count": "the gate 'count > 1' of a"})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"cuont": 1}, r"no output 'cuont'; did you mean 'count'\?"),
        ({"count": "many"}, "returns what shop.act could not: needs a whole number, was text at `count`"),
        ({"count": None}, "needs a whole number, was nothing"),
        ({"inner": {"name": "x"}}, "missing required field `price`"),
        ({"names": "text"}, "needs a list, was text"),
        ({"count": object()}, "holds what no step can return"),
    ],
)
def test_outputs_that_the_step_could_not_return_are_refused(given: dict[str, Any], said: str) -> None:
    """A mock that no run of the step could equal proves nothing, so it ends the rehearsal."""
    with pytest.raises(RehearsalError, match=said):
        complete(function_of(Outer), "a", given, {})


def test_a_step_that_returns_nothing_has_no_outputs() -> None:
    """A function without a return type returns None, and its mock too."""
    assert complete(function_of(None), "a", {}, {}) is None
    assert returned(function_of(None), "a", None) is None
    for act in (lambda: complete(function_of(None), "a", {"n": 1}, {}), lambda: returned(function_of(None), "a", 1)):
        with pytest.raises(RehearsalError, match="returns nothing"):
            act()


def test_a_value_stands_for_what_the_step_returns() -> None:
    """A value is encoded as the step's own would be; one of another type, or with a wrong part, is refused."""
    outer = Outer(Inner("x", Decimal("1.5")), 1)
    assert returned(function_of(Outer), "a", outer)["inner"] == {"name": "x", "price": "1.5"}
    with pytest.raises(RehearsalError, match=r"returns a Inner; shop\.act returns Outer"):
        returned(function_of(Outer), "a", outer.inner)
    with pytest.raises(RehearsalError, match="needs a whole number, was text"):
        returned(function_of(Outer), "a", Outer(outer.inner, "many"))  # type: ignore[arg-type]
