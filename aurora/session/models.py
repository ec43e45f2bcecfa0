"""Opens a model of the registry `profiles/models.yaml`: what is loaded is what was registered, by its sha256."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from aurora.engine.document import read_document
from aurora.engine.faults import RunbookError
from aurora.errors import ProfileError
from aurora.session.strategy import LinearModel, Model

REGISTRY = "profiles/models.yaml"
REFERENCE, REFERENCE_SHA256 = "reference", "reference_sha256"
"""Keys of an entry: the file that drift is measured against, and its sha256. A model trades without them."""


@dataclass(frozen=True)
class OpenModel:
    """A model, and which one it is: for the record."""

    name: str
    sha256: str
    model: Model


def open_model(root: Path, registry: object, name: str) -> OpenModel:
    """Return the model `name` of the registry's data; paths in it are relative to `root`.

    Raises ProfileError when the entry is wrong, or what it names is missing, has another sha256 or can't be loaded.
    """
    entry = _entry(registry, name)
    source, opener = _KINDS[entry["kind"]]
    return OpenModel(name, entry["sha256"], opener(root, name, entry[source], entry["sha256"]))


def read_registry(root: Path) -> object:
    """Return the registry's data. Raises RunbookError when it is no YAML."""
    document = read_document(root / REGISTRY, REGISTRY)
    if document.faults:
        raise RunbookError(list(document.faults))
    return document.data


def open_reference(root: Path, registry: object, name: str) -> bytes | None:
    """Return what the file that the model's drift is measured against holds; None where the entry names none.

    Raises ProfileError when the entry is wrong, or the file is missing or has another sha256.
    """
    entry = _entry(registry, name)
    if REFERENCE not in entry:
        return None
    return _checked(name, root / entry[REFERENCE], entry[REFERENCE], entry[REFERENCE_SHA256])


def _entry(registry: object, name: str) -> Mapping[str, str]:
    if not isinstance(registry, Mapping) or name not in registry:
        names = ", ".join(map(str, registry)) if isinstance(registry, Mapping) else "none"
        raise ProfileError(
            f"models.name was {name!r}; {REGISTRY} has no such model.", todo=f"name one of: {names or 'none'}"
        )
    entry = registry[name]
    kind = entry.get("kind") if isinstance(entry, Mapping) else None
    if kind not in _KINDS:
        raise _wrong(name, f"its kind was {kind!r}", f"write one of: {', '.join(_KINDS)}")
    wanted = {"kind", _KINDS[kind][0], "sha256"}
    reference = {REFERENCE, REFERENCE_SHA256} & set(entry)
    if (
        set(entry) - reference != wanted
        or len(reference) == 1
        or not all(isinstance(each, str) for each in entry.values())
    ):
        todo = f"write {', '.join(sorted(wanted))}, each as text; {REFERENCE} and {REFERENCE_SHA256}: both or none"
        raise _wrong(name, f"it has {', '.join(map(str, entry))}", todo)
    return cast(Mapping[str, str], entry)


@dataclass(frozen=True)
class FunctionModel:
    """A function as a model."""

    predict: Callable[[Mapping[str, float]], float]


def _open_linear(root: Path, name: str, artifact: str, sha256: str) -> Model:
    raw = _checked(name, root / artifact, artifact, sha256)
    try:
        data: Any = json.loads(raw)
        if not isinstance(data, dict) or not all(_is_number(value) for value in data.values()):
            raise ValueError("it is not a map of names to finite numbers")
        return LinearModel({key: float(value) for key, value in data.items()})
    except ValueError as error:
        raise _wrong(name, f"{artifact} holds no coefficients: {error}", "mend it, and its sha256") from error


def _open_attribute(_root: Path, name: str, attribute: str, sha256: str) -> Model:
    module, _, member = attribute.partition(":")
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        spec = None
    if spec is None or spec.origin is None or not member:
        raise _wrong(name, f"there is no {attribute}", "write package.module:attribute of what is installed")
    _checked(name, Path(spec.origin), spec.origin, sha256)  # before a line of it is run
    try:
        predict = getattr(importlib.import_module(module), member)
    except Exception as error:
        raise _wrong(name, f"{attribute} can't be imported: {type(error).__name__}: {error}", "mend it") from error
    if not callable(predict):
        raise _wrong(name, f"{attribute} can't be called", "name a function of the features")
    return FunctionModel(predict)


_KINDS = {"linear": ("artifact", _open_linear), "attribute": ("attribute", _open_attribute)}


def _checked(name: str, path: Path, shown: str, sha256: str) -> bytes:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise _wrong(name, f"{shown} can't be read: {error.strerror}", "put it there") from error
    found = hashlib.sha256(raw).hexdigest()
    if found != sha256:
        what = f"the sha256 of {shown} is {found}, {sha256} is registered"
        raise _wrong(name, what, "find out who changed it, and why")
    return raw


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _wrong(name: str, what: str, todo: str) -> ProfileError:
    return ProfileError(
        f"The model {name} of {REGISTRY} can't be used: {what}.", means="nothing was decided or sent", todo=todo
    )
