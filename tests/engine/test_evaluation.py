"""Values of expressions: exact, likes with likes, and nothing by accident."""

from __future__ import annotations

import decimal
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.engine.evaluation import MAX_TEXT, compare, kind_of
from aurora.engine.expressions import ExpressionError, parse_expression
from aurora.engine.scopes import decide
from aurora.engine.spec import Gate
from aurora.engine.values import exposed

NAMES: dict[str, Any] = {
    "n": 3,
    "x": Decimal("1.5"),
    "text": "ab",
    "flat": True,
    "nothing": None,
    "names": ["x", "y"],
    "empty": [],
    "rows": exposed([{"n": 1, "ok": True}, {"n": 2.5, "ok": False}]),
    "when": datetime(2026, 1, 2, tzinfo=UTC),
    "day": date(2026, 1, 2),
    "params": exposed({"items": 7, "keys": [1]}),
}


def value(text: str) -> Any:
    """Return the value of an expression over NAMES."""
    found = parse_expression(text).evaluate(NAMES)
    return found.plain() if hasattr(found, "plain") else found


def error(text: str) -> str:
    """Return why an expression has no value over NAMES."""
    with pytest.raises(ExpressionError) as caught:
        value(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.1 + 0.2", Decimal("0.3")),
        ("n / 2", Decimal("1.5")),
        ("7 // 2", 3),
        ("-7 // 2", -4),
        ("-7.0 // 2", Decimal(-4)),
        ("-7 % 3", 2),
        ("-7.0 % 3", Decimal("2.0")),
        ("-x + +n", Decimal("1.5")),
        ("names + ['z']", ["x", "y", "z"]),
        ("2.5 | round", Decimal(3)),
        ("-2.5 | round", Decimal(-3)),
        ("2.341 | round(2, 'ceil')", Decimal("2.35")),
        ("2.349 | round(2, 'floor')", Decimal("2.34")),
        ("1234 | round(-2)", Decimal(1200)),
        ("rows | map(attribute='n') | sum", Decimal("3.5")),
        ("rows | selectattr('ok') | map(attribute='n') | list", [1]),
        ("rows | rejectattr('ok') | list | length", 1),
        ("names | map('upper') == ['X', 'Y']", True),
        ("names | select('eq', 'x') | first", "x"),
        ("[3, 1, 2] | sort | last", 3),
        ("['b', 'a', 'b'] | unique | join('-')", "b-a"),
        ("[1, 5, 2] | max - ([1, 5, 2] | min)", 4),
        ("'  a ' | trim | upper | replace('A', 'b')", "b"),
        ("flat | string", "true"),
        ("names[-1]", "y"),
        ("text[0:1]", "a"),
        ("params.items", 7),
        ("params['keys'][0]", 1),
        ("rows.0.n", 1),
        ("n is divisibleby 3 and n is odd", True),
        ("nothing is none and n is number", True),
        ("n if flat else params.nope", 3),
        ("flat or params.nope", True),
        ("not flat and params.nope", False),
        ("params.nope is defined", False),
        ("params.items is defined", True),
        ("nowhere.at.all is undefined", True),
        ("{'a': n}", {"a": 3}),
    ],
)
def test_what_an_expression_is_worth(text: str, expected: Any) -> None:
    """Arithmetic is exact and rounds half up, filters give values and not generators, `and`/`or` stop early."""
    found = value(text)
    assert found == expected
    assert kind_of(found) == kind_of(expected)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nope", "there is no name 'nope' here"),
        ("naems == []", "did you mean 'names'?"),
        ("params.item", "did you mean 'items'?"),
        ("[params.nope] != []", "there is no 'nope' here"),
        ("{'a': params.nope} == {}", "there is no 'nope' here"),
        ("[params.nope] | length > 0", "there is no 'nope' here"),
        ("params.nope | string != ''", "there is no 'nope' here"),
        ("not params.nope", "there is no 'nope' here"),
        ("names[7]", "there is no item 7"),
        ("empty | first", "No first item"),
        ("empty | max", "No aggregated item"),
        ("rows | map(attribute='m') | list", "there is no 'm' here"),
        ("n.real", "3 has no part 'real'"),
        ("text.upper", "'ab' has no part 'upper'"),
        ("names.append", "has no part 'append'"),
        ("params.items.x", "7 has no part 'x'"),
        ("n / 0", "DivisionByZero"),
        ("1e190 * 1e190 * 1e190", "Overflow"),
        ("text + text", "'+' needs numbers"),
        ("text * 9", "'*' needs numbers"),
        ("flat + 1", "'+' needs numbers"),
        ("-text", "'-' needs numbers"),
        ("text | round", "'round' needs numbers"),
        ("n | round(0, 'up')", "common, ceil and floor"),
        ("text | abs", "TypeError"),
        ("names | sum", "TypeError"),
        ("[1, 'a'] | sort", "TypeError"),
    ],
)
def test_what_is_not_there_or_makes_no_sense_is_an_error(text: str, says: str) -> None:
    """Engine rule 4: a missing name, also inside a list, and a senseless operation are errors and never values."""
    assert says in error(text)


UNLIKE = ["n == text", "n != text", "flat == 1", "flat != 0", "names == 'x'", "5 in names", "5 not in names",
          "n in text", "rows == n", "when == '2026'", "n is eq text", "names | select('eq', 1) | list"]  # fmt: skip


@pytest.mark.parametrize("text", UNLIKE)
def test_unlike_things_are_never_compared(text: str) -> None:
    """`n != '3'` would be true of any number: what can only be a slip is an error, so a gate with it is red."""
    assert "unlike things" in error(text) or "can't be in" in error(text)


@pytest.mark.parametrize(
    "text", ["text < 'b'", "names < [1]", "flat > false", "nothing < 1", "n <= nothing", "n is lt text"]
)
def test_only_numbers_and_times_have_an_order(text: str) -> None:
    """Engine rule 4: text, lists, booleans and nothing are not compared with `<`."""
    assert "can't be compared with <" in error(text) or "can't be compared with >" in error(text)


def test_times_have_an_order_among_their_kind() -> None:
    """Outputs may be dates and times; a date and a date with time are unlike."""
    names = {**NAMES, "later": datetime(2026, 1, 3, tzinfo=UTC), "span": timedelta(seconds=3)}
    assert parse_expression("when < later").evaluate(names) is True
    for text in ("when < day", "span < 3", "when > n"):
        with pytest.raises(ExpressionError):
            parse_expression(text).evaluate(names)


def test_nothing_may_be_compared_with_anything_for_equality() -> None:
    """An output that may be missing is asked for with `== none`."""
    assert value("nothing == none") is True
    assert value("n != none") is True
    assert value("none in [1, none]") is True
    assert value("none in names") is False


def test_text_has_an_end() -> None:
    """A filter can't fill the memory: what grows past a bound is an error."""
    assert f"longer than {MAX_TEXT:,}" in error(
        "(text | replace('a', 'aaaaaaaaaa'))" + " | replace('a', 'aaaaaaaaaa')" * 7
    )
    product = "*".join(["n9"] * 80)
    with pytest.raises(ExpressionError, match="too large"):
        parse_expression(product).evaluate({"n9": 10**20})


def test_the_context_of_other_code_changes_nothing() -> None:
    """A step module that sets Python's decimal context at import does not change what a gate says."""
    with decimal.localcontext(decimal.Context(prec=2, traps=[])):
        assert value("1.2345 + 1 == 2.2345") is True
        assert "DivisionByZero" in error("1 / 0")


@given(
    st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
    st.sampled_from(
        ["{0} {1} 1", "1 {1} {0}", "not ({0} {1} 1)", "{0} {1} {0}", "m[0] {1} 1 or true", "d.a {1} 1 or true"]
    ),
    st.sampled_from([Decimal("NaN"), Decimal("sNaN"), Decimal("-NaN"), float("nan")]),
)
def test_nan_is_always_red(sign: str, form: str, nan: Any) -> None:
    """Engine rule 4: a NaN in anything that a gate names is red before it is evaluated, whatever the gate says."""
    names = {"x": exposed(nan), "m": exposed([nan]), "d": exposed({"a": nan})}
    text = form.format("x", sign)
    found = decide(Gate(parse_expression(text)), names, dry_run=False)
    assert found["verdict"] == "red"
    assert "NaN" in found["error"]


@given(
    st.one_of(
        st.none(),
        st.text(),
        st.integers(),
        st.decimals(),
        st.lists(st.integers()),
        st.dictionaries(st.text(), st.integers()),
    )
)
def test_only_an_exact_true_passes(result: Any) -> None:
    """Engine rule 4: whatever else a gate yields is red, and says so."""
    found = decide(Gate(parse_expression("v")), {"v": exposed(result)}, dry_run=False)
    assert found["verdict"] == "red"
    assert found["error"]


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3), st.integers())
def test_order_agrees_with_arithmetic(left: Decimal, right: int) -> None:
    """Of two numbers exactly one of `<`, `==`, `>` holds, whatever their types."""
    signs = [compare(left, sign, right) for sign in ("lt", "eq", "gt")]
    assert signs.count(True) == 1
    assert compare(left, "lteq", right) is (signs[0] or signs[1])
    assert compare(left, "ne", right) is not signs[1]
