"""Looks through a whole run for the secrets of its profiles before it is sealed (engine rule 24).

What was masked on its way is not found again here: this is the last look at the files as they lie on the disk. It finds
each form that `Masker` knows, within one file. A secret cut over two lines or files, packed, encrypted or changed in
another way is not found.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from aurora.engine.artifacts import holds_secret
from aurora.engine.profiles import load_profile, profile_names
from aurora.engine.project import Project
from aurora.engine.secrets import Masker, read_environment, secrets_of
from aurora.errors import AuroraError, SecretOnRecord


def refuse_secrets(root: Path, files: Iterable[tuple[str, Path]], run: str) -> None:
    """Raise SecretOnRecord when one of `files` (name, path) of a run holds a secret, or is named after one.

    Those of every profile of the project are looked for: a sub-runbook may have had another profile than the run.
    """
    masker = _masker(Project(root))
    if not masker.longest:
        return
    held = [masker.text(name) for name, path in files if masker.holds(name) or holds_secret(path, masker)]
    if held:
        raise SecretOnRecord(
            f"{', '.join(held)} of the run {run} {'holds' if len(held) == 1 else 'hold'} a secret.",
            means="sealed records are given away and kept; this run is not sealed, and nothing was removed",
            todo="change the secret, which is in a file now, and mend what wrote it there",
        )


def _masker(project: Project) -> Masker:
    names: set[str] = set()
    for name in profile_names(project):
        try:
            names.update(load_profile(project, name).values.get("secrets") or ())
        except AuroraError:
            continue  # a profile that can't be read was no run's
    return Masker(secrets_of(sorted(names), read_environment(project.root)) if names else {})
