"""The rules of the language, by number: scalars, templates, expressions, gates, types (engine rules 1 to 6)."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.engine.document import parse_document
from aurora.engine.expressions import ExpressionError, parse_expression, parse_template
from aurora.engine.functions import FunctionTable
from aurora.engine.lint import lint_names
from aurora.engine.project import Project
from aurora.engine.scopes import decide
from aurora.engine.spec import Gate
from aurora.engine.values import TypeMismatch, decode, encode, exposed


def value(text: str) -> Any:
    """Return what the YAML text `k: text` holds under k."""
    document = parse_document(f"k: {text}\n".encode(), "t.yaml")
    assert not document.faults, list(map(str, document.faults))
    return document.data["k"]


@pytest.mark.parametrize(
    "text", ["no", "on", "off", "Yes", "10:30", "012", "0777", "0x1F", "1_000", ".nan", ".inf", "2026-11-22"]
)
def test_what_yaml_11_would_have_changed_stays_text(text: str) -> None:
    """Engine rule 1: YAML 1.2 scalars, and no octal, hex, infinity, NaN or date either."""
    assert value(text) == text


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("true", True),
        ("false", False),
        ("7", 7),
        ("-3", -3),
        ("~", None),
        ("1.10", Decimal("1.10")),
        ("5e2", Decimal(500)),
    ],
)
def test_the_other_scalars(text: str, meant: Any) -> None:
    """Engine rules 1 and 4: only true and false are booleans; a fraction is an exact decimal."""
    assert value(text) == meant
    assert type(value(text)) is type(meant)


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ("a: 1\nb: 2\na: 3\n", "t.yaml:3:1", "stands twice"),
        ("a: {{ x }}\n", "t.yaml:1:4", "needs quotes"),
        ("a: 1\nb: *x\n", "t.yaml:2:4", "alias"),
        ("a: !!python/name:os.system x\n", "t.yaml:1:4", "not part of the language"),
        ("a: 1\n---\nb: 2\n", "t.yaml:2:1", "second document"),
        ("a: b: c\n", "t.yaml:1:5", "needs quotes"),
        ("\ta: 1\n", "t.yaml:1:1", "spaces, not tabs"),
    ],
)
def test_a_fault_in_the_file_has_its_place_and_what_to_do(text: str, place: str, says: str) -> None:
    """Engine rule 1: each fault has file:line:col, the excerpt with a caret, and a hint."""
    (fault,) = parse_document(text.encode(), "t.yaml").faults
    assert str(fault).startswith(place)
    assert says in str(fault)
    assert "^" in str(fault)


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader(raw: bytes) -> None:
    """Whatever a file holds, reading it gives a document or faults, never an exception."""
    document = parse_document(raw, "t.yaml")
    assert document.faults or document.data is not None or raw.strip() != b""
    for fault in document.faults:
        assert str(fault).startswith("t.yaml:")


NAMES = {
    "anomalies": [],
    "n": 3,
    "text": "10.0",
    "out": exposed({"price": 1.5, "items": [1, 2], "nan": float("nan"), "deep": {"x": Decimal("NaN")}}),
}


def gate(text: str, **more: Any) -> dict[str, Any]:
    """Return the verdict on a gate over NAMES."""
    return decide(Gate(parse_expression(text)), {**NAMES, **more}, dry_run=False)


@pytest.mark.parametrize(
    "text",
    [
        "anomalies == []",
        "n >= 3 and out.price < 1.6",
        "out.items | length == 2",
        "0.1 + 0.2 == 0.3",
        "n in [1, 3]",
        "not (n > 5)",
        "out.items[0] == 1",
        "(n if n > 1 else 0) == 3",
    ],
)
def test_a_gate_that_holds_passes(text: str) -> None:
    """The language has names, comparisons, logic, arithmetic on exact numbers, and filters."""
    assert gate(text)["verdict"] == "pass"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("n", "not true or false"),
        ("anomalies", "not true or false"),
        ("n == 4", None),
        ("out.nan > 0", "NaN"),
        ("out.nan == out.nan", "NaN"),
        ("out.deep == 1 or true", "NaN"),
        ("missing == []", "missing"),
        ("out.prise < 2", "did you mean 'price'?"),
        ("text < '9.5'", "text can't be compared"),
        ("text > 9", "text can't be compared"),
        ("n / 0 == 1", "Division"),
        ("out.price + text == 1", "needs numbers"),
        ("true == 1 and n < true", "unlike things"),
    ],
)
def test_a_gate_is_never_green_by_accident(text: str, says: str | None) -> None:
    """Engine rule 4: anything but an exact true is red: NaN, missing names, errors, text, numbers."""
    found = gate(text)
    assert found["verdict"] == "red"
    assert says is None or says in found["error"]


def test_a_red_gate_shows_each_name_with_its_value() -> None:
    """A red gate prints what it saw."""
    assert gate("n > 5 and out.price < 9")["values"] == {"n": "3", "out.price": "1.5"}


@pytest.mark.parametrize(
    "text",
    [
        "x.upper()",
        "'a' ~ 'b'",
        "2 ** 9",
        "x | default(1)",
        "x | d(1)",
        "x | attr('y')",
        "1 < 2 < 3",
        "x if y",
        "a = 1",
        "a && b",
        "{{ x }}",
        "x | random",
        "x | int",
        "'a' * 10",
        "",
        "lambda: 1",
        "x.__class__()",
        "a; b",
    ],
)
def test_what_can_surprise_is_no_expression(text: str) -> None:
    """Engine rules 3 and 4: no calls, no default, no chains, no statements; or an error when evaluated."""
    with pytest.raises(ExpressionError):
        parse_expression(text).evaluate({"x": "a", "a": 1, "b": 2, "y": True})


def test_the_inside_of_python_is_out_of_reach() -> None:
    """Engine rule 3: names are looked up in namespaces; a dict's methods and an object's attributes are not there."""
    assert parse_expression("out.items").evaluate(NAMES) == [1, 2]
    for text in ("out.keys", "out.__class__", "text.upper", "anomalies.append", "n.real"):
        with pytest.raises(ExpressionError):
            parse_expression(text).evaluate(NAMES)


@pytest.mark.parametrize("text", ["9" * 2000, "'" + "a" * 2000 + "'", "(" * 600 + "1" + ")" * 600, "1" + "+1" * 600])
def test_expressions_are_bounded(text: str) -> None:
    """Engine rule 3: length and depth are bounded; what is too large is refused, not computed."""
    with pytest.raises(ExpressionError):
        parse_expression(text)


@given(st.text(max_size=60))
def test_no_text_breaks_the_parser(text: str) -> None:
    """Any text is an expression with a value, or an ExpressionError; nothing else comes out."""
    for parse in (parse_expression, parse_template):
        with contextlib.suppress(ExpressionError):
            parse(text).evaluate(NAMES)


def test_a_lone_template_keeps_its_type() -> None:
    """Engine rule 2: one `{{ }}` alone keeps the value's type, any other template is text."""
    assert parse_template("{{ out.items }}").evaluate(NAMES) == [1, 2]
    assert parse_template("{{ n }} of {{ out.price }}").evaluate(NAMES) == "3 of 1.5"
    assert parse_template(" {{ n }}").evaluate(NAMES) == " 3"


@dataclass(frozen=True)
class Inner:
    """A part of the outputs below."""

    flag: bool
    amount: Decimal


@dataclass(frozen=True)
class Outputs:
    """Outputs of every kind."""

    price: Decimal
    rate: float
    at: datetime
    names: tuple[str, ...]
    inner: Inner
    table: dict[str, Inner]
    maybe: Decimal | None = None


@given(
    st.builds(
        Outputs,
        price=st.decimals(allow_nan=False, allow_infinity=False, places=4),
        rate=st.floats(allow_nan=False),
        at=st.datetimes(timezones=st.just(UTC)),
        names=st.lists(st.text(max_size=5), max_size=3).map(tuple),
        inner=st.builds(Inner, amount=st.decimals(allow_nan=False, allow_infinity=False, places=2)),
        table=st.dictionaries(st.text(max_size=3), st.builds(Inner, amount=st.just(Decimal("0.1"))), max_size=2),
    )
)
def test_outputs_come_back_as_they_were(outputs: Outputs) -> None:
    """Engine rule 5: one encoder, one decoder from the return type: a gate sees the same before and after a resume."""
    assert decode(encode(outputs), Outputs) == outputs


def test_a_nan_survives_the_journal_as_a_nan() -> None:
    """Engine rules 4 and 5: a NaN is marked, strict JSON, and still a NaN afterwards."""
    assert encode(float("nan")) == {"$float": "nan"}
    assert math.isnan(decode(encode(float("nan")), float))
    assert decode(encode(float("-inf")), float) == -math.inf


@pytest.mark.parametrize(
    ("data", "kind"), [("1", int), (1, str), ("true", bool), (1, bool), (1.5, int), (None, str), ("x", Decimal)]
)
def test_nothing_is_read_as_another_type(data: Any, kind: type) -> None:
    """Engine rule 5: decoding is strict; text never becomes a number."""
    with pytest.raises(TypeMismatch):
        decode(data, kind)


STEPS = """
from dataclasses import dataclass
from decimal import Decimal
from aurora.engine.registry import step

@dataclass(frozen=True)
class Out:
    n: int
    text: str
    price: Decimal

@step(repeat="safe")
def work(n: int = 1, names: list[str] | None = None) -> Out:
    return Out(n, "", Decimal(1))

@step()
def once() -> None:
    pass

def plain() -> None:
    pass
"""


def lint(root: Path, steps: str, **books: str) -> str:
    """Return lint's words on a runbook with these steps."""
    for folder in ("runbooks", "steps", "profiles"):
        (root / folder).mkdir(exist_ok=True)
    (root / "steps/w.py").write_text(STEPS)
    (root / "profiles/base.yaml").write_text("mode: paper\nvenue: simulated\nslo: {p95: 1}\n")
    head = "runbook: book\nparams: {k: {type: integer, default: 1}, s: {type: string, default: x}}\nsteps:\n"
    (root / "runbooks/book.yaml").write_text(head + steps)
    for name, text in books.items():
        (root / f"runbooks/{name}.yaml").write_text(text)
    return "\n".join(map(str, lint_names(Project(root), ["book"], FunctionTable(root))))


A = "  - {id: a, uses: w.work}\n"
INNER = "runbook: inner\nparams: {n: {type: integer}}\nsteps:\n  - {id: i, uses: w.work}\n"


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ("  - {id: a, uses: w.work, gate: m == 1}\n", "has no output 'm'"),
        ("  - {id: a, uses: w.work, with: {m: 1}}\n", "has no argument 'm'"),
        ("  - {id: a, uses: w.work, with: {n: one}}\n", "needs a whole number, was text"),
        ('  - {id: a, uses: w.work, with: {n: "{{ params.s }}"}}\n', "needs a whole number"),
        ('  - {id: a, uses: w.work, with: {names: "{{ params.k }}"}}\n', "needs a list of text"),
        ("  - {id: a, uses: w.plain}\n", "is not a step"),
        ("  - {id: a, uses: w.once, retry: {max_attempts: 2}}\n", "can't be retried"),
        ("  - {id: a, uses: w.work, gate: text < 'b'}\n", "text can't be compared"),
        ("  - {id: a, uses: w.work, gate: text == 1}\n", "unlike things"),
        ("  - {id: a, uses: w.work, gate: n}\n", "must be true or false"),
        ("  - {id: a, uses: w.work, gate: n is defined}\n", "is not allowed in a gate"),
        (A + "  - {id: b, needs: [], gate: steps.a.n == 1}\n", "does not come before"),
        (A + "  - {id: b, gate: steps.c.n == 1}\n", "there is no step 'c'"),
        (A + "  - {id: b, gate: steps.a.m == 1}\n", "has no output 'm'"),
        ("  - {id: a, uses: w.work, if: params.k == 2}\n  - {id: b, gate: steps.a.n == 1}\n", "may have no outputs"),
        (A + "  - {id: b, gate: params.q == 1}\n", "there is no params.q"),
        (A + "  - {id: b, gate: profile.slo.p59 == 1}\n", "did you mean 'p95'?"),
        ("  - {id: a, runbook: inner}\n", "also needs n"),
        ("  - {id: a, runbook: inner, with: {n: x}}\n", "must be a whole number"),
        ("  - {id: a, runbook: inner, with: {n: 1, m: 2}}\n", "has no parameter 'm'"),
        ("  - {id: a, runbook: iner, with: {n: 1}}\n", "did you mean 'inner'?"),
        ("  - {id: a, runbook: book}\n", "in a circle: book → book"),
        (A + A, "stands twice"),
        ("  - {id: a}\n", "does nothing"),
        ("  - {id: a, uses: w.work, confirm: Yes?}\n", "uses and confirm"),
        ("  - {id: a, uses: w.work, timeout: 30}\n", "a number and a unit"),
        ("  - {id: a, gate: 1 == 1, fresh: 1m}\n", "'fresh' goes with uses or confirm"),
        ("  - {id: a, uses: w.work, fresh: 0s}\n", "how old a result may be is longer than nothing"),
        ("  - {id: a, uses: w.work, concurrency: 2}\n", "'concurrency' goes with foreach"),
        ("  - {id: a, uses: w.work, foreach: [1], concurrency: 0}\n", "must be at least 1"),
        ("  - {id: a, gate: {check: 1 == 1, poll: {every: 1s, for: 2s}}}\n", "only the gate of a step that 'uses'"),
        ("  - {id: a, uses: w.work, gate: {check: n == 1, poll: {every: 3s, for: 2s}}}\n", "it would never look again"),
        ("  - {id: a, uses: w.work, gate: {check: n == 1, poll: {every: 0s, for: 2s}}}\n", "longer than nothing"),
        ("  - {id: a, uses: w.work, gate: {check: n == 1, poll: {for: 2s}}}\n", "'every' is missing"),
        ("  - {id: a, uses: w.once, gate: {check: status == 'passed', poll: {every: 1s, for: 2s}}}\n", "not run twice"),
        ("  - {id: a, uses: w.work, needs: [b]}\n  - {id: b, gate: true == true, needs: [a]}\n", "a → b → a"),
        ("  - {id: a, confirm: Yes?, retry: {max_attempts: 2}}\n", "goes with uses"),
        ("  - {id: a, uses: w.work, foreach: x}\n", "foreach needs a list"),
    ],
)
def test_lint_finds_it(tmp_path: Path, steps: str, says: str) -> None:
    """Lint knows names, types, graph and parameters before anything runs; each fault with place and caret."""
    found = lint(tmp_path, steps, inner=INNER)
    assert says in found
    assert "runbooks/book.yaml:" in found
    assert "^" in found


def test_all_faults_come_in_one_pass(tmp_path: Path) -> None:
    """Lint does not stop at the first: three faults in two steps are three faults."""
    found = lint(tmp_path, "  - {id: a, uses: w.wrok}\n  - {id: b, uses: w.work, with: {q: 1}, gate: m == 1}\n")
    assert found.count("runbooks/book.yaml:") == 3


@pytest.mark.parametrize(
    "steps",
    [
        (
            "  - {id: a, uses: w.work, if: params.k == 2}\n"
            "  - {id: b, gate: steps.a.status != 'passed' or steps.a.n == 1}\n"
        ),
        (
            '  - {id: a, uses: w.work, foreach: [1, 2], as: k2, with: {n: "{{ k2 }}"}, gate: n == k2}\n'
            "  - {id: b, gate: steps.a.items | length == 2}\n"
        ),
        "  - {id: a, runbook: inner, with: {n: 1}, gate: i.n == 1}\n  - {id: b, gate: steps.a.i.n == 1}\n",
        "  - {id: a, uses: w.work, gate: [price < 1.5, {check: n == 1, severity: advisory, message: m}]}\n",
    ],
)
def test_lint_lets_sound_runbooks_be(tmp_path: Path, steps: str) -> None:
    """What is right has no fault: guarded outputs, foreach items, inner steps, lists of gates."""
    assert lint(tmp_path, steps, inner=INNER) == ""
