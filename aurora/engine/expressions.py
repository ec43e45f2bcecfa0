"""The one small language of gates, `if` and `{{ }}`: Jinja2 in its immutable sandbox, cut down to what can't surprise.

Names, comparisons, `and`/`or`/`not`, `in`, arithmetic, and the filters and tests listed below; no calls, no methods,
no `~`, no `**`. A name that is not there is an error, text is never compared with `<`, numbers with a fraction are
Decimal. Expressions are parsed when a runbook is linted and compiled when first evaluated (engine rule 3).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from jinja2 import StrictUndefined, TemplateSyntaxError, UndefinedError, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from aurora.engine.faults import did_you_mean
from aurora.engine.values import Namespace, shown

MAX_LENGTH = 1_000
FILTERS = (
    "abs count first join last length list lower map max min reject rejectattr replace round select selectattr sort"
    " string sum trim unique upper"
).split()
TESTS = (
    "boolean defined divisibleby eq equalto even false ge gt in le lt ne none null number odd sequence string true"
    " undefined"
).split()
_ORDERED = {"lt": "<", "lteq": "<=", "gt": ">", "gteq": ">="}
_ALLOWED = (
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.Name,
    nodes.Getattr,
    nodes.Getitem,
    nodes.Const,
    nodes.List,
    nodes.Tuple,
    nodes.Dict,
    nodes.Pair,
    nodes.Add,
    nodes.Sub,
    nodes.Mul,
    nodes.Div,
    nodes.FloorDiv,
    nodes.Mod,
    nodes.Neg,
    nodes.Pos,
    nodes.Filter,
    nodes.Test,
    nodes.CondExpr,
    nodes.Keyword,
    nodes.Slice,
)

Path = tuple[str | int, ...]


class ExpressionError(Exception):
    """An expression can't be parsed, or can't be evaluated; `offset` is where in its text (0 when unknown)."""

    def __init__(self, message: str, hint: str = "", offset: int = 0) -> None:
        super().__init__(message)
        self.hint = hint
        self.offset = offset


class _Missing(StrictUndefined):
    """A name that is not there: any use of it is an error, also `is defined`'s neighbours."""

    __slots__ = ()


def _number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _ordered(left: Any, operator: str, right: Any) -> bool:
    for side in (left, right):
        if isinstance(side, _Missing):
            side._fail_with_undefined_error()
        if isinstance(side, str):
            raise ExpressionError(f"text can't be compared with {_ORDERED[operator]}: {shown(side)}")
    if _number(left) != _number(right) or isinstance(left, bool) or isinstance(right, bool):
        raise ExpressionError(f"{shown(left)} {_ORDERED[operator]} {shown(right)} compares unlike things")
    try:
        return bool({"lt": left < right, "lteq": left <= right, "gt": left > right, "gteq": left >= right}[operator])
    except TypeError as error:
        raise ExpressionError(f"{shown(left)} can't be compared with {shown(right)}") from error


class _Code(CodeGenerator):
    """Jinja2's code generator with exact numbers and guarded comparisons."""

    def visit_Const(self, node: nodes.Const, frame: Frame) -> None:  # noqa: N802 - Jinja2's own name
        if isinstance(node.value, float):
            self.write(f"environment.decimal({str(node.value)!r})")
        else:
            super().visit_Const(node, frame)

    def visit_Compare(self, node: nodes.Compare, frame: Frame) -> None:  # noqa: N802 - Jinja2's own name
        operand = node.ops[0]
        if operand.op in _ORDERED:
            self.write("environment.ordered(")
            self.visit(node.expr, frame)
            self.write(f", {operand.op!r}, ")
            self.visit(operand.expr, frame)
            self.write(")")
        else:
            super().visit_Compare(node, frame)


class _Environment(ImmutableSandboxedEnvironment):
    """The sandbox: names are looked up in namespaces only, and arithmetic is for numbers."""

    code_generator_class = _Code
    intercepted_binops = frozenset(["+", "-", "*", "/", "//", "%"])
    intercepted_unops = frozenset(["-", "+"])
    decimal = Decimal
    ordered = staticmethod(_ordered)

    def __init__(self) -> None:
        super().__init__(undefined=_Missing, optimized=False, autoescape=False, cache_size=0)
        self.globals.clear()
        self.filters = {name: self.filters[name] for name in FILTERS}
        self.tests = {name: self.tests[name] for name in TESTS if name in self.tests}
        self.tests["null"] = self.tests["none"]
        for name, operator in (("lt", "lt"), ("le", "lteq"), ("gt", "gt"), ("ge", "gteq")):
            self.tests[name] = lambda left, right, operator=operator: _ordered(left, operator, right)

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, Namespace) and attribute in obj:
            return obj[attribute]
        return self._missing(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Namespace) and isinstance(argument, str) and argument in obj:
            return obj[argument]
        if isinstance(obj, list | str) and isinstance(argument, int | slice) and not isinstance(argument, bool):
            try:
                return obj[argument]
            except IndexError:
                return self._missing(obj, argument)
        return self._missing(obj, argument)

    def _missing(self, obj: Any, name: Any) -> Any:
        if isinstance(obj, _Missing):
            obj._fail_with_undefined_error()
        if isinstance(obj, Namespace):
            hint = did_you_mean(str(name), list(obj))
            return _Missing(f"there is no {str(name)!r} here{': ' + hint if hint else ''}", name=str(name))
        return _Missing(f"{shown(obj, 60)} has no part {str(name)!r}", name=str(name))

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "+" and isinstance(left, list) and isinstance(right, list):
            return left + right
        for side in (left, right):
            if isinstance(side, _Missing):
                side._fail_with_undefined_error()
            if not _number(side):
                raise ExpressionError(f"{shown(left, 60)} {operator} {shown(right, 60)} needs numbers on both sides")
        if operator == "/":
            return Decimal(left) / Decimal(right)
        if operator == "*" and max(_digits(left), _digits(right)) > 400:
            raise ExpressionError("the numbers are too large")
        return super().call_binop(context, operator, left, right)

    def call_unop(self, context: Any, operator: str, arg: Any) -> Any:
        if isinstance(arg, _Missing):
            arg._fail_with_undefined_error()
        if not _number(arg):
            raise ExpressionError(f"{operator}{shown(arg, 60)} needs a number")
        return super().call_unop(context, operator, arg)


def _digits(number: int | Decimal) -> int:
    return number.bit_length() // 3 if isinstance(number, int) else abs(number.adjusted())


_environment = _Environment()


@dataclass
class Expression:
    """A parsed expression: its text, its tree, and every name path in it (`('steps', 'live', 'anomalies')`)."""

    text: str
    tree: nodes.Expr
    paths: tuple[Path, ...]
    _compiled: Any = field(default=None, repr=False)

    def evaluate(self, scope: Mapping[str, Any]) -> Any:
        """Return the value in `scope` (root names to exposed values). Raises ExpressionError, never anything else."""
        try:
            if self._compiled is None:
                body: list[nodes.Node] = [nodes.Assign(nodes.Name("result", "store"), self.tree, lineno=1)]
                self._compiled = _environment.from_string(nodes.Template(body, lineno=1))
            context = self._compiled.new_context(dict(scope))
            for _ in self._compiled.root_render_func(context):
                pass
            value = context.vars["result"]
            if isinstance(value, _Missing):
                value._fail_with_undefined_error()
        except ExpressionError:
            raise
        except UndefinedError as error:
            raise ExpressionError(str(error)) from error
        except Exception as error:
            raise ExpressionError(f"{type(error).__name__}: {error}") from error
        return value

    def named_values(self, scope: Mapping[str, Any]) -> dict[str, Any]:
        """Return each name path with its value in `scope`; a path that is not there is left out."""
        found: dict[str, Any] = {}
        for path in self.paths:
            value: Any = scope
            for part in path:
                if (isinstance(value, Mapping) and part in value) or (
                    isinstance(value, list) and isinstance(part, int) and -len(value) <= part < len(value)
                ):
                    value = value[part]
                else:
                    break
            else:
                found[path_text(path)] = value
        return found


@dataclass
class Template:
    """A scalar with `{{ }}`: text pieces and expressions; one lone expression keeps its value's type (rule 2)."""

    text: str
    parts: tuple[str | Expression, ...]

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """Return the expressions in it, in order."""
        return tuple(part for part in self.parts if isinstance(part, Expression))

    def evaluate(self, scope: Mapping[str, Any]) -> Any:
        """Return the value in `scope`: typed for a lone expression, else text. Raises ExpressionError."""
        if len(self.parts) == 1 and isinstance(self.parts[0], Expression):
            return self.parts[0].evaluate(scope)
        return "".join(part if isinstance(part, str) else _text(part.evaluate(scope)) for part in self.parts)


def path_text(path: Path) -> str:
    """Return a name path as it is written: `steps.live.anomalies`, `steps.q[0]`."""
    return str(path[0]) + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path[1:])


def _text(value: Any) -> str:
    return value if isinstance(value, str) else shown(value, 100_000)


def parse_expression(text: str) -> Expression:
    """Parse the text of a gate or an `if`. Raises ExpressionError with the fault's offset."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"the expression is longer than {MAX_LENGTH:,} characters")
    if "{{" in text or "{%" in text:
        raise ExpressionError("a gate or condition is an expression already", "write it without {{ }}", text.index("{"))
    try:
        parser = Parser(_environment, text, state="variable")
        tree = parser.parse_expression()
        if not parser.stream.eos:
            token = parser.stream.current.value
            raise ExpressionError(
                f"the expression ends before {token!r}", _operator_hint(text), max(text.rfind(token), 0)
            )
    except TemplateSyntaxError as error:
        raise ExpressionError(str(error.message or "not an expression"), _operator_hint(text)) from error
    except RecursionError as error:
        raise ExpressionError("the expression nests too deeply") from error
    return _checked(text, tree)


def parse_template(text: str) -> Template:
    """Parse a scalar that may hold `{{ }}`. Raises ExpressionError."""
    if "{{" not in text and "{%" not in text and "{#" not in text:
        return Template(text, (text,))
    if "{%" in text or "{#" in text:
        mark = "{%" if "{%" in text else "{#"
        raise ExpressionError(f"{mark} is not part of the language, only {{{{ }}}}", "", text.index(mark))
    parts: list[str | Expression] = []
    rest, offset = text, 0
    while "{{" in rest:
        start = rest.index("{{")
        end = _closing(rest, start)
        if end < 0:
            raise ExpressionError("'{{' is never closed", "close it with '}}'", offset + start)
        if start:
            parts.append(rest[:start])
        inner = rest[start + 2 : end]
        try:
            parts.append(parse_expression(inner.strip()))
        except ExpressionError as error:
            lead = len(inner) - len(inner.lstrip())
            raise ExpressionError(str(error), error.hint, offset + start + 2 + lead + error.offset) from error
        offset += end + 2
        rest = rest[end + 2 :]
    if rest:
        parts.append(rest)
    return Template(text, tuple(parts))


_CLOSING = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|\}\}|[{}]""")


def _closing(text: str, start: int) -> int:
    """Return where the `}}` that closes the `{{` at `start` stands, past quoted text and dict braces; -1 for none."""
    depth = 0
    position = start + 2
    while match := _CLOSING.search(text, position):
        token = match.group()
        if token == "{":
            depth += 1
        elif token == "}" or (token == "}}" and depth):
            depth -= 1
            position = match.start() + 1
            continue
        elif token == "}}":
            return match.start()
        position = match.end()
    return -1


def _operator_hint(text: str) -> str:
    for wrong, right in (("&&", "and"), ("||", "or"), ("===", "=="), ("<>", "!=")):
        if wrong in text:
            return f"write {right!r}, not {wrong!r}"
    if re.search(r"(?<![=!<>])=(?!=)", text):
        return "compare with '==', not '='"
    return ""


def _checked(text: str, tree: nodes.Expr) -> Expression:
    for node in (tree, *tree.find_all(nodes.Node)):
        if not isinstance(node, _ALLOWED):
            raise ExpressionError(*_refusal(node))
        if isinstance(node, nodes.Compare) and len(node.ops) > 1:
            raise ExpressionError("comparisons can't be chained", "join two comparisons with 'and'")
        if isinstance(node, nodes.CondExpr) and node.expr2 is None:
            raise ExpressionError("'if' inside an expression needs an 'else'")
        if isinstance(node, nodes.Filter) and node.name not in FILTERS:
            raise ExpressionError(
                f"unknown filter {node.name!r}", did_you_mean(node.name, FILTERS), text.find(node.name)
            )
        if isinstance(node, nodes.Test) and node.name not in TESTS:
            raise ExpressionError(f"unknown test {node.name!r}", did_you_mean(node.name, TESTS), text.find(node.name))
        if isinstance(node, nodes.Const) and isinstance(node.value, int) and node.value.bit_length() > 400:
            raise ExpressionError("the number is too large")
    tree.set_environment(_environment)
    return Expression(text, tree, tuple(dict.fromkeys(_paths(tree))))


def _refusal(node: nodes.Node) -> tuple[str, str]:
    if isinstance(node, nodes.Call):
        return "calls are not part of the language", "use a filter, such as 'names | length'"
    if isinstance(node, nodes.Concat):
        return "'~' is not part of the language", "write the text around {{ }} instead"
    if isinstance(node, nodes.Pow):
        return "'**' is not part of the language", ""
    return f"{type(node).__name__} is not part of the language", ""


def _paths(node: nodes.Node) -> list[Path]:
    path = path_of(node)
    if path is not None:
        return [path]
    found: list[Path] = []
    for child in node.iter_child_nodes():
        found.extend(_paths(child))
    return found


def path_of(node: nodes.Node) -> Path | None:
    """Return the name path that `node` writes (`steps.a.x`), or None when it is something else."""
    if isinstance(node, nodes.Name):
        return (node.name,)
    if isinstance(node, nodes.Getattr):
        inner = path_of(node.node)
        return None if inner is None else (*inner, node.attr)
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str | int):
        inner = path_of(node.node)
        return None if inner is None else (*inner, node.arg.value)
    return None
