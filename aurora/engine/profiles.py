"""Loads profiles from a project's `profiles/`: overlays may only change what their base declares."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from aurora.engine.document import Document, Key, read_document
from aurora.engine.faults import Fault, Place, RunbookError, did_you_mean, listed
from aurora.engine.project import Project
from aurora.engine.schema import schema_faults
from aurora.errors import ProfileError
from aurora.profile import Profile, Section

SCHEMA = "profile.schema.json"
NOT_PROFILES = ("governance", "models", "policy")


def profile_names(project: Project) -> list[str]:
    """Return the names of the project's profiles, sorted."""
    return sorted(path.stem for path in project.profiles.glob("*.yaml") if path.stem not in NOT_PROFILES)


def load_profile(project: Project | Path, name: str) -> Profile:
    """Resolve the profile `name` through its `extends` chain.

    Raises ProfileError when it is not there, RunbookError (with every fault) when a file of the chain is wrong.
    """
    project = project if isinstance(project, Project) else Project(project)
    chain = _chain(project, name)
    values: dict[str, Any] = {}
    faults: list[Fault] = []
    for number, document in enumerate(chain):
        own = {key: value for key, value in document.data.items() if key != "extends"}
        values = _overlay(values, own, document, (), faults) if number else own
    if faults:
        raise RunbookError(faults)
    faults = _against_schema(project, chain, values)
    if faults:
        raise RunbookError(faults)
    return Profile(name, Section(values), tuple(document.file for document in chain))


def _chain(project: Project, name: str) -> list[Document]:
    chain: list[Document] = []
    wanted: str | None = name
    seen: list[str] = []
    while wanted is not None:
        if wanted in seen:
            raise ProfileError(
                f"The profiles extend each other in a circle: {' → '.join([*seen, wanted])}.", todo="break it"
            )
        seen.append(wanted)
        document = _read(project, wanted, chain)
        chain.append(document)
        wanted = document.data.get("extends")
        if wanted is not None and not isinstance(wanted, str):
            raise RunbookError([document.fault(("extends",), "extends names one profile, as text")])
    return chain[::-1]


def _read(project: Project, name: str, above: list[Document]) -> Document:
    path = project.profiles / f"{name}.yaml"
    known = profile_names(project)
    if name not in known:
        hint = did_you_mean(name, known)
        where = f" (extended by {above[-1].file})" if above else ""
        raise ProfileError(
            f"There is no profile {name!r}{where}{'; ' + hint if hint else ''}.",
            means="nothing was run",
            todo=f"name one of: {listed(known) or '(none yet)'}",
        )
    document = read_document(path, project.shown(path))
    if document.faults:
        raise RunbookError(document.faults)
    if not isinstance(document.data, dict):
        raise RunbookError([Fault(Place(document.file), "a profile is a map of keys and values")])
    return document


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | Decimal):
        return "a number"
    names: dict[type, str] = {str: "text", list: "a list", dict: "a map"}
    return names.get(type(value), "nothing")


def _overlay(
    base: Mapping[str, Any], over: Mapping[str, Any], document: Document, key: Key, faults: list[Fault]
) -> dict[str, Any]:
    result = dict(base)
    for name, value in over.items():
        here: Key = (*key, name)
        if name not in base:
            hint = did_you_mean(name, base) or f"its base has: {listed(list(base), 20)}"
            faults.append(document.fault(here, f"unknown key {'.'.join(map(str, here))!r}", hint, of_key=True))
        elif isinstance(base[name], dict) and isinstance(value, dict):
            # a map that the base leaves empty is an open one: per-symbol limits, for instance
            result[name] = _overlay(base[name], value, document, here, faults) if base[name] else value
        elif base[name] is not None and value is not None and _kind(base[name]) != _kind(value):
            faults.append(
                document.fault(here, f"{name!r} is {_kind(base[name])} in its base, here it is {_kind(value)}")
            )
        else:
            result[name] = value
    return result


def _against_schema(project: Project, chain: list[Document], values: dict[str, Any]) -> list[Fault]:
    path = project.profiles / SCHEMA
    if not path.is_file():
        return []
    try:
        schema = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ProfileError(f"{project.shown(path)} can't be read: {error}", todo="mend the schema") from error
    merged = Document(chain[-1].file, "", data=values)
    for document in chain:
        for key, place in document.places.items():
            merged.places[key] = place
        merged.key_places.update(document.key_places)
    lines = {document.file: document.lines for document in chain}
    faults = []
    for fault in schema_faults(merged, schema):
        source = lines.get(fault.place.file, [])
        excerpt = source[fault.place.line - 1] if 0 < fault.place.line <= len(source) else ""
        faults.append(Fault(fault.place, fault.message, excerpt, fault.hint))
    return faults
