"""Loads profiles from a project's `profiles/`: overlays may only change what their base declares."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from aurora.engine.document import Document, Key, read_document
from aurora.engine.faults import Fault, RunbookError, did_you_mean, listed
from aurora.engine.project import Project
from aurora.engine.schema import SchemaPass
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
    faults.extend(_against_schema(project, chain, values))
    if faults:
        raise RunbookError(faults)
    return Profile(name, Section(values), tuple(document.file for document in chain))


def _chain(project: Project, name: str) -> list[Document]:
    """Return the documents from the base to `name`."""
    known = profile_names(project)
    if name not in known:
        hint = did_you_mean(name, known)
        raise ProfileError(
            f"There is no profile {name!r}{'; ' + hint if hint else '.'}",
            means="nothing was run",
            todo=f"name one of: {listed(known) or '(none yet)'}",
        )
    chain: list[Document] = []
    seen: list[str] = []
    faults: list[Fault] = []
    wanted: Any = name
    while wanted is not None:
        seen.append(wanted)
        path = project.profiles / f"{wanted}.yaml"
        document = read_document(path, project.shown(path))
        chain.append(document)
        faults.extend(document.faults)
        if not isinstance(document.data, dict):
            faults.extend([] if document.faults else [document.fault((), "a profile is a map of keys and values")])
            break
        wanted = document.data.get("extends")
        problem, hint = _no_base(wanted, seen, known)
        if problem:
            faults.append(document.fault(("extends",), problem, hint))
            break
    if faults:
        raise RunbookError(faults)
    return chain[::-1]


def _no_base(wanted: Any, seen: list[str], known: list[str]) -> tuple[str, str]:
    if wanted is None:
        return "", ""
    if not isinstance(wanted, str):
        return "extends names one profile, as text", ""
    if wanted in seen:
        return f"the profiles extend each other in a circle: {' → '.join([*seen, wanted])}", "take one 'extends' out"
    if wanted not in known:
        return f"there is no profile {wanted!r}", did_you_mean(wanted, known) or f"there are: {listed(known)}"
    return "", ""


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
        elif base[name] is not None and _kind(base[name]) != _kind(value):
            message = f"{name!r} is {_kind(base[name])} in its base, here it is {_kind(value)}"
            faults.append(document.fault(here, message, "leave the key out to keep what the base says"))
        else:
            result[name] = value
    return result


def _against_schema(project: Project, chain: list[Document], values: dict[str, Any]) -> list[Fault]:
    path = project.profiles / SCHEMA
    if not path.is_file():
        return []
    memory = SchemaPass(project.runs / ".cache" / "schema")
    try:
        return memory.faults(_Overlaid(chain, values), path)
    except (OSError, ValueError) as error:
        raise ProfileError(f"{project.shown(path)} can't be read: {error}", todo="mend the schema") from error


class _Overlaid(Document):
    """The values of a whole chain; a fault stands where the last file of the chain says the value."""

    def __init__(self, chain: list[Document], values: dict[str, Any]) -> None:
        super().__init__(chain[-1].file, "\0".join(document.text for document in chain), values)
        self.chain = chain

    def fault(self, key: Key, message: str, hint: str = "", *, of_key: bool = False) -> Fault:
        """Return a fault in the file that says the value at `key`, or the nearest value around it."""
        near = key
        while near and not any(near in document.spots for document in self.chain):
            near = near[:-1]
        said = next(document for document in reversed(self.chain) if near in document.spots or not near)
        return said.fault(key, message, hint, of_key=of_key)
