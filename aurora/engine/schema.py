"""JSON Schema faults as sentences with places: all of them, in the words of the person who wrote the file."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from aurora.engine.document import Document, Key
from aurora.engine.faults import Fault, did_you_mean, listed
from aurora.engine.values import shown

RUNBOOK_SCHEMA = Path(__file__).parent.parent / "schemas" / "runbook.schema.json"
NOT_BUILT = {
    "approve": "approvals are not built yet; use 'confirm' with a checklist",
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
_DURATION = "(ms|s|m|h|d)$"
_DURATION_HINT = "a duration is a number and a unit: 30s, 10m, 12h"


@functools.cache
def runbook_schema() -> dict[str, Any]:
    """Return the published schema of runbooks."""
    schema: dict[str, Any] = json.loads(RUNBOOK_SCHEMA.read_text("utf-8"))
    return schema


class SchemaPass:
    """Schema checks remembered by content: what passed once under a schema passes always, without the library.

    The memory is a folder of empty files named after digests; without it a check costs 75 ms more, nothing else.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def faults(self, document: Document, schema: Path) -> list[Fault]:
        """Return every fault of the document against the schema in a file. Raises OSError, ValueError for no JSON."""
        raw = schema.read_bytes()
        stamp = self.folder / hashlib.sha256(raw + b"\0" + document.text.encode()).hexdigest()
        if not document.faults and stamp.exists():
            return []
        faults = schema_faults(document, json.loads(raw, parse_float=Decimal))  # as our numbers are read
        if not faults and not document.faults:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                stamp.touch()
            except OSError:
                pass  # a read-only project: checked again the next time
        return faults


def schema_faults(document: Document, schema: Mapping[str, Any]) -> list[Fault]:
    """Return every fault of the document's data against `schema`; the keys of wrong values go to `document.bad`."""
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - 75 ms that a remembered check does not pay

    faults: list[Fault] = []
    found: list[tuple[Key, Fault]] = []
    for error in Draft202012Validator(schema).iter_errors(document.data):
        found.extend(_faults(document, error))
    for key, fault in found:
        if not any(key[:length] in document.bad for length in range(len(key) + 1)):
            faults.append(fault)
    document.bad.update(key for key, _ in found)
    return faults


def _faults(document: Document, error: Any) -> Iterator[tuple[Key, Fault]]:
    key: Key = tuple(error.absolute_path)
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        known = list(error.schema.get("properties", {}))
        for name in error.instance:
            if name not in known:
                hint = NOT_BUILT.get(name) or _nearest(name, known)
                message = f"{name!r} is not built yet" if name in NOT_BUILT else f"unknown key {name!r}"
                yield (*key, name), document.fault((*key, name), message, hint, of_key=True)
    elif "propertyNames" in error.schema_path:
        name = error.instance
        message, hint = f"the name {name!r} is not allowed here", "a name has lower-case letters, digits and _"
        yield (*key, name), document.fault((*key, name), message, hint, of_key=True)
    elif error.validator in ("oneOf", "anyOf"):
        yield from _alternatives(document, error)
    else:
        yield key, document.fault(key, _sentence(error), _hint(error))


def _alternatives(document: Document, error: Any) -> Iterator[tuple[Key, Fault]]:
    """Report the alternative that fits the value's shape best, not all that do not."""
    branches: dict[int, list[Any]] = {}
    for child in error.context:
        branches.setdefault(child.schema_path[0], []).append(child)
    fitting = [
        children
        for children in branches.values()
        if not any(
            child.validator in ("type", "enum") and child.absolute_path == error.absolute_path for child in children
        )
    ]
    if len(fitting) == 1:
        for child in fitting[0]:
            yield from _faults(document, child)
        return
    key: Key = tuple(error.absolute_path)
    options = [option for child in error.context if child.validator == "enum" for option in child.validator_value]
    hint = did_you_mean(error.instance, options) if isinstance(error.instance, str) else ""
    yield key, document.fault(key, f"{_value(error.instance)} does not fit here", hint or _hint(error))


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


_LIMITS = {
    "minimum": "at least",
    "maximum": "at most",
    "exclusiveMinimum": "more than",
    "exclusiveMaximum": "less than",
}


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
    if error.validator in _LIMITS:
        return f"must be {_LIMITS[error.validator]} {expected}, was {_value(value)}"
    plain = {
        "pattern": f"{_value(value)} is not allowed here",
        "minLength": "must not be empty",
        "uniqueItems": "holds the same item twice",
        "const": f"must be {_value(expected)}, was {_value(value)}",
    }
    if error.validator in ("minItems", "maxItems"):
        word = "least" if error.validator == "minItems" else "most"
        return f"must have at {word} {expected} item{'s' if expected != 1 else ''}, had {len(value)}"
    return plain.get(error.validator) or str(error.message)[:300]


def _hint(error: Any) -> str:
    value, schema = error.instance, error.schema if isinstance(error.schema, dict) else {}
    if error.validator == "enum" and isinstance(value, str):
        return did_you_mean(value, [str(item) for item in error.validator_value])
    if error.validator == "type" and value in ("yes", "no", "on", "off"):
        return "write true or false; yes, no, on and off are text"
    if str(schema.get("pattern", "")).endswith(_DURATION):
        return _DURATION_HINT
    return str(schema.get("description", "")) if error.validator != "required" else ""
