"""What kind of value an expression yields, and what in it can never be right: found before there are values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jinja2 import nodes

from aurora.engine.evaluation import ORDERED as SIGNS
from aurora.engine.expressions import Path, offset_of, path_of
from aurora.engine.faults import did_you_mean, listed
from aurora.engine.kinds import (
    INTEGER,
    LIST,
    NUMBER,
    NUMBERS,
    ORDERED,
    TEXT,
    TRUTH,
    Kind,
    alike,
    common,
    enter,
    kind_of_value,
    kind_text,
)

Report = Callable[[str, str, int], None]
"""Called with a message, a hint, and the offset in the expression's text."""
Resolve = Callable[[Path, int], Kind | None]
"""Returns the kind of a name path, and reports what is wrong with it."""

_OF_FILTER = {"length": INTEGER, "count": INTEGER, "round": NUMBER} | dict.fromkeys(
    ["join", "lower", "replace", "string", "trim", "upper"], TEXT
)
_SAME_LIST = ("reject", "rejectattr", "select", "selectattr", "sort", "unique")
_ONE_OF_LIST = ("first", "last", "max", "min")
_FOR_LISTS = (*_SAME_LIST, *_ONE_OF_LIST, "join", "map", "sum")
_SIGN_OF_TEST = {"le": "lteq", "ge": "gteq", "equalto": "eq"} | {sign: sign for sign in ("eq", "ne", "lt", "gt", "in")}


class Inference:
    """One expression's kinds: `kind` walks its tree and reports what can't be."""

    def __init__(self, resolve: Resolve, report: Report, *, in_gate: bool = False) -> None:
        self.resolve = resolve
        self.report = report
        self.in_gate = in_gate

    def kind(self, node: nodes.Node) -> Kind | None:
        """Return the kind of the value that `node` yields; None when it is not known."""
        path = path_of(node)
        if path is not None:
            return self.resolve(path, offset_of(node))
        return _KINDS.get(type(node), Inference._inside)(self, node)

    def _inside(self, node: nodes.Node) -> None:
        for child in node.iter_child_nodes():
            self.kind(child)

    def _list(self, node: Any) -> Kind:
        return Kind("a list", common([self.kind(item) for item in node.items]))

    def _map(self, node: Any) -> Kind:
        fields: dict[Any, Kind | None] = {}
        for pair in node.items:
            self.kind(pair.key)
            name = pair.key.value if isinstance(pair.key, nodes.Const) else None
            fields[name] = self.kind(pair.value)
        return Kind("a map") if None in fields else Kind("a map", fields=fields)

    def _truth(self, node: Any) -> Kind:
        self._inside(node)
        return TRUTH

    def _either(self, node: Any) -> Kind | None:
        return common([self.kind(node.left), self.kind(node.right)])

    def _choice(self, node: Any) -> Kind | None:
        self.kind(node.test)
        return common([self.kind(node.expr1), self.kind(node.expr2)])

    def _part(self, node: Any) -> Kind | None:
        whole = self.kind(node.node)
        if isinstance(node, nodes.Getattr):
            return self._entered(whole, node.attr, node)
        if isinstance(node.arg, nodes.Slice):
            self._inside(node.arg)
            return whole
        if isinstance(node.arg, nodes.Const):
            return self._entered(whole, node.arg.value, node)
        self.kind(node.arg)
        return None if whole is None else whole.item

    def _entered(self, whole: Kind | None, part: Any, node: nodes.Node) -> Kind | None:
        kind, problem, hint = enter(whole, part)
        if problem:
            self.report(problem, hint, node.lineno)
        return kind

    # comparisons

    def _compare(self, node: Any) -> Kind:
        operand = node.ops[0]
        self._compared(node.expr, operand.op, operand.expr, node)
        return TRUTH

    def _test(self, node: Any) -> Kind:
        if self.in_gate and node.name in ("defined", "undefined"):
            message = f"'is {node.name}' is not allowed in a gate: a name that is missing is red"
            self.report(message, "", node.lineno)
        if node.name in _SIGN_OF_TEST and node.args:
            self._compared(node.node, _SIGN_OF_TEST[node.name], node.args[0], node)
        else:
            self._inside(node)
        return TRUTH

    def _compared(self, left: nodes.Node, sign: str, right: nodes.Node, node: nodes.Node) -> None:
        kinds = self.kind(left), self.kind(right)
        at = offset_of(node)
        if sign in SIGNS:
            for kind in kinds:
                if kind is not None and kind.name not in ORDERED:
                    hint = "it would compare letter by letter: '10' < '9'" if kind.name == "text" else ""
                    self.report(f"{kind_text(kind)} can't be compared with < or >", hint, at)
                    return
        if sign in ("in", "notin"):
            self._contained(kinds[0], kinds[1], at)
            for item in right.items if isinstance(right, nodes.List | nodes.Tuple) else ():
                self._known_option(kinds[0], item)
        elif not alike(*kinds):
            self.report(f"unlike things are compared: {kind_text(kinds[0])} with {kind_text(kinds[1])}", "", at)
        else:
            self._known_option(kinds[0], right)
            self._known_option(kinds[1], left)

    def _contained(self, left: Kind | None, right: Kind | None, at: int) -> None:
        if left is None or right is None:
            return
        if right.name in ("text", "a map"):
            if left.name != "text":
                self.report(f"{kind_text(left)} can't be in {kind_text(right)}", "", at)
        elif right.name != "a list":
            self.report(f"nothing can be in {kind_text(right)}", "", at)
        elif not alike(left, right.item):
            self.report(f"{kind_text(left)} can't be in {kind_text(right)}", "", at)

    def _known_option(self, kind: Kind | None, other: nodes.Node) -> None:
        if kind is not None and kind.options and isinstance(other, nodes.Const) and other.value is not None:
            known = [str(option) for option in kind.options]
            if str(other.value) not in known:
                hint = did_you_mean(str(other.value), known) or f"it is one of: {listed(known, 20)}"
                self.report(f"this is never {other.value!r}", hint, other.lineno)

    # arithmetic

    def _binary(self, node: Any) -> Kind | None:
        left, right = self.kind(node.left), self.kind(node.right)
        if node.operator == "+" and "a list" in {kind.name for kind in (left, right) if kind}:
            return Kind("a list", common([left.item, right.item])) if left and right else LIST
        self._need_number(left, node.operator, node.left)
        self._need_number(right, node.operator, node.right)
        if node.operator == "/":
            return NUMBER
        return common([left, right]) if left and right and {left.name, right.name} <= set(NUMBERS) else None

    def _sign(self, node: Any) -> Kind | None:
        kind = self.kind(node.node)
        self._need_number(kind, node.operator, node)
        return kind if kind and kind.name in NUMBERS else None

    def _need_number(self, kind: Kind | None, sign: str, node: nodes.Node) -> None:
        if kind is not None and kind.name not in NUMBERS:
            hint = "to join text, write {{ }} inside it" if kind.name == "text" else ""
            self.report(f"{sign!r} needs numbers, this is {kind_text(kind)}", hint, offset_of(node))

    # filters

    def _filter(self, node: Any) -> Kind | None:
        kind = self.kind(node.node)
        for each in (*node.args, *node.kwargs):
            self._inside(each) if isinstance(each, nodes.Keyword) else self.kind(each)
        if kind is not None and node.name in _FOR_LISTS and kind.name not in ("a list", "text", "a map"):
            self.report(f"'{node.name}' needs a list, this is {kind_text(kind)}", "", node.lineno)
            return None
        if node.name in ("abs", "round") and kind is not None and kind.name not in NUMBERS:
            self.report(f"'{node.name}' needs a number, this is {kind_text(kind)}", "", node.lineno)
        if node.name in ("length", "count") and kind is not None and kind.name not in ("a list", "text", "a map"):
            self.report(f"{kind_text(kind)} has no length", "", node.lineno)
        item = kind.item if kind is not None and kind.name == "a list" else None
        inner = self._attribute(node, item)
        if node.name in _OF_FILTER:
            return _OF_FILTER[node.name]
        if node.name in _SAME_LIST or node.name == "list":
            return Kind("a list", item)
        if node.name in _ONE_OF_LIST:
            return item
        if node.name == "map":
            return Kind("a list", inner)
        if node.name == "sum":
            return inner if inner is not None and inner.name in NUMBERS else None
        return kind if node.name == "abs" else None

    def _attribute(self, node: Any, item: Kind | None) -> Kind | None:
        """Return the kind of what a filter looks at in each item: its `attribute`, or the item itself."""
        named = next((each.value for each in node.kwargs if each.key == "attribute"), None)
        if node.name in ("selectattr", "rejectattr") and node.args:
            named = node.args[0]
        if named is None:
            return None if node.name == "map" else item
        kind = item
        if isinstance(named, nodes.Const):
            for part in str(named.value).split("."):
                kind = self._entered(kind, int(part) if part.isdigit() else part, named)
        return kind


_KINDS: dict[type[nodes.Node], Callable[[Inference, Any], Kind | None]] = {
    nodes.Const: lambda _, node: kind_of_value(node.value),
    nodes.List: Inference._list,
    nodes.Tuple: Inference._list,
    nodes.Dict: Inference._map,
    nodes.And: Inference._either,
    nodes.Or: Inference._either,
    nodes.Not: Inference._truth,
    nodes.CondExpr: Inference._choice,
    nodes.Compare: Inference._compare,
    nodes.Test: Inference._test,
    nodes.Getattr: Inference._part,
    nodes.Getitem: Inference._part,
    nodes.Neg: Inference._sign,
    nodes.Pos: Inference._sign,
    nodes.Filter: Inference._filter,
    **dict.fromkeys((nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod), Inference._binary),
}
