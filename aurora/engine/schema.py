"""JSON Schema faults as sentences with places: all of them, in the words of the person who wrote the file."""

from __future__ import annotations

import functools
import importlib.resources
import json
from collections.abc import Iterator, Mapping
from typing import Any

from aurora.engine.document import Document, Key
from aurora.engine.faults import Fault, did_you_mean, listed
from aurora.engine.values import shown

NOT_BUILT = {
    "approve": "approvals are not built yet; use 'confirm' with a checklist",
    "poll": "a gate that waits is not built yet; poll inside the step function",
    "fresh": "'fresh' is not built yet",
    "concurrency": "'concurrency' is not built yet; the items of a foreach run one after the other",
}
_SAME = {
    "depends": "needs",
    "depends_on": "needs",
    "after": "needs",
    "when": "if",
    "condition": "if",
    "action": "uses",
    "run": "uses",
    "call": "uses",
    "args": "with",
    "arguments": "with",
    "inputs": "with",
    "gates": "gate",
    "assert": "gate",
    "name": "id",
    "loop": "foreach",
    "with_items": "foreach",
    "parameters": "params",
    "always": "finally",
    "on_error": "on_failure",
    "description": "title",
    "prompt": "confirm",
}
_TYPES = {
    "object": "a map",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "nothing",
}


@functools.cache
def runbook_schema() -> dict[str, Any]:
    """Return the published schema of runbooks."""
    source = importlib.resources.files("aurora.schemas").joinpath("runbook.schema.json")
    schema: dict[str, Any] = json.loads(source.read_text("utf-8"))
    return schema


def schema_faults(document: Document, schema: Mapping[str, Any], base: Key = ()) -> list[Fault]:
    """Return every fault of the document's value at `base` against `schema`."""
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - 75 ms that a cached lint does not pay

    value = document.data
    for part in base:
        value = value[part]
    validator = Draft202012Validator(schema)
    faults: list[Fault] = []
    for error in validator.iter_errors(value):
        faults.extend(_faults(document, error, base))
    return faults


def value_problem(value: Any, schema: Mapping[str, Any]) -> str:
    """Return why `value` does not satisfy `schema` (one sentence), or the empty string."""
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - see above

    for error in Draft202012Validator(schema).iter_errors(value):
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
        return f"{where.lstrip('.') + ': ' if where else ''}{_sentence(error)}"
    return ""


def _faults(document: Document, error: Any, base: Key) -> Iterator[Fault]:
    key: Key = (*base, *error.absolute_path)
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        known = list(error.schema.get("properties", {}))
        for name in error.instance:
            if name not in known:
                hint = NOT_BUILT.get(name) or _nearest(name, known)
                message = f"{name!r} is not built yet" if name in NOT_BUILT else f"unknown key {name!r}"
                yield document.fault((*key, name), message, hint, of_key=True)
    elif error.validator == "propertyNames" or (error.parent and error.parent.validator == "propertyNames"):
        yield document.fault(
            (*key, error.instance),
            f"the name {error.instance!r} is not allowed here",
            "write lower-case letters, digits and _",
            of_key=True,
        )
    elif error.validator in ("oneOf", "anyOf"):
        yield from _alternatives(document, error, base)
    else:
        yield document.fault(key, _sentence(error), _hint(error))


def _alternatives(document: Document, error: Any, base: Key) -> Iterator[Fault]:
    """Report the alternative that fits the value's shape best, not all that do not."""
    branches: dict[int, list[Any]] = {}
    for child in error.context:
        branches.setdefault(child.schema_path[0], []).append(child)
    fitting = [
        children
        for children in branches.values()
        if not any(child.validator == "type" and child.absolute_path == error.absolute_path for child in children)
    ]
    if len(fitting) == 1:
        for child in fitting[0]:
            yield from _faults(document, child, base)
    else:
        yield document.fault((*base, *error.absolute_path), f"{_value(error.instance)} does not fit here", _hint(error))


def _nearest(name: str, known: list[str]) -> str:
    same = _SAME.get(name.lower())
    if same in known:
        return f"did you mean {same!r}?"
    return did_you_mean(name, known) or f"known keys: {listed(known, 20)}"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "a map"
    if isinstance(value, list):
        return "a list"
    return shown(value, 60)


def _sentence(error: Any) -> str:
    value, expected = error.instance, error.validator_value
    if error.validator == "type":
        kinds = [expected] if isinstance(expected, str) else expected
        return f"must be {' or '.join(_TYPES.get(kind, kind) for kind in kinds)}, was {_value(value)}"
    if error.validator == "required":
        missing = next((name for name in expected if name not in value), expected[0])
        return f"the key {missing!r} is missing"
    if error.validator == "enum":
        return f"must be one of {listed([str(item) for item in expected], 20)}; was {_value(value)}"
    if error.validator == "pattern":
        return f"{_value(value)} is not allowed here"
    if error.validator in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
        word = {
            "minimum": "at least",
            "maximum": "at most",
            "exclusiveMinimum": "more than",
            "exclusiveMaximum": "less than",
        }
        return f"must be {word[error.validator]} {expected}, was {_value(value)}"
    if error.validator == "minItems":
        return f"must have at least {expected} item{'s' if expected != 1 else ''}, had {len(value)}"
    if error.validator == "maxItems":
        return f"must have at most {expected} items, had {len(value)}"
    if error.validator == "minLength":
        return "must not be empty"
    if error.validator == "uniqueItems":
        return "holds the same item twice"
    if error.validator == "const":
        return f"must be {_value(expected)}, was {_value(value)}"
    return str(error.message)[:300]


def _hint(error: Any) -> str:
    if error.validator == "enum" and isinstance(error.instance, str):
        return did_you_mean(error.instance, [str(item) for item in error.validator_value])
    if error.validator == "type" and isinstance(error.instance, str) and error.instance in ("yes", "no", "on", "off"):
        return "write true or false; yes, no, on and off are text"
    if error.validator == "pattern" and "ms|s|m|h|d" in error.validator_value:
        return "a duration is a number and a unit: 30s, 10m, 12h"
    if error.validator == "type" and error.schema.get("pattern", "").endswith("(ms|s|m|h|d)$"):
        return "a duration is a number and a unit: 30s, 10m, 12h"
    return str(error.schema.get("description", "")) if isinstance(error.schema, dict) else ""
