"""Parameter values held against their declaration: the subset of JSON Schema that a runbook's `params` has.

Small on purpose: the library for the whole of JSON Schema takes 75 ms to import, and each start would pay for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from aurora.engine.faults import did_you_mean, listed
from aurora.engine.values import shown

_WORDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
}
_ALLOWED = {
    "string": {"enum", "pattern"},
    "integer": {"enum", "minimum", "maximum"},
    "number": {"enum", "minimum", "maximum"},
    "boolean": set[str](),
    "array": {"items", "minItems", "maxItems"},
}


def value_problem_of(value: Any, schema: Mapping[str, Any]) -> str:
    """Return why `value` does not satisfy a parameter's schema, as the end of a sentence, or the empty string."""
    kind = str(schema.get("type"))
    if kind in _WORDS and not _is_a(value, kind):
        return f"must be {_WORDS[kind]}, was {shown(value, 60)}"
    if "enum" in schema and not any(_same(value, option) for option in schema["enum"]):
        options = [str(option) for option in schema["enum"]]
        near = did_you_mean(str(value), options)
        return f"must be one of {listed(options, 20)}; was {shown(value, 60)}{'; ' + near if near else ''}"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        return f"must match {schema['pattern']}, was {shown(value, 60)}"
    if "minimum" in schema and value < schema["minimum"]:
        return f"must be at least {schema['minimum']}, was {shown(value, 60)}"
    if "maximum" in schema and value > schema["maximum"]:
        return f"must be at most {schema['maximum']}, was {shown(value, 60)}"
    return _items_problem(value, schema) if kind == "array" else ""


def _items_problem(value: list[Any], schema: Mapping[str, Any]) -> str:
    least = schema.get("minItems", 0)
    if len(value) < least:
        return f"must have at least {least} item{'s' if least != 1 else ''}, had {len(value)}"
    if len(value) > schema.get("maxItems", len(value)):
        return f"must have at most {schema['maxItems']} items, had {len(value)}"
    for index, item in enumerate(value):
        problem = value_problem_of(item, schema.get("items", {}))
        if problem:
            return f"[{index}] {problem}"
    return ""


def declaration_problems(schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield `(keyword, what is wrong)` for the keywords of a parameter's schema that contradict its type."""
    kind = str(schema["type"])
    for word, given in schema.items():
        if word not in {"type", *_ALLOWED[kind]}:
            yield word, f"{word!r} does not go with type: {kind}"
        elif word == "pattern":
            try:
                re.compile(given)
            except (re.error, RecursionError, OverflowError) as error:
                yield word, f"this is no regular expression: {error}"
        elif word == "enum":
            for option in given:
                if not _is_a(option, kind):
                    yield word, f"{shown(option, 60)} is not {_WORDS[kind]}"
        elif word == "items":
            yield from ((f"items.{inner}", problem) for inner, problem in declaration_problems(given))
    for low, high in (("minimum", "maximum"), ("minItems", "maxItems")):
        if low in schema and high in schema and schema[low] > schema[high]:
            yield high, f"{high} is less than {low}"


def _is_a(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    types: dict[str, Any] = {"string": str, "integer": int, "number": int | float | Decimal, "array": list}
    return kind in types and isinstance(value, types[kind]) and not (isinstance(value, Decimal) and value.is_nan())


def _same(value: Any, option: Any) -> bool:
    return isinstance(value, bool) == isinstance(option, bool) and bool(value == option)
