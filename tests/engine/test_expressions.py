"""The language of gates, `if` and `{{ }}`: what is an expression, what is not, and where each name stands."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import nodes

from aurora.engine.expressions import (
    MAX_LENGTH,
    Expression,
    ExpressionError,
    parse_expression,
    parse_template,
    path_text,
)
from aurora.engine.values import exposed

NAMES = {"n": 3, "text": "ab", "names": ["x", "y"], "params": exposed({"n": 1, "deep": {"x": 2}}), "flat": True}


def error_of(text: str, parse: Any = parse_expression) -> ExpressionError:
    """Return the error that parsing `text` raises."""
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    return caught.value


# ── Names ────────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("n == params.n", ["n", "params.n"]),
        ("steps.a.items[0].n > 1", ["steps.a.items[0].n"]),
        ("steps['a']['b']", ["steps.a.b"]),
        ("rows[n].x", ["rows", "n"]),
        ("names | map(attribute='x') | list == [n]", ["names", "n"]),
        ("n if flat else text", ["n", "flat", "text"]),
        ("text is eq n", ["text", "n"]),
        ("{'a': n}", ["n"]),
        ("not (n > 1 and n < 5)", ["n"]),
        ("names[n:2]", ["names", "n"]),
        ("true and none == 1", []),
    ],
)
def test_every_name_in_an_expression_is_known(text: str, paths: list[str]) -> None:
    """Engine rule 3: the names come from the tree, whatever they stand in; lint and the NaN check rest on it."""
    assert sorted(path_text(path) for path in parse_expression(text).paths) == sorted(paths)


@pytest.mark.parametrize("text", ["n == params.n and text != 'params.n'", "  n\n  == params.n", "(n) == ((params.n))"])
def test_each_name_has_the_offset_that_it_stands_at(text: str) -> None:
    """A caret can point at the name itself, not at the first text that looks like it."""
    for path, offset in parse_expression(text).names:
        assert text.startswith(path_text(path), offset)


def test_a_template_knows_where_its_expressions_stand() -> None:
    """Offsets inside `{{ }}` count from the scalar's first character."""
    text = "of {{  n }} and {{ params.n }}"
    for expression in parse_template(text).expressions:
        for path, offset in expression.names:
            assert expression.source == text
            assert text.startswith(path_text(path), expression.base + offset)


def test_named_values_are_those_that_are_there() -> None:
    """A red gate shows the value of each name; one that is not there is left out."""
    shown = parse_expression("n > params.deep.x and names[0] == q and names[7] == 1").named_values(NAMES)
    assert shown == {"n": 3, "params.deep.x": 2, "names[0]": "x"}


# ── What is no expression ────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("text", "says", "hint", "offset"),
    [
        ("", "the expression is empty", "", 0),
        ("   ", "the expression is empty", "", 0),
        ("n >", "unexpected end", "", 3),
        ("n = 3", "ends before '='", "'=='", 2),
        ("n == 1 && flat", "'&' means nothing", "'and'", 7),
        ("n == 1 || flat", "found '|'", "'or'", 8),
        ("!flat", "'!' means nothing", "'not'", 0),
        ("n <> 1", "unexpected '>'", "'!='", 3),
        ("'abc", "never closed", "close it with '", 0),
        ("n == 5m", "'5m' is no number", "decimal", 5),
        ("n == 0x1F", "'0x1F' is no number", "decimal", 5),
        ("n == 1e999", "too large or too small", "", 5),
        ("n == 3)", "ends before ')'", "", 6),
        ("n.upper()", "calls are not part", "filter", 0),
        ("text ~ 'x'", "'~' is not part", "{{ }}", 0),
        ("2 ** 3", "'**' is not part", "", 0),
        ("1 < n < 3", "can't be chained", "'and'", 0),
        ("n if flat", "needs an 'else'", "", 0),
        ("n | default(1)", "there is no default", "status", 4),
        ("names | map(attribute='x', default=1)", "there is no default", "", 8),
        ("names | frist", "unknown filter 'frist'", "did you mean 'first'?", 8),
        ("n is evne", "unknown test 'evne'", "did you mean 'even'?", 2),
        ("n is divisibleby", "missing a required argument", "", 2),
        ("n | round(1, 'floor', 3)", "too many positional arguments", "", 4),
        ("names | join(sep=',')", "unexpected keyword argument 'sep'", "", 8),
        ("names | join(*names)", "'*' can't stand before", "", 8),
        ("names | map('uper')", "unknown name 'uper'", "did you mean 'upper'?", 12),
        ("names | select('gtt', 1)", "unknown name 'gtt'", "did you mean", 15),
        ("names | selectattr('x', 'eqq', 1)", "unknown name 'eqq'", "did you mean", 24),
        ("{{ n }}", "an expression already", "without {{ }}", 0),
        ("n > {{ n }}", "an expression already", "without {{ }}", 4),
        ("{% if n %}", "an expression already", "", 0),
        ("n @ 1", "'@' means nothing", "", 2),
    ],
)
def test_a_fault_says_what_where_and_what_instead(text: str, says: str, hint: str, offset: int) -> None:
    """Each thing that the language leaves out is refused when parsed, with its place and the way to say it."""
    error = error_of(text)
    assert says in str(error)
    assert hint in error.hint
    assert error.offset == offset


@pytest.mark.parametrize(
    "text",
    [
        "n" * (MAX_LENGTH + 1),
        "(" * 400 + "n" + ")" * 400,
        "not " * 240 + "flat",
        "- " * 450 + "n",
        "[" * 400,
        "9" * 900,
    ],
    ids=["long", "brackets", "not", "minus", "open", "digits"],
)
def test_expressions_have_bounds(text: str) -> None:
    """Engine rule 3: length, depth and numbers are bounded when parsed, never by a crash of the interpreter."""
    error_of(text)


def test_fifty_conditions_in_a_row_are_fine() -> None:
    """A long checklist in one gate is no deep nest."""
    text = " and ".join(f"n != {number + 10}" for number in range(70))
    assert parse_expression(text).evaluate(NAMES) is True


def test_the_same_text_is_parsed_once() -> None:
    """Lint meets the same gate in each inlined copy of a runbook."""
    assert parse_expression("n == 3") is parse_expression("n == 3")


# ── Templates ────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("", ""),
        ("{{ n }}", 3),
        ("{{n}}", 3),
        ("{{ names }}", ["x", "y"]),
        ("{{ n }} of {{ names }}", "3 of ['x', 'y']"),
        ("{{ flat }}!", "true!"),
        ("{{ none }}?", "null?"),
        ("{{ 0.10 }} USD", "0.10 USD"),
        ("{{ {'a': '}}'} }}", {"a": "}}"}),
        ("{{ {'a': {'b': n}} }}", {"a": {"b": 3}}),
        ("}} {{ n }} {", "}} 3 {"),
        ("{{ '{{' }}", None),
    ],
)
def test_a_template_is_text_or_one_value(text: str, value: Any) -> None:
    """Engine rule 2: exactly one `{{ }}` keeps the type of its value; anything around it makes text."""
    if value is None:
        assert "expression already" in str(error_of(text, parse_template))
        return
    found = parse_template(text).evaluate(NAMES)
    assert (found.plain() if hasattr(found, "plain") else found) == value


@pytest.mark.parametrize(
    ("text", "says", "offset"),
    [
        ("a {{ n", "never closed", 2),
        ("a {% if %}", "{% is not part", 2),
        ("a {# x #}", "{# is not part", 2),
        ("{{ n }} {{ n ** 2 }}", "'**' is not part", 11),
        ("{{ }}", "the expression is empty", 3),
        ("x {{  n = 1 }}", "ends before '='", 8),
    ],
)
def test_a_fault_in_a_template_has_its_place(text: str, says: str, offset: int) -> None:
    """The offset counts from the scalar's first character, blanks inside the braces included."""
    error = error_of(text, parse_template)
    assert says in str(error)
    assert error.offset == offset


@given(
    st.lists(
        st.text(st.characters(exclude_characters="{}", exclude_categories=["Cs"]), max_size=6), min_size=2, max_size=5
    )
)
def test_text_around_values_is_kept_to_the_letter(pieces: list[str]) -> None:
    """A template gives back every character that stands outside of its braces."""
    found = parse_template("{{ n }}".join(pieces)).evaluate(NAMES)
    assert found == (3 if pieces == ["", ""] else "3".join(pieces))


WORDS = (
    "n text names params.n and or not in is if else == != < >= + - * / // % | ( ) [ ] { } , : . 'a' 1 0.5 true none"
    " length"
)


def outcome(action: Any) -> Any:
    """Return what `action` returns, or the ExpressionError that it raises."""
    try:
        return action()
    except ExpressionError as error:
        return error


@given(st.lists(st.sampled_from(WORDS.split()), max_size=12).map(" ".join))
def test_words_of_the_language_in_any_order_never_break_it(text: str) -> None:
    """Whatever the words say, there is an expression with a value or an ExpressionError inside the text."""
    found = outcome(lambda: parse_expression(text))
    if isinstance(found, Expression):
        assert all(0 <= offset < len(text) for _, offset in found.names)
        outcome(lambda: found.evaluate(NAMES))
    else:
        assert 0 <= found.offset <= len(text)


def test_numbers_keep_each_digit() -> None:
    """Engine rule 4: a literal is exact; Jinja2's own lexer would round it to a float."""
    tree = parse_expression("0.12345678901234567890123").tree
    assert isinstance(tree, nodes.Const)
    assert tree.value == Decimal("0.12345678901234567890123")
    assert parse_expression("1_000").evaluate({}) == 1000
