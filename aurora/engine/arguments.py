"""Values under `with` held against type hints and parameters, templates inside them included."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from aurora.engine.document import Key
from aurora.engine.expressions import Template
from aurora.engine.faults import did_you_mean
from aurora.engine.graph import Node
from aurora.engine.kinds import (
    Kind,
    alike,
    entry_problems,
    fits,
    hint_text,
    inside,
    is_picture,
    kind_of_schema,
    kind_of_value,
    kind_text,
    options_of,
)
from aurora.engine.names import Names
from aurora.engine.params import value_problem_of
from aurora.engine.values import TypeMismatch, convert, shown

Problem = tuple[Key, str, str]
"""Where inside the value, what is wrong, and a hint."""


class Misfits:
    """of_hint, of_schema: whatever in a value can't be what is asked for."""

    def __init__(self, names: Names) -> None:
        self.names = names

    def of_hint(self, node: Node, value: Any, hint: Any) -> Iterator[Problem]:
        """Yield what in `value` does not fit a type hint."""
        if isinstance(value, Template):
            kind = self.names.value_kind(node, value)
            if not fits(kind, hint):
                yield (), f"needs {hint_text(hint)}, {value.text} is {kind_text(kind)}", ""
            return
        wrong = list(entry_problems(value, hint)) if isinstance(value, Mapping) else []
        yield from wrong
        if wrong:
            return
        if not holds_template(value):
            yield from _literal(value, hint)
            return
        parts = inside(value, hint)
        if parts is None:
            yield (), f"needs {hint_text(hint)}, was {kind_text(kind_of_value(value))}", ""
        for part, item, inner in parts or ():
            for key, problem, advice in self.of_hint(node, item, inner):
                yield (part, *key), problem, advice

    def of_schema(self, node: Node, value: Any, schema: Mapping[str, Any]) -> Iterator[Problem]:
        """Yield what in `value` does not fit a parameter's schema."""
        if isinstance(value, Template):
            kind, wanted = self.names.value_kind(node, value), kind_of_schema(schema)
            if not _is_a(kind, wanted):
                yield (), f"needs {kind_text(wanted)}, {value.text} is {kind_text(kind)}", ""
        elif not holds_template(value):
            problem = value_problem_of(value, schema)
            if problem:
                yield (), problem, ""
        elif not isinstance(value, list) or schema.get("type") != "array":
            yield (), f"needs {kind_text(kind_of_schema(schema))}, was {kind_text(kind_of_value(value))}", ""
        else:
            for index, item in enumerate(value):
                for key, problem, advice in self.of_schema(node, item, schema.get("items", {})):
                    yield (index, *key), problem, advice


_PATH = re.compile(r" at `((?:\[\d+\]|\.?\w+)+)`$")


def _literal(value: Any, hint: Any) -> Iterator[Problem]:
    kind = kind_of_value(value)
    try:
        if not is_picture(hint):
            convert(value, hint)
    except TypeMismatch as error:
        message = str(error)
        path = _PATH.search(message)
        key = tuple(int(part) if part.isdigit() else part for part in re.findall(r"\w+", path[1])) if path else ()
        if message.startswith("Invalid"):
            options = options_of(hint)
            near = did_you_mean(str(value), options) if isinstance(value, str) else ""
            yield key, f"needs {hint_text(hint)}, was {shown(value, 60)}", near
        else:
            yield key, message[: path.start()] if path else message, ""
        return
    if not fits(kind, hint):
        yield (), f"needs {hint_text(hint)}, was {kind_text(kind)}", ""


def _is_a(kind: Kind | None, wanted: Kind | None) -> bool:
    if kind is None or wanted is None:
        return True
    if wanted.name == "a list" and kind.name == "a list":
        return _is_a(kind.item, wanted.item)
    return alike(kind, wanted) and (not kind.options or not wanted.options or bool({*kind.options} & {*wanted.options}))


def holds_template(value: Any) -> bool:
    """Return whether a template stands anywhere inside `value`."""
    if isinstance(value, Template):
        return True
    if isinstance(value, Mapping):
        return any(holds_template(item) for item in value.values())
    return isinstance(value, list) and any(holds_template(item) for item in value)
