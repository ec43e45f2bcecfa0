"""Values on their way between step functions, pipe, journal and expressions: one encoder, one decoder (rule 5)."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import math
import re
from collections.abc import Iterator, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from aurora.profile import Profile, Section

FLOAT_MARK = "$float"
_NOT_FINITE = ("nan", "inf", "-inf")


class TypeMismatch(Exception):
    """A value does not have the type that was declared for it; the message names the path inside it."""


def encode(value: Any) -> Any:
    """Return `value` as strict JSON data: Decimal as text, floats that are not finite marked.

    Raises TypeMismatch for what JSON can't carry.
    """
    try:
        return _mark_floats(msgspec.to_builtins(value, str_keys=True, enc_hook=_encode_other))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise TypeMismatch(str(error)) from error


def decode(data: Any, type_: Any) -> Any:
    """Rebuild a value of `type_` from what `encode` made of it. Raises TypeMismatch."""
    return convert(_unmark_floats(data), type_)


def convert(value: Any, type_: Any) -> Any:
    """Return `value` as `type_`: text becomes a Decimal, a date or a path, nothing else. Raises TypeMismatch."""
    try:
        return msgspec.convert(value, type_, strict=True, str_keys=True, dec_hook=_decode_other)
    except (msgspec.ValidationError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise TypeMismatch(_in_words(str(error))) from error


_EXPECTED = re.compile(r"Expected `(?P<wanted>[^`]+)`, got `(?P<given>[^`]+)`(?P<rest>.*)", re.DOTALL)
_WORDS = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "decimal": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a map",
    "null": "nothing",
    "NoneType": "nothing",
}


def _in_words(message: str) -> str:
    match = _EXPECTED.fullmatch(message)
    if match:
        wanted, given = (
            " or ".join(dict.fromkeys(_WORDS.get(each, each) for each in match[part].split(" | ")))
            for part in ("wanted", "given")
        )
        message = f"needs {wanted}, was {given}{match['rest']}"
    return message.replace(" - at `$", " at `").replace("`.", "`")


def _encode_other(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Section | Namespace):
        return value.plain()
    if isinstance(value, Profile):
        return value.values.plain()
    raise TypeError(f"a {type(value).__name__} can't be written to the journal")


def _decode_other(type_: Any, value: Any) -> Any:
    if type_ is Path and isinstance(value, str):
        return Path(value)
    if inspect.isclass(type_) and isinstance(value, type_):  # msgspec hands on hints that are no classes, too
        return value
    raise TypeError(f"a {type(value).__name__} can't be read as {getattr(type_, '__name__', type_)}")


def _mark_floats(value: Any) -> Any:
    if isinstance(value, dict):
        if FLOAT_MARK in value:
            raise TypeError(f"{FLOAT_MARK!r} is a reserved key")
        return {key: _mark_floats(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_mark_floats(item) for item in value]
    return {FLOAT_MARK: repr(value)} if isinstance(value, float) and not math.isfinite(value) else value


def _unmark_floats(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {FLOAT_MARK} and value[FLOAT_MARK] in _NOT_FINITE:
            return float(value[FLOAT_MARK])
        return {key: _unmark_floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_unmark_floats(item) for item in value]
    return value


class Namespace(Mapping[str, Any]):
    """Outputs as expressions see them: names only, never a dict's methods; floats are Decimal (rules 3, 4)."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = {str(exposed(key)): exposed(value) for key, value in values.items()}

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return repr(self.plain())

    def plain(self) -> dict[str, Any]:
        """Return the values as plain dicts and lists."""
        return {key: _plain(value) for key, value in self._values.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Namespace):
        return value.plain()
    return [_plain(item) for item in value] if isinstance(value, list) else value


_AS_THEY_ARE = (str, int, Decimal, date, time, timedelta)


def exposed(value: Any) -> Any:
    """Return `value` as an expression sees it: dataclasses and dicts as Namespace, float as Decimal, tuple as list."""
    if value is None or isinstance(value, bool | Namespace):
        return value
    if isinstance(value, enum.Enum):
        return exposed(value.value)
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, _AS_THEY_ARE):
        return value
    if isinstance(value, Profile):
        return Namespace(value.values)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return Namespace({field.name: getattr(value, field.name) for field in dataclasses.fields(value)})
    if isinstance(value, Mapping):
        return Namespace(value)
    if isinstance(value, list | tuple | set | frozenset):
        return [exposed(item) for item in value]
    return exposed(msgspec.to_builtins(value, str_keys=True, enc_hook=_encode_other))


def holds_nan(value: Any) -> bool:
    """Return whether a NaN stands anywhere inside an exposed value."""
    if isinstance(value, Decimal):
        return value.is_nan()
    if isinstance(value, float):
        return math.isnan(value)
    if isinstance(value, Mapping):
        return any(holds_nan(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(holds_nan(item) for item in value)
    return False


def shown(value: Any, most: int = 200) -> str:
    """Return an exposed value as text for people: `true`, `'text'`, `[1, 2]`; long ones say their length."""
    text = _shown(value)
    return text if len(text) <= most else f"{text[:most]}… ({len(text):,} characters)"


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value:f}" if value.is_finite() and abs(value.adjusted()) < 30 else str(value)
    if isinstance(value, str):
        return repr(value[:10_000])
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_shown(item)}" for key, item in list(value.items())[:100]) + "}"
    if isinstance(value, list | tuple):
        more = ", …" if len(value) > 100 else ""
        return "[" + ", ".join(_shown(item) for item in value[:100]) + more + "]"
    return str(value)
