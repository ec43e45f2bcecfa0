"""Evaluates parsed expressions: exact numbers, likes compared with likes; a missing name is an error, never a value.

Jinja2's trees are walked as they are: generating and compiling Python from them costs a millisecond each, and a gate is
mostly asked once. Nothing is called but the filters and tests listed here, and names are looked up in namespaces only.
"""

from __future__ import annotations

import datetime
import decimal
import functools
import inspect
import operator
from collections.abc import Callable, Mapping
from decimal import Decimal
from types import GeneratorType
from typing import Any

from jinja2 import StrictUndefined, UndefinedError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from aurora.engine.faults import did_you_mean
from aurora.engine.values import Namespace, shown

FILTERS = (
    "abs count first join last length list lower map max min reject rejectattr replace round select selectattr sort"
    " string sum trim unique upper"
).split()
TESTS = (
    "boolean defined divisibleby eq equalto even false ge gt in le lt ne none number odd sequence string true undefined"
).split()
ORDERED = {"lt": "<", "lteq": "<=", "gt": ">", "gteq": ">="}
MAX_TEXT = 100_000
MAX_DIGITS = 400
_TRAPS = [decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow]
_EXACT = decimal.Context(prec=34, Emax=MAX_DIGITS, Emin=-MAX_DIGITS, traps=_TRAPS)
_Scope = Mapping[str, Any]


class ExpressionError(Exception):
    """An expression can't be parsed, or can't be evaluated; `offset` is where in its text (0 when unknown)."""

    def __init__(self, message: str, hint: str = "", offset: int = 0) -> None:
        super().__init__(message)
        self.hint = hint
        self.offset = offset


class MissingName(ExpressionError):
    """A name, or a part of a value, is not there."""


class _Missing(StrictUndefined):
    """What Jinja2's own filters make when there is nothing: the last item of an empty list. It is an error at once."""

    __slots__ = ()

    def __init__(self, hint: str | None = None, *args: Any, **kwargs: Any) -> None:
        raise MissingName(hint or "there is no such value")


class Environment(ImmutableSandboxedEnvironment):
    """Jinja2's immutable sandbox with the filters and tests of the language, and no globals."""

    def __init__(self) -> None:
        super().__init__(optimized=False, autoescape=False, cache_size=0)
        self.undefined = _Missing
        self.globals.clear()
        self.filters = {name: self.filters[name] for name in FILTERS} | {"round": _round, "string": text_of}
        self.tests = {name: self.tests[name] for name in TESTS} | {
            name: _as_test(operator_)
            for name, operator_ in {
                "eq": "eq", "equalto": "eq", "ne": "ne", "lt": "lt", "le": "lteq", "gt": "gt", "ge": "gteq", "in": "in",
            }.items()
        }  # fmt: skip

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Return a part of a value; filters come here for their `attribute`."""
        return part(obj, argument)


def evaluate(tree: nodes.Expr, scope: _Scope) -> Any:
    """Return the value of `tree` in `scope` (root names to exposed values). Raises ExpressionError, nothing else."""
    try:
        with decimal.localcontext(_EXACT):
            return _value(tree, scope)
    except ExpressionError:
        raise
    except UndefinedError as error:
        raise MissingName(str(error)) from error
    except decimal.DecimalException as error:
        raise ExpressionError(f"the numbers can't be reckoned with: {type(error).__name__}") from error
    except Exception as error:
        raise ExpressionError(f"{type(error).__name__}: {error}") from error


def text_of(value: Any) -> str:
    """Return a value as text inside text. Raises ExpressionError when that would be too long."""
    text = value if isinstance(value, str) else shown(value, MAX_TEXT + 1)
    if len(text) > MAX_TEXT:
        raise ExpressionError(f"the text is longer than {MAX_TEXT:,} characters")
    return text


def part(value: Any, name: Any) -> Any:
    """Return `value.name` or `value[name]`: an entry of a namespace, or an item of a list or text."""
    if isinstance(value, Namespace):
        if isinstance(name, str) and name in value:
            return value[name]
        raise _missing(f"there is no {str(name)!r} here", did_you_mean(str(name), list(value)))
    if isinstance(value, list | str) and isinstance(name, int | slice) and not isinstance(name, bool):
        try:
            return value[name]
        except IndexError:
            raise MissingName(f"there is no item {name} in {shown(value, 60)}") from None
    raise MissingName(f"{shown(value, 60)} has no part {str(name)!r}")


def _missing(message: str, hint: str) -> MissingName:
    return MissingName(f"{message}: {hint}" if hint else message)


def kind_of(value: Any) -> str:
    """Return what sort of value it is, for comparisons: only likes are compared."""
    if value is None:
        return "nothing"
    for kind, types in _KINDS.items():
        if isinstance(value, types):
            return kind
    return type(value).__name__


_KINDS: dict[str, type | tuple[type, ...]] = {
    "true or false": bool,
    "a number": (int, Decimal),
    "text": str,
    "a list": (list, tuple),
    "a map": Mapping,
    "a date and time": datetime.datetime,
    "a date": datetime.date,
    "a time": datetime.time,
    "a span of time": datetime.timedelta,
}
_WITH_ORDER = ("a number", "a date and time", "a date", "a time", "a span of time")


def compare(left: Any, sign: str, right: Any) -> bool:
    """Return `left sign right`, where `sign` is a name of Jinja2's. Raises ExpressionError for unlike things."""
    kinds = kind_of(left), kind_of(right)
    if sign in ORDERED:
        for side, kind in zip((left, right), kinds, strict=True):
            if kind not in _WITH_ORDER:
                raise ExpressionError(f"{kind} can't be compared with {ORDERED[sign]}: {shown(side, 60)}")
        if kinds[0] != kinds[1]:
            raise _unlike(left, right)
        return bool({"lt": operator.lt, "lteq": operator.le, "gt": operator.gt, "gteq": operator.ge}[sign](left, right))
    if sign in ("eq", "ne"):
        if kinds[0] != kinds[1] and "nothing" not in kinds:
            raise _unlike(left, right)
        return bool(left == right) is (sign == "eq")
    return _is_in(left, right) is (sign == "in")


def _is_in(left: Any, right: Any) -> bool:
    if isinstance(right, str | Mapping):
        if not isinstance(left, str):
            raise ExpressionError(f"{shown(left, 60)} can't be in {kind_of(right)}")
        return left in right
    if not isinstance(right, list):
        raise ExpressionError(f"nothing can be in {kind_of(right)}: {shown(right, 60)}")
    kinds = {kind_of(item) for item in right} - {"nothing"}
    if left is not None and kinds and kind_of(left) not in kinds:
        raise _unlike(left, right[0])
    return any(item == left for item in right if kind_of(item) == kind_of(left))


def _unlike(left: Any, right: Any) -> ExpressionError:
    return ExpressionError(
        f"unlike things are compared: {shown(left, 60)} is {kind_of(left)}, {shown(right, 60)} is {kind_of(right)}"
    )


def _as_test(sign: str) -> Callable[[Any, Any], bool]:
    return lambda left, right: compare(left, sign, right)


def _round(value: Any, precision: int = 0, method: str = "common") -> Any:
    """Round to `precision` places after the point: half up, or always up (`ceil`) or down (`floor`)."""
    modes = {"common": decimal.ROUND_HALF_UP, "ceil": decimal.ROUND_CEILING, "floor": decimal.ROUND_FLOOR}
    if method not in modes:
        raise ExpressionError(f"round knows common, ceil and floor, not {method!r}")
    _need_numbers("round", value, precision)
    return Decimal(value).quantize(Decimal(1).scaleb(-precision), modes[method])


def _need_numbers(sign: str, *values: Any) -> None:
    for value in values:
        if kind_of(value) != "a number":
            hint = "to join text, write {{ }} inside it" if isinstance(value, str) else ""
            raise ExpressionError(f"'{sign}' needs numbers, {shown(value, 60)} is {kind_of(value)}", hint)


def _binary(sign: str, left: Any, right: Any) -> Any:
    if sign == "+" and isinstance(left, list) and isinstance(right, list):
        return left + right
    _need_numbers(sign, left, right)
    if sign == "/":
        return Decimal(left) / Decimal(right)
    if sign in ("//", "%") and isinstance(left, Decimal) | isinstance(right, Decimal):
        # Decimal's own cut towards zero, int's go down; both go down here
        whole = (Decimal(left) / Decimal(right)).to_integral_value(decimal.ROUND_FLOOR)
        return whole if sign == "//" else left - right * whole
    result = _OPERATORS[sign](left, right)
    if isinstance(result, int) and result.bit_length() > MAX_DIGITS * 3:
        raise ExpressionError("the number is too large")
    return result


_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": operator.floordiv,
    "%": operator.mod,
}


# One function a kind of node.


def _value(node: nodes.Node, scope: _Scope) -> Any:
    return _EVALUATE[type(node)](node, scope)


def _name(node: Any, scope: _Scope) -> Any:
    if node.name not in scope:
        raise _missing(f"there is no name {node.name!r} here", did_you_mean(node.name, list(scope)))
    return scope[node.name]


def _item(node: Any, scope: _Scope) -> Any:
    wanted = node.arg
    if isinstance(wanted, nodes.Slice):
        start, stop, step = (
            None if each is None else _value(each, scope) for each in (wanted.start, wanted.stop, wanted.step)
        )
        return part(_value(node.node, scope), slice(start, stop, step))
    return part(_value(node.node, scope), _value(wanted, scope))


def _map(node: Any, scope: _Scope) -> Namespace:
    return Namespace({text_of(_value(pair.key, scope)): _value(pair.value, scope) for pair in node.items})


def _compare(node: Any, scope: _Scope) -> bool:
    operand = node.ops[0]
    return compare(_value(node.expr, scope), operand.op, _value(operand.expr, scope))


def _sign(node: Any, scope: _Scope) -> Any:
    value = _value(node.node, scope)
    _need_numbers(node.operator, value)
    return -value if node.operator == "-" else value


def _filter(node: Any, scope: _Scope) -> Any:
    arguments = [_value(each, scope) for each in node.args]
    named = {each.key: _value(each.value, scope) for each in node.kwargs}
    found = environment.call_filter(node.name, _value(node.node, scope), arguments, named, context=_context)
    if isinstance(found, GeneratorType):
        found = list(found)
    return text_of(found) if isinstance(found, str) else found


def _test(node: Any, scope: _Scope) -> bool:
    if node.name in ("defined", "undefined"):
        try:
            _value(node.node, scope)
        except (MissingName, UndefinedError):
            return bool(node.name == "undefined")
        return bool(node.name == "defined")
    arguments = [_value(each, scope) for each in node.args]
    return bool(environment.call_test(node.name, _value(node.node, scope), arguments, context=_context))


_EVALUATE: dict[type[nodes.Node], Callable[[Any, _Scope], Any]] = {
    nodes.Const: lambda node, _: node.value,
    nodes.Name: _name,
    nodes.Getattr: lambda node, scope: part(_value(node.node, scope), node.attr),
    nodes.Getitem: _item,
    nodes.List: lambda node, scope: [_value(each, scope) for each in node.items],
    nodes.Tuple: lambda node, scope: [_value(each, scope) for each in node.items],
    nodes.Dict: _map,
    nodes.And: lambda node, scope: _value(node.left, scope) and _value(node.right, scope),
    nodes.Or: lambda node, scope: _value(node.left, scope) or _value(node.right, scope),
    nodes.Not: lambda node, scope: not _value(node.node, scope),
    nodes.CondExpr: lambda node, scope: _value(node.expr1 if _value(node.test, scope) else node.expr2, scope),
    nodes.Compare: _compare,
    nodes.Neg: _sign,
    nodes.Pos: _sign,
    nodes.Filter: _filter,
    nodes.Test: _test,
    **{
        kind: lambda node, scope: _binary(node.operator, _value(node.left, scope), _value(node.right, scope))
        for kind in (nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod)
    },
}
environment = Environment()
_context = environment.from_string("").new_context()
EVALUATED = frozenset(_EVALUATE)
"""The kinds of node that the language has."""


@functools.cache
def argument_problem(name: str, count: int, named: tuple[str, ...], *, is_filter: bool) -> str:
    """Return why the filter or test `name` can't be called with `count` arguments and these named ones, or nothing."""
    known: Mapping[str, Any] = environment.filters if is_filter else environment.tests
    function = inspect.unwrap(known[name])
    passes = hasattr(function, "jinja_pass_arg")
    try:
        inspect.signature(function).bind(*[None] * (count + 1 + passes), **dict.fromkeys(named))
    except TypeError as error:
        return f"{name!r}: {error}"
    return ""
