"""The reference that drift is measured against: a JSON file which the model's entry in the registry names."""

from __future__ import annotations

import hashlib
import io
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aurora.analytics.drift import FeatureReference
from aurora.errors import ProfileError
from aurora.housekeeping.rollback import replace_file
from aurora.session.models import REFERENCE, REFERENCE_SHA256, REGISTRY, open_reference, read_registry

SCHEMA = 1
FIT = "fit it: invoke drift fit"


@dataclass(frozen=True)
class Reference:
    """The features of a model as they were, of sessions of `symbols` with bars of `poll_sec` seconds.

    realtime: the sessions saw a venue's quotes as they came, none that were generated or recorded before.
    """

    fitted: str
    realtime: bool
    symbols: list[str]
    poll_sec: str
    sessions: list[str]
    features: dict[str, FeatureReference]


def read_reference(root: Path, model: str) -> Reference | None:
    """Return the reference of `model`; None where its entry names none.

    Raises ProfileError when it can't be used, RunbookError when the registry can't be read.
    """
    raw = open_reference(root, read_registry(root), model)
    if raw is None:
        return None
    try:
        return _reference(json.loads(raw))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ProfileError(
            f"The reference of the model {model} can't be used: {type(error).__name__}: {error}.",
            means="nobody can tell how far its features have drifted",
            todo=FIT,
        ) from error


def write_reference(root: Path, model: str, reference: Reference) -> tuple[str, str]:
    """Write the file, then its name and sha256 into the model's entry, comments kept; return both.

    Raises ProfileError when the registry has no such model.
    """
    from ruamel.yaml import YAML  # noqa: PLC0415 - heavy, and only a fit writes YAML

    open_reference(root, read_registry(root), model)
    name = f"profiles/models/{model}.reference.json"
    text = json.dumps({"schema": SCHEMA, **asdict(reference)}, indent=1) + "\n"
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 200
    data = yaml.load(root / REGISTRY)
    data[model][REFERENCE] = name
    data[model][REFERENCE_SHA256] = sha256
    registry = io.StringIO()
    yaml.dump(data, registry)
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    replace_file(root / name, text)
    replace_file(root / REGISTRY, registry.getvalue())
    return name, sha256


def _reference(data: dict[str, Any]) -> Reference:
    if data.pop("schema") != SCHEMA:
        raise ValueError("it is of a schema that this version does not read")
    features = {name: _feature(name, each) for name, each in data.pop("features").items()}
    if not features:
        raise ValueError("it has no feature")
    return Reference(**data, features=features)


def _feature(name: str, data: dict[str, Any]) -> FeatureReference:
    found = FeatureReference(tuple(data["edges"]), tuple(data["counts"]), data["low"], data["high"])
    rising = all(low < high for low, high in zip(found.edges, found.edges[1:], strict=False))
    finite = all(math.isfinite(value) for value in (*found.edges, found.low, found.high))
    counted = all(type(count) is int and count >= 0 for count in found.counts) and sum(found.counts) > 0
    if not (found.edges and rising and finite and counted and len(found.counts) == len(found.edges) + 1):
        raise ValueError(f"the bins of {name} are none")
    return found
