"""Completes what a mock says to the whole outputs of its step, and refuses what the step could not return."""

from __future__ import annotations

import dataclasses
import enum
import functools
import types
import typing
from collections.abc import Collection, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from types import NoneType
from typing import Any

from aurora.engine.faults import did_you_mean, listed
from aurora.engine.functions import StepFunction
from aurora.engine.values import TypeMismatch, decode, encode
from aurora.testing.outcomes import RehearsalError

_BLANK: dict[type, Any] = {
    bool: False,
    int: 0,
    float: 0.0,
    Decimal: "0",
    str: "",
    bytes: "",
    Path: "",
    datetime: "1970-01-01T00:00:00Z",
    date: "1970-01-01",
    time: "00:00:00",
    NoneType: None,
    object: None,
}


def blank(hint: Any) -> Any:
    """Return the plainest value of a type, encoded: `0`, `""`, `[]`, null for an optional one. Raises TypeError."""
    if hint is Any or hint is None:
        return None
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return {name: blank(inner) for name, inner in fields_of(hint).items()}
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return encode(next(iter(hint)))
    if hint in _BLANK:
        return _BLANK[hint]
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return inner[0]
    if is_union(hint):
        return None if NoneType in inner else blank(inner[0])
    kind = origin or hint
    if isinstance(kind, type) and issubclass(kind, tuple) and inner and inner[-1] is not Ellipsis:
        return [blank(each) for each in inner]
    if isinstance(kind, type) and issubclass(kind, Mapping):
        return {}
    if isinstance(kind, type) and issubclass(kind, Collection):
        return []
    raise TypeError(f"there is no blank {hint}")


def is_union(hint: Any) -> bool:
    """Return whether `hint` is a union, such as `int | None`."""
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


@functools.lru_cache(maxsize=1024)
def fields_of(kind: type) -> Mapping[str, Any]:
    """Return the names and type hints of a dataclass's fields."""
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def complete(function: StepFunction, step: str, given: Mapping[str, Any], read: Mapping[str, str]) -> Any:
    """Return the whole encoded outputs of `function`, of which a mock of `step` gives some.

    read: the outputs that may not be left to a blank, each with where it is read. Raises RehearsalError.
    """
    if function.returns is None:
        if given:
            raise RehearsalError(
                f"{step!r}: {function.uses} returns nothing, so it has no output {next(iter(given))!r}."
            )
        return None
    hints = fields_of(function.returns)
    for name in given:
        if name not in hints:
            hint = did_you_mean(name, hints) or f"it has: {listed(list(hints))}"
            raise RehearsalError(f"{step!r}: {function.uses} has no output {name!r}; {hint}.")
    plain = {name: _field(function, step, name, hint, given, read) for name, hint in hints.items()}
    return checked(function, step, plain)


def _field(
    function: StepFunction, step: str, name: str, hint: Any, given: Mapping[str, Any], read: Mapping[str, str]
) -> Any:
    if name in given:
        return _encoded(step, given[name])
    if function.info.sample is not None:
        return encode(getattr(function.info.sample, name))
    assert function.returns is not None
    (field,) = [each for each in dataclasses.fields(function.returns) if each.name == name]
    if field.default is not dataclasses.MISSING:
        return encode(field.default)
    if field.default_factory is not dataclasses.MISSING:
        return encode(field.default_factory())
    if name in read:
        raise RehearsalError(f"The mock of {step!r} does not say {name!r}, which {read[name]} reads.")
    try:
        return blank(hint)
    except TypeError as error:
        raise RehearsalError(f"The mock of {step!r} must say {name!r}: {error}.") from error


def checked(function: StepFunction, step: str, plain: Any) -> Any:
    """Return encoded outputs as the step itself would have sent them. Raises RehearsalError when it could not have."""
    try:
        return encode(decode(plain, function.returns))
    except TypeMismatch as error:
        raise RehearsalError(f"The mock of {step!r} returns what {function.uses} could not: {error}.") from error


def returned(function: StepFunction, step: str, value: Any) -> Any:
    """Return the encoded outputs of a value that stands for what the step returns. Raises RehearsalError."""
    if function.returns is None:
        if value is not None:
            raise RehearsalError(f"The mock of {step!r} returns {value!r}; {function.uses} returns nothing.")
        return None
    if not isinstance(value, function.returns):
        kind, wanted = type(value).__name__, function.returns.__name__
        raise RehearsalError(f"The mock of {step!r} returns a {kind}; {function.uses} returns {wanted}.")
    return checked(function, step, _encoded(step, value))


def _encoded(step: str, value: Any) -> Any:
    try:
        return encode(value)
    except TypeMismatch as error:
        raise RehearsalError(f"The mock of {step!r} holds what no step can return: {error}.") from error
