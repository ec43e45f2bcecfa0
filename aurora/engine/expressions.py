"""The one small language of gates, `if` and `{{ }}`: Jinja2's expressions, cut down to what can't surprise.

Names, comparisons, `and`/`or`/`not`, `in`, arithmetic, and the filters and tests listed in `evaluation`; no calls, no
methods, no `~`, no `**`. Numbers with a fraction are Decimal. Expressions are parsed when a runbook is linted.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from jinja2 import TemplateSyntaxError, nodes
from jinja2.lexer import Token, TokenStream
from jinja2.lexer import operators as token_types
from jinja2.parser import Parser

from aurora.engine.evaluation import (
    EVALUATED,
    FILTERS,
    MAX_DIGITS,
    TESTS,
    argument_problem,
    environment,
    evaluate,
    text_of,
)
from aurora.engine.evaluation import ExpressionError as ExpressionError  # the way in for those who evaluate
from aurora.engine.faults import did_you_mean
from aurora.written_number import read_number

MAX_LENGTH = 1_000
MAX_DEPTH = 200

Path = tuple[str | int, ...]


@dataclass(frozen=True, eq=False)
class Expression:
    """A parsed expression: its text, its tree, and every name path in it (`('steps', 'live', 'anomalies')`).

    In the tree, `lineno` is the offset in the text, so that a fault can point at its very character. `source` is the
    whole scalar that the expression stands in, `base` where in it.
    """

    text: str
    tree: nodes.Expr
    names: tuple[tuple[Path, int], ...]
    source: str
    base: int = 0

    @property
    def paths(self) -> tuple[Path, ...]:
        """Return the name paths, each once."""
        return tuple(dict.fromkeys(path for path, _ in self.names))

    def evaluate(self, scope: Mapping[str, Any]) -> Any:
        """Return the value in `scope` (root names to exposed values). Raises ExpressionError, never anything else."""
        return evaluate(self.tree, scope)

    def named_values(self, scope: Mapping[str, Any]) -> dict[str, Any]:
        """Return each name path with its value in `scope`; a path that is not there is left out."""
        found: dict[str, Any] = {}
        for path in self.paths:
            value: Any = scope
            for part in path:
                is_item = isinstance(value, list) and isinstance(part, int) and -len(value) <= part < len(value)
                if not is_item and not (isinstance(value, Mapping) and part in value):
                    break
                value = value[part]
            else:
                found[path_text(path)] = value
        return found


@dataclass(frozen=True, eq=False)
class Template:
    """A scalar with `{{ }}`: text pieces and expressions; one lone expression keeps its value's type (rule 2)."""

    text: str
    parts: tuple[str | Expression, ...]

    @property
    def expressions(self) -> tuple[Expression, ...]:
        """Return the expressions in it, in order."""
        return tuple(part for part in self.parts if isinstance(part, Expression))

    @property
    def lone(self) -> Expression | None:
        """Return the expression that the whole scalar is, or None when there is text around it."""
        return self.parts[0] if len(self.parts) == 1 and isinstance(self.parts[0], Expression) else None

    def evaluate(self, scope: Mapping[str, Any]) -> Any:
        """Return the value in `scope`: typed for a lone expression, else text. Raises ExpressionError."""
        if self.lone is not None:
            return self.lone.evaluate(scope)
        return "".join(part if isinstance(part, str) else text_of(part.evaluate(scope)) for part in self.parts)


def path_text(path: Path) -> str:
    """Return a name path as it is written: `steps.live.anomalies`, `steps.q[0]`."""
    return str(path[0]) + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path[1:])


@functools.lru_cache(maxsize=4096)
def parse_expression(text: str) -> Expression:
    """Parse the text of a gate or an `if`. Raises ExpressionError with the fault's offset."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"the expression is longer than {MAX_LENGTH:,} characters")
    if "{{" in text or "{%" in text:
        at = text.index("{{" if "{{" in text else "{%")
        raise ExpressionError("a gate or condition is an expression already", "write it without {{ }}", at)
    try:
        return _checked(text, _parsed(text))
    except RecursionError as error:
        raise ExpressionError("the expression nests too deeply") from error


def parse_template(text: str) -> Template:
    """Parse a scalar that may hold `{{ }}`. Raises ExpressionError with the fault's offset."""
    for mark in ("{%", "{#"):
        if mark in text:
            hint = "write steps and conditions in YAML; only {{ }} is evaluated"
            raise ExpressionError(f"{mark} is not part of the language", hint, text.index(mark))
    parts: list[str | Expression] = []
    position = 0
    while (start := text.find("{{", position)) >= 0:
        end = _closing(text, start)
        if end < 0:
            raise ExpressionError("'{{' is never closed", "close it with '}}'", start)
        if start > position:
            parts.append(text[position:start])
        inner = text[start + 2 : end]
        base = start + 2 + len(inner) - len(inner.lstrip())
        try:
            parts.append(replace(parse_expression(inner.strip()), source=text, base=base))
        except ExpressionError as error:
            raise ExpressionError(str(error), error.hint, base + error.offset) from error
        position = end + 2
    if position < len(text) or not parts:
        parts.append(text[position:])
    return Template(text, tuple(parts))


_CLOSING = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|\}\}|[{}]""", re.DOTALL)


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


# Parsing: Jinja2's parser over tokens of our own, which keep offsets and exact numbers.

_TOKEN = re.compile(
    r"""\s+
    |(?P<float>[0-9](?:_?[0-9])*(?:\.[0-9](?:_?[0-9])*(?:[eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+))
    |(?P<integer>0|[1-9](?:_?[0-9])*)(?![\w])
    |(?P<name>[^\W\d]\w*)
    |(?P<string>'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")
    |(?P<operator>//|\*\*|==|!=|>=|<=|[-+/*%~\[\](){}<>=.:|,;])""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t"}


def _parsed(text: str) -> nodes.Expr:
    tokens = list(_tokens(text))
    if not tokens:
        raise ExpressionError("the expression is empty")
    parser = Parser(environment, "")
    parser.stream = TokenStream(iter(tokens), None, None)
    try:
        tree = parser.parse_expression()
    except TemplateSyntaxError as error:
        at = len(text.rstrip()) if parser.stream.eos else error.lineno
        raise ExpressionError(_in_words(error.message or ""), _operator_hint(text), at) from error
    if not parser.stream.eos:
        token = parser.stream.current
        raise ExpressionError(f"the expression ends before {token.value!r}", _operator_hint(text), token.lineno)
    return tree


def _in_words(message: str) -> str:
    for jinjas, ours in (("'end of template'", "end"), ("end of template", "end"), (", got ", ", found ")):
        message = message.replace(jinjas, ours)
    return message[:1].lower() + message[1:].rstrip(".")


def _tokens(text: str) -> Iterator[Token]:
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ExpressionError(*_no_token(text, position), offset=position)
        kind, written = match.lastgroup, match.group()
        if kind == "name":
            yield Token(position, "name", written)
        elif kind == "operator":
            yield Token(position, token_types[written], written)
        elif kind == "string":
            yield Token(position, "string", _ESCAPE.sub(lambda each: _ESCAPED.get(each[1], each[1]), written[1:-1]))
        elif kind is not None:
            yield Token(position, kind, _number(written, position))  # type: ignore[arg-type] # as Jinja2's own lexer
        position = match.end()


def _number(written: str, position: int) -> int | Decimal:
    number = read_number(written.replace("_", ""), MAX_DIGITS // 2) if len(written) <= MAX_DIGITS else None
    if number is None:
        raise ExpressionError("the number is too large or too small", offset=position)
    return int(number) if written.replace("_", "").isdigit() else number


def _no_token(text: str, position: int) -> tuple[str, str]:
    character = text[position]
    if character in "'\"":
        return "the quoted text is never closed", f"close it with {character}"
    if character.isdigit():
        word = "".join(itertools.takewhile(lambda each: each.isalnum() or each in "._", text[position:]))
        return f"{word!r} is no number", "numbers are decimal: 10, 0.5, 1e6"
    return f"the character {character!r} means nothing here", _operator_hint(text)


_WRONG_OPERATORS = {"&&": "and", "||": "or", "===": "==", "<>": "!="}


def _operator_hint(text: str) -> str:
    for wrong, right in _WRONG_OPERATORS.items():
        if wrong in text:
            return f"write {right!r}, not {wrong!r}"
    if "!" in text.replace("!=", ""):
        return "write 'not', not '!'"
    if re.search(r"(?<![=!<>])=(?!=)", text):
        return "compare with '==', not '='"
    return ""


# What the language leaves out of Jinja2's.

_FILTERS_OF_FILTERS = {"map": (0, FILTERS), "select": (0, TESTS), "reject": (0, TESTS)}
_FILTERS_OF_FILTERS |= {"selectattr": (1, TESTS), "rejectattr": (1, TESTS)}


def _checked(text: str, tree: nodes.Expr) -> Expression:
    names: list[tuple[Path, int]] = []
    waiting: list[tuple[nodes.Node, int]] = [(tree, 1)]
    while waiting:
        node, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise ExpressionError("the expression nests too deeply", "make two gates of it", node.lineno)
        _check_node(node)
        path = path_of(node)
        if path is not None:
            names.append((path, offset_of(node)))
        else:
            waiting.extend((child, depth + 1) for child in node.iter_child_nodes())
    return Expression(text, tree, tuple(sorted(names, key=lambda each: each[1])), text)


def _check_node(node: nodes.Node) -> None:
    if type(node) not in EVALUATED and not isinstance(node, _PARTS):
        raise ExpressionError(*_refusal(node), offset_of(node))
    if isinstance(node, nodes.Compare) and len(node.ops) > 1:
        raise ExpressionError("comparisons can't be chained", "join two comparisons with 'and'", offset_of(node))
    if isinstance(node, nodes.CondExpr) and node.expr2 is None:
        raise ExpressionError("'if' inside an expression needs an 'else'", "", offset_of(node))
    if isinstance(node, nodes.Filter | nodes.Test):
        _check_call(node)


_PARTS = (nodes.Operand, nodes.Pair, nodes.Keyword, nodes.Slice)


def _check_call(node: nodes.Filter | nodes.Test) -> None:
    kind, known = ("filter", FILTERS) if isinstance(node, nodes.Filter) else ("test", TESTS)
    if node.name in ("default", "d"):
        hint = "look first: steps.STEP.status == 'passed', or 'x if … else y'"
        raise ExpressionError("a name that is missing is an error, so there is no default", hint, node.lineno)
    if node.name not in known:
        raise ExpressionError(f"unknown {kind} {node.name!r}", did_you_mean(node.name, known), node.lineno)
    if node.dyn_args is not None or node.dyn_kwargs is not None:
        raise ExpressionError("'*' can't stand before an argument", "", node.lineno)
    named = tuple(each.key for each in node.kwargs)
    if "default" in named:
        raise ExpressionError("a name that is missing is an error, so there is no default", "", node.lineno)
    problem = argument_problem(node.name, len(node.args), named, is_filter=kind == "filter")
    if problem:
        raise ExpressionError(problem, "", node.lineno)
    place, names = _FILTERS_OF_FILTERS.get(node.name, (0, None))
    inner = node.args[place] if kind == "filter" and len(node.args) > place else None
    if names is not None and isinstance(inner, nodes.Const) and inner.value not in names:
        raise ExpressionError(f"unknown name {inner.value!r}", did_you_mean(str(inner.value), names), inner.lineno)


def _refusal(node: nodes.Node) -> tuple[str, str]:
    if isinstance(node, nodes.Call):
        return "calls are not part of the language", "use a filter, such as 'names | length'"
    if isinstance(node, nodes.Concat):
        return "'~' is not part of the language", "write the text around {{ }} instead"
    if isinstance(node, nodes.Pow):
        return "'**' is not part of the language", ""
    return f"{type(node).__name__} is not part of the language", ""


def offset_of(node: nodes.Node) -> int:
    """Return where `node` begins in its expression's text (brackets around it aside)."""
    while (field := _FIRST.get(type(node))) is not None:
        node = getattr(node, field)
    return node.lineno


_FIRST: dict[type[nodes.Node], str] = {
    **dict.fromkeys((nodes.Getattr, nodes.Getitem, nodes.Call, nodes.Filter, nodes.Test), "node"),
    **dict.fromkeys((nodes.And, nodes.Or, nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv), "left"),
    **dict.fromkeys((nodes.Mod, nodes.Pow), "left"),
    nodes.Compare: "expr",
    nodes.CondExpr: "expr1",
}


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
