"""What lint knows of a value before there is one: its kind, from type hints, schemas and literals."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec.inspect as hints

from aurora.engine.faults import did_you_mean, listed
from aurora.profile import Section


@dataclass(frozen=True)
class Kind:
    """A kind of value as expressions see it.

    name:    what comparisons go by (`evaluation.kind_of`), with whole numbers apart.
    item:    the kind of a list's items, or of a map's values; None when not known.
    fields:  the kinds of a map's entries, when all its names are known.
    options: the only values that it can have, when they are known.
    """

    name: str
    item: Kind | None = None
    fields: Mapping[str, Kind | None] | None = None
    options: tuple[Any, ...] = ()

    def __str__(self) -> str:
        return "a number" if self.name == WHOLE else self.name


WHOLE = "a whole number"
NUMBERS = (WHOLE, "a number")
TEXT, INTEGER, NUMBER, TRUTH = (Kind(name) for name in ("text", *NUMBERS, "true or false"))
NOTHING, LIST, MAP = (Kind(name) for name in ("nothing", "a list", "a map"))
TIMES = ("a date and time", "a date", "a time", "a span of time")
ORDERED = (*NUMBERS, *TIMES)
_BY_TYPE: Mapping[type, Kind] = {
    hints.StrType: TEXT,
    hints.BytesType: Kind("bytes"),
    hints.UUIDType: Kind("UUID"),
    hints.IntType: INTEGER,
    hints.FloatType: NUMBER,
    hints.DecimalType: NUMBER,
    hints.BoolType: TRUTH,
    hints.NoneType: NOTHING,
    hints.DateTimeType: Kind("a date and time"),
    hints.DateType: Kind("a date"),
    hints.TimeType: Kind("a time"),
    hints.TimeDeltaType: Kind("a span of time"),
}
_LISTS = (hints.ListType, hints.SetType, hints.FrozenSetType, hints.VarTupleType)
_OBJECTS = (hints.DataclassType, hints.TypedDictType, hints.StructType)
_CARRIED = (Path, object)


class UnknownHint(Exception):
    """A type hint that values can't be made to."""


def type_of_hint(hint: Any) -> Any:
    """Return msgspec's picture of a type hint. Raises UnknownHint for what can't be read from YAML or the pipe."""
    return hint if isinstance(hint, hints.Type) else _type_info(hint)


@functools.cache
def _type_info(hint: Any) -> Any:
    try:
        return hints.type_info(hint)
    except TypeError as error:
        raise UnknownHint(str(error)) from error


def uncarried(hint: Any, seen: frozenset[Any] = frozenset()) -> str:
    """Return why values of `hint` can't be written to the journal and read again, or the empty string."""
    try:
        type_ = type_of_hint(hint)
    except UnknownHint as error:
        return str(error)
    if isinstance(type_, hints.CustomType):
        return "" if type_.cls in _CARRIED else f"{type_.cls.__name__} can't be written to the journal"
    if isinstance(type_, _OBJECTS) and type_.cls in seen:
        return ""
    inner = seen | {type_.cls} if isinstance(type_, _OBJECTS) else seen
    return next((problem for part in _parts(type_) if (problem := uncarried(part, inner))), "")


def _parts(type_: Any) -> list[Any]:
    if isinstance(type_, _LISTS):
        return [type_.item_type]
    if isinstance(type_, hints.DictType):
        return [type_.key_type, type_.value_type]
    if isinstance(type_, hints.UnionType):
        return list(type_.types)
    if isinstance(type_, hints.TupleType):
        return list(type_.item_types)
    return [field.type for field in type_.fields] if isinstance(type_, (*_OBJECTS, hints.NamedTupleType)) else []


def kind_of_hint(hint: Any) -> Kind | None:
    """Return the kind that expressions see of a value of this type hint; None when it varies or is not known."""
    try:
        return _kind(type_of_hint(hint), ())
    except UnknownHint:
        return None


def _kind(type_: Any, above: tuple[Any, ...]) -> Kind | None:
    if type(type_) in _BY_TYPE:
        return _BY_TYPE[type(type_)]
    if isinstance(type_, hints.UnionType):
        kinds = [_kind(each, above) for each in type_.types if not isinstance(each, hints.NoneType)]
        return kinds[0] if len(kinds) == 1 else None
    if isinstance(type_, hints.LiteralType | hints.EnumType):
        values = type_.values if isinstance(type_, hints.LiteralType) else [each.value for each in type_.cls]
        return _of_options(tuple(values))
    if isinstance(type_, _LISTS):
        return Kind("a list", _kind(type_.item_type, above))
    if isinstance(type_, hints.TupleType | hints.NamedTupleType):
        return LIST
    if isinstance(type_, hints.DictType):
        return Kind("a map", _kind(type_.value_type, above))
    if isinstance(type_, _OBJECTS) and type_.cls not in above:
        inner = (*above, type_.cls)
        return Kind("a map", fields={field.name: _kind(field.type, inner) for field in type_.fields})
    if isinstance(type_, hints.CustomType):
        return TEXT if type_.cls is Path else None
    return MAP if isinstance(type_, _OBJECTS) else None


def _of_options(values: tuple[Any, ...]) -> Kind | None:
    kinds = {kind_of_value(each) for each in values}
    only = next(iter(kinds)) if len(kinds) == 1 else None
    return None if only is None else dataclasses.replace(only, options=values)


def kind_of_schema(schema: Mapping[str, Any]) -> Kind | None:
    """Return the kind of a parameter that is declared by `schema`."""
    plain = {"string": TEXT, "integer": INTEGER, "number": NUMBER, "boolean": TRUTH}
    name = str(schema.get("type"))
    if name == "array":
        items = schema.get("items")
        return Kind("a list", kind_of_schema(items) if items else None)
    if name not in plain:
        return None
    return dataclasses.replace(plain[name], options=tuple(schema.get("enum", ())))


def kind_of_value(value: Any) -> Kind | None:
    """Return the kind of a literal, or of a profile's value; None is a value whose kind is open."""
    if value is None:
        return None
    if isinstance(value, bool):
        return TRUTH
    if isinstance(value, int):
        return INTEGER
    if isinstance(value, Decimal | float):
        return NUMBER
    if isinstance(value, str):
        return TEXT
    if isinstance(value, list | tuple):
        return Kind("a list", common(kind_of_value(item) for item in value))
    if isinstance(value, Section | dict):
        return Kind("a map", fields={key: kind_of_value(item) for key, item in value.items()})
    return None


def common(kinds: Iterable[Kind | None]) -> Kind | None:
    """Return the kind that all of `kinds` are, numbers taken together; None when they differ or are not known."""
    found = [Kind("") if kind is None else kind for kind in kinds]
    if not found or any(kind.name == "" for kind in found):
        return None
    if all(kind.name in NUMBERS for kind in found):
        return INTEGER if all(kind.name == WHOLE for kind in found) else NUMBER
    first = found[0]
    if all(kind == first for kind in found):
        return dataclasses.replace(first, options=())
    return Kind(first.name) if all(kind.name == first.name for kind in found) else None


def enter(kind: Kind | None, part: str | int) -> tuple[Kind | None, str, str]:
    """Return the kind of `value.part`, or why there is no such part, with a hint."""
    if kind is None or (kind.name == "a map" and kind.fields is None):
        return (None if kind is None else kind.item), "", ""
    if kind.name == "a map":
        fields = kind.fields or {}
        if part in fields:
            return fields[str(part)], "", ""
        known = f"it has: {listed(list(fields))}" if fields else "it has none"
        return None, f"there is no {part!r} in it", did_you_mean(str(part), fields) or known
    if isinstance(part, int) and kind.name in ("a list", "text"):
        return (kind.item if kind.name == "a list" else TEXT), "", ""
    hint = f"pick one with [0], or take {part!r} of all: … | map(attribute={part!r})" if kind.name == "a list" else ""
    return None, f"it is {kind_text(kind)}, which has no {part!r}", hint


def alike(left: Kind | None, right: Kind | None) -> bool:
    """Return whether two values may be compared; true when that can't be known."""
    if left is None or right is None or "nothing" in (left.name, right.name):
        return True
    return str(left) == str(right)


def fits(kind: Kind | None, hint: Any) -> bool:
    """Return whether a value of this kind may be given where the type hint asks; true when that can't be known."""
    try:
        return _fits(kind, type_of_hint(hint))
    except UnknownHint:
        return True


def _fits(kind: Kind | None, type_: Any) -> bool:
    if kind is None or isinstance(type_, hints.AnyType):
        return True
    if isinstance(type_, hints.UnionType):
        return any(_fits(kind, each) for each in type_.types)
    if isinstance(type_, hints.CustomType):
        return type_.cls is object or (kind.name == "text" if type_.cls is Path else False)
    if isinstance(type_, hints.LiteralType | hints.EnumType):
        options = _kind(type_, ())
        return options is None or (alike(kind, options) and _shares(kind.options, options.options))
    if kind.name == "a list":
        return _list_fits(kind, type_)
    if kind.name == "a map":
        return _map_fits(kind, type_)
    if kind.name in NUMBERS:
        return isinstance(type_, hints.FloatType | hints.DecimalType) or (
            kind.name == WHOLE and isinstance(type_, hints.IntType)
        )
    wanted = _BY_TYPE.get(type(type_))
    readable = (*TIMES, "bytes", "UUID")
    return wanted is not None and (wanted.name == kind.name or (kind.name == "text" and wanted.name in readable))


def _shares(given: tuple[Any, ...], wanted: tuple[Any, ...]) -> bool:
    return not given or any(each in wanted for each in given)


def _list_fits(kind: Kind, type_: Any) -> bool:
    if isinstance(type_, _LISTS):
        return _fits(kind.item, type_.item_type)
    if isinstance(type_, hints.TupleType):
        return all(_fits(kind.item, each) for each in type_.item_types)
    return isinstance(type_, hints.NamedTupleType)


def _map_fits(kind: Kind, type_: Any) -> bool:
    fields = kind.fields or {}
    if isinstance(type_, hints.DictType):
        return _fits(kind.item, type_.value_type) and all(_fits(each, type_.value_type) for each in fields.values())
    if not isinstance(type_, _OBJECTS):
        return False
    return all(
        _fits(fields[field.name], field.type) if field.name in fields else not field.required or kind.fields is None
        for field in type_.fields
    )


def hint_text(hint: Any) -> str:
    """Return a type hint as words: text, a whole number, a list of text."""
    try:
        return _text(type_of_hint(hint))
    except UnknownHint:
        return str(getattr(hint, "__name__", hint))


def _text(type_: Any) -> str:
    if isinstance(type_, hints.UnionType):
        return " or ".join(dict.fromkeys(_text(each) for each in type_.types))
    if isinstance(type_, hints.LiteralType | hints.EnumType):
        values = type_.values if isinstance(type_, hints.LiteralType) else [each.value for each in type_.cls]
        return f"one of {listed([str(value) for value in values])}"
    if isinstance(type_, _LISTS):
        inner = type_.item_type
        text = _text(inner)
        return "a list" if isinstance(inner, hints.AnyType) else f"a list of {_MANY.get(text, text)}"
    if isinstance(type_, _OBJECTS):
        return f"a map with {listed([field.name for field in type_.fields])}"
    if isinstance(type_, hints.CustomType):
        return "a path" if type_.cls is Path else type_.cls.__name__
    kind = _kind(type_, ())
    return "anything" if kind is None else kind.name


_MANY = {
    "a map": "maps",
    "a list": "lists",
    "a number": "numbers",
    WHOLE: "whole numbers",
    "a date and time": "dates and times",
    "a date": "dates",
    "a time": "times",
}


def kind_text(kind: Kind | None) -> str:
    """Return a kind as words: text, a list of text, one of low, high."""
    if kind is None:
        return "not known"
    if kind.options:
        return f"one of {listed([str(option) for option in kind.options], 6)}"
    if kind.name == "a list" and kind.item is not None:
        return f"a list of {_MANY.get(kind.item.name, kind.item.name)}"
    return kind.name


def options_of(hint: Any) -> list[str]:
    """Return the only values that a type hint knows, as text; none when there are others."""
    kind = kind_of_hint(hint)
    return [str(option) for option in kind.options] if kind is not None else []


def is_picture(hint: Any) -> bool:
    """Return whether `hint` is msgspec's picture of a type, not the hint itself."""
    return isinstance(hint, hints.Type)


def entry_problems(value: Mapping[str, Any], hint: Any) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Yield `(key, why, hint)` for entries of a literal map that the type hint does not know or misses."""
    type_ = type_of_hint(hint)
    options = type_.types if isinstance(type_, hints.UnionType) else [type_]
    if any(isinstance(each, hints.DictType | hints.AnyType | hints.CustomType) for each in options):
        return
    for each in options:
        if isinstance(each, _OBJECTS):
            known = [field.encode_name for field in each.fields]
            for name in value:
                if name not in known:
                    near = did_you_mean(name, known) or f"known keys: {listed(known)}"
                    yield (name,), f"unknown key {name!r}", near
            for field in each.fields:
                if field.required and field.encode_name not in value:
                    yield (), f"the key {field.encode_name!r} is missing", ""


def inside(value: Any, hint: Any) -> list[tuple[str | int, Any, Any]] | None:
    """Return `(part, item, type)` for what a literal list or map holds; None when the hint asks for no such thing."""
    type_ = type_of_hint(hint)
    if isinstance(type_, hints.UnionType):
        found = (inside(value, each) for each in type_.types)
        return next((parts for parts in found if parts is not None), None)
    if isinstance(type_, hints.AnyType) or (isinstance(type_, hints.CustomType) and type_.cls is object):
        return []
    if isinstance(value, list):
        if isinstance(type_, _LISTS):
            return [(index, item, type_.item_type) for index, item in enumerate(value)]
        if isinstance(type_, hints.TupleType) and len(type_.item_types) == len(value):
            return [(index, value[index], wanted) for index, wanted in enumerate(type_.item_types)]
        return None
    if isinstance(type_, hints.DictType):
        return [(name, item, type_.value_type) for name, item in value.items()]
    if isinstance(type_, _OBJECTS):
        wanted = {field.encode_name: field.type for field in type_.fields}
        missing = [field.encode_name for field in type_.fields if field.required and field.encode_name not in value]
        return None if missing else [(name, item, wanted[name]) for name, item in value.items() if name in wanted]
    return None
