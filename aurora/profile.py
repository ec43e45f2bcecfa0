"""Profiles: how much. A base file, overlays that `extends` it, and a digest of what they resolve to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from types import MappingProxyType
from typing import Any


class Section(Mapping[str, Any]):
    """One level of a profile: read as `section.key` or `section['key']`; never changed."""

    __slots__ = ("_path", "_values")

    def __init__(self, values: Mapping[str, Any], path: str = "profile") -> None:
        self._path = path
        self._values = MappingProxyType(
            {
                key: Section(value, f"{path}.{key}") if isinstance(value, Mapping) else value
                for key, value in values.items()
            }
        )

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __getattr__(self, key: str) -> Any:
        if key.startswith("_"):
            raise AttributeError(key)
        try:
            return self._values[key]
        except KeyError:
            raise AttributeError(f"{self._path} has no key {key!r}") from None

    def __reduce__(self) -> tuple[Any, ...]:
        return (Section, (self.plain(), self._path))

    def __repr__(self) -> str:
        return f"Section({self.plain()!r})"

    def plain(self) -> dict[str, Any]:
        """Return the section as plain dicts (numbers with a fraction are Decimal)."""
        return {key: value.plain() if isinstance(value, Section) else value for key, value in self._values.items()}


@dataclass(frozen=True)
class Profile:
    """A resolved profile: its name, its values, and the files that made it (base first)."""

    name: str
    values: Section
    files: tuple[str, ...] = ()

    def __getattr__(self, key: str) -> Any:
        if key.startswith("_"):
            raise AttributeError(key)
        return getattr(self.values, key)

    @cached_property
    def digest(self) -> str:
        """Return the SHA-256 of the resolved values, so that two names for the same values compare equal."""
        text = json.dumps(self.values.plain(), sort_keys=True, default=_canonical, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()


def _canonical(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    raise TypeError(f"A profile can't hold a {type(value).__name__}.")
