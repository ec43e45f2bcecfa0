"""Values on their way to the journal and back, and as expressions see them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.engine.expressions import parse_expression, parse_template
from aurora.engine.values import Namespace, TypeMismatch, convert, decode, encode, exposed, holds_nan, shown
from aurora.profile import Profile, Section


class Mode(StrEnum):
    PAPER = "paper"


class Level(IntEnum):
    LOW = 1


class Side(Enum):
    BUY = "buy"


@dataclass(frozen=True)
class Row:
    symbol: str
    qty: int = 1
    price: Decimal = Decimal(1)


class Pair(NamedTuple):
    a: int
    b: str


class Entry(TypedDict):
    a: int


@dataclass
class Counted:
    n: int
    twice: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.twice = 2 * self.n


CARRIED = [
    (int, 3),
    (int, 10**30),
    (Decimal, Decimal("1.50")),
    (Decimal, Decimal("Infinity")),
    (float, 1.5),
    (float, -0.0),
    (float, math.inf),
    (bool, True),
    (str, "ü ✔ \x00"),
    (bytes, b"\xff"),
    (Path, Path("a/b")),
    (datetime, datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)),
    (date, date(2026, 1, 2)),
    (time, time(1, 2)),
    (timedelta, timedelta(seconds=1.5)),
    (Mode, Mode.PAPER),
    (Level, Level.LOW),
    (Side, Side.BUY),
    (Row, Row("SPY")),
    (Counted, Counted(2)),
    (Pair, Pair(1, "x")),
    (Entry, {"a": 1}),
    (list[Row], [Row("SPY"), Row("TSLA", 2, Decimal("0.1"))]),
    (tuple[int, ...], (1, 2)),
    (tuple[int, str], (1, "a")),
    (set[str], {"a"}),
    (frozenset[int], frozenset([1])),
    (dict[str, Row], {"SPY": Row("SPY")}),
    (dict[int, str], {1: "a"}),
    (dict[Decimal, int], {Decimal("1.5"): 1}),
    (Row | None, None),
    (int | str, "1"),
    (Decimal | int, Decimal(1)),
    (Literal["low", "high"], "low"),
    (Annotated[int, "count"], 2),
    (Sequence[str], ["a"]),
    (Mapping[str, int], {"a": 1}),
    (Any, {"a": [1, "x", None]}),
]


@pytest.mark.parametrize(("type_", "value"), CARRIED, ids=[str(type_) for type_, _ in CARRIED])
def test_each_type_that_a_step_may_return_comes_back_the_same(type_: Any, value: Any) -> None:
    """Engine rule 5: through the pipe and the journal, and again after a resume, a value and its types are the same."""
    data = json.loads(json.dumps(encode(value), allow_nan=False))
    back = decode(data, type_)
    assert back == value
    assert type(back) is type(value)
    assert decode(json.loads(json.dumps(encode(back))), type_) == value


def test_nan_comes_back_as_nan_of_its_type() -> None:
    """Engine rules 4 and 5: a NaN is still one after the journal, so that its gate is red then, too."""
    assert math.isnan(decode(encode(math.nan), float))
    assert decode(encode(Decimal("NaN")), Decimal).is_nan()
    assert math.isnan(decode(encode({"a": [math.nan]}), dict[str, list[float]])["a"][0])


@pytest.mark.parametrize(
    ("data", "type_", "says"),
    [
        ("1", int, "needs a whole number, was text"),
        (1, str, "needs text, was a whole number"),
        (1.0, int, "needs a whole number, was a number"),
        (1, bool, "needs true or false, was a whole number"),
        (True, int, "needs a whole number, was true or false"),
        (None, str, "needs text, was nothing"),
        ({}, list[int], "needs a list, was a map"),
        ([1, "x"], list[int], "at `[1]`"),
        ({"symbol": 1}, Row, "at `symbol`"),
        ({}, Row, "missing required field `symbol`"),
        ("x", Literal["a"], "Invalid enum value 'x'"),
        (1, int | str | None, ""),
    ],
)
def test_nothing_is_bent_to_fit(data: Any, type_: Any, says: str) -> None:
    """Engine rule 5: decoding is strict, and says in words what was wanted, what was there, and where."""
    if not says:
        assert decode(data, type_) == data
        return
    with pytest.raises(TypeMismatch) as caught:
        decode(data, type_)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "value", [object(), len, 1j, {"a": object()}, [lambda: 1], {"$float": "nan"}, {"x": {"$float": 1}}]
)
def test_what_json_can_not_carry_is_refused(value: Any) -> None:
    """An output that can't be written is an error of the step, not a broken journal; `$float` is ours."""
    with pytest.raises(TypeMismatch):
        encode(value)


@pytest.mark.parametrize("data", [{"$float": "abc"}, {"$float": "1"}, {"$float": None}, {"$float": "nan", "x": 1}])
def test_only_our_own_marks_are_floats(data: Any) -> None:
    """Data that looks like a mark and is none never raises anything but TypeMismatch."""
    assert decode(data, dict[str, Any]) == data
    with pytest.raises(TypeMismatch):
        decode(data, float)


@pytest.mark.parametrize("hint", [Callable[[], int], Decimal | str, Row | Counted, type("Other", (), {})])
def test_hints_that_nothing_can_be_made_to_are_mismatches(hint: Any) -> None:
    """A type hint that msgspec does not know is a TypeMismatch, never another exception."""
    with pytest.raises(TypeMismatch):
        decode(1, hint)


def test_outputs_of_one_step_are_arguments_of_another() -> None:
    """A list of dataclasses read from one step's outputs is given to the next as it was."""
    rows = [Row("SPY"), Row("TSLA")]
    assert convert(exposed(rows), list[Row]) == rows
    assert convert(exposed({"a": rows[0]}), dict[str, Row]) == {"a": rows[0]}
    assert encode(exposed({"a": [Row("SPY")]})) == {"a": [{"symbol": "SPY", "qty": 1, "price": "1"}]}


# ── As expressions see them ──────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("value", "seen"),
    [
        (1.5, Decimal("1.5")),
        (0.1, Decimal("0.1")),
        ((1, (2.5,)), [1, [Decimal("2.5")]]),
        ({"b"}, ["b"]),
        (Path("a"), "a"),
        (Mode.PAPER, "paper"),
        (Level.LOW, 1),
        (Side.BUY, "buy"),
        (True, True),
        (None, None),
        (b"\xff", "/w=="),
    ],
)
def test_values_are_shown_to_expressions_in_few_kinds(value: Any, seen: Any) -> None:
    """Engine rule 4: floats are Decimal, tuples and sets lists, enums their values."""
    found = exposed(value)
    assert found == seen
    assert type(found) is type(seen)


def test_namespaces_have_names_and_nothing_else() -> None:
    """Engine rule 3: outputs are namespace objects; `steps.a.items` is an output, not a method of a dict."""
    seen = exposed(Row("SPY"))
    assert isinstance(seen, Namespace)
    assert dict(seen) == {"symbol": "SPY", "qty": 1, "price": Decimal(1)}
    assert exposed({"items": 1})["items"] == 1
    assert exposed({1: {2: 3}}).plain() == {"1": {"2": 3}}
    assert exposed(Profile("p", Section({"a": {"b": 1.5}})))["a"]["b"] == Decimal("1.5")


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.decimals() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
                    max_leaves=8))  # fmt: skip
def test_exposing_is_complete_and_finds_each_nan(value: Any) -> None:
    """Whatever a step returns, no float, tuple or dict is left in what an expression sees; a NaN inside is found."""
    seen = exposed(value)

    def leaves(item: Any) -> list[Any]:
        if isinstance(item, Namespace):
            return [leaf for each in item.values() for leaf in leaves(each)]
        return [leaf for each in item for leaf in leaves(each)] if isinstance(item, list) else [item]

    assert all(isinstance(leaf, bool | int | Decimal | str | None) for leaf in leaves(seen))
    assert holds_nan(seen) is _has_nan(value)
    assert shown(seen)


def _has_nan(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_nan, value.values()))
    if isinstance(value, list):
        return any(map(_has_nan, value))
    return value.is_nan() if isinstance(value, Decimal) else isinstance(value, float) and math.isnan(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (Decimal("1.50"), "1.50"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1E-7"), "0.0000001"),
        (Decimal("1E+90"), "1E+90"),
        ("a'b", '"a\'b"'),
        ([1, "x"], "[1, 'x']"),
        ({"a": [None]}, "{a: [null]}"),
        (list(range(101)), "…"),
        ("x" * 300, "… (302 characters)"),
    ],
)
def test_values_are_shown_as_people_write_them(value: Any, text: str) -> None:
    """A red gate shows numbers plainly, text in quotes, and says how long what it cuts is."""
    assert text in shown(value)


@dataclass(frozen=True)
class Fill:
    side: Side = Side.BUY
    by_side: dict[Side, int] = field(default_factory=lambda: {Side.BUY: 1})


@pytest.mark.parametrize("resumed", [False, True])
def test_an_enum_is_its_value_in_a_gate(resumed: bool) -> None:
    """Engine rule 5: a plain Enum, as a value or as a key, is its `.value` to a gate, before a resume and after."""
    outputs = decode(encode(Fill()), Fill) if resumed else Fill()
    scope = {"steps": exposed({"fill": outputs})}
    for gate in ("steps.fill.side == 'buy'", "steps.fill.side in ['buy', 'sell']", "steps.fill.by_side.buy == 1"):
        assert parse_expression(gate).evaluate(scope) is True
    assert parse_template("side {{ steps.fill.side }}").evaluate(scope) == "side buy"
