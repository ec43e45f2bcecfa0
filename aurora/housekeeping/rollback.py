"""Rolls a profile's files back to a commit that git knows, and shows first what would change."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from aurora.engine.faults import RunbookError
from aurora.engine.profiles import load_profile
from aurora.engine.project import Project
from aurora.engine.records import records
from aurora.errors import AuroraError, OperatorError

LONGEST_DIFF = 8_000
"""Of characters that a question shows; the whole one is for git."""
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_GIT_S = 20


@dataclass(frozen=True)
class Change:
    """What a rollback would change. commit: full; chosen: by whom; files: of the profile; diff: "" is none."""

    commit: str
    chosen: str
    files: list[str]
    changes: bool
    diff: str


@dataclass(frozen=True)
class Restored:
    """Which files were written, each as it is in the commit."""

    commit: str
    files: list[str]


def plan_rollback(root: Path, profile: str, commit: str) -> Change:
    """Return what going back to `commit` would change in the files of `profile`; "" is the last green run's commit.

    Raises OperatorError when there is no such commit, or no green run of this profile with a clean tree.
    """
    if commit:
        if commit.startswith("-"):
            raise _refused(f"The commit {commit!r} is no name of one.")
        full, chosen = _git(root, "rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}").strip(), "by you"
    else:
        full, chosen = _last_green(root, profile)
    files = _files(root, profile)
    diff = _git(root, "diff", "--no-color", "--no-ext-diff", "-R", full, "--", *files)
    shown = diff if len(diff) <= LONGEST_DIFF else f"{diff[:LONGEST_DIFF]}\n… see: git diff {full[:12]} -- profiles"
    return Change(full, chosen, files, bool(diff), shown)


def restore(root: Path, profile: str, commit: str) -> Restored:
    """Write the files of `profile` as `commit` has them, each at once or not at all. Raises OperatorError."""
    if not _COMMIT.fullmatch(commit):
        raise _refused(f"{commit!r} is no commit.")
    files = _files(root, profile)
    texts = {name: _git(root, "show", f"{commit}:{name}") for name in files}  # all are there before one is written
    for name, text in texts.items():
        replace_file(root / name, text)
    return Restored(commit, files)


def models_off(root: Path, profile: str) -> Restored:
    """Write `models: {enable: false}` into the profile's own file, comments kept; sessions hold everything then."""
    from ruamel.yaml import YAML  # noqa: PLC0415 - heavy, and only a rollback writes YAML

    load_profile(root, profile)
    path = root / "profiles" / f"{profile}.yaml"
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 200
    data = yaml.load(path)
    data.setdefault("models", {})["enable"] = False
    descriptor, draft = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        yaml.dump(data, file)
    text = Path(draft).read_text("utf-8")
    Path(draft).unlink()
    replace_file(path, text)
    if load_profile(root, profile).models.enable is not False:
        raise _refused(f"{path} was written, and models are on still.")
    return Restored("", [str(path.relative_to(root))])


def replace_file(path: Path, text: str) -> None:
    """Write `text` to `path`, on disk and at once, or not at all."""
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(draft).chmod(mode)
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def _files(root: Path, profile: str) -> list[str]:
    """Return the files that the profile is made of, relative to the project."""
    try:
        return list(load_profile(root, profile).files)
    except RunbookError:  # it is broken, which may be why it goes back
        return ["profiles/base.yaml", f"profiles/{profile}.yaml"]


def _last_green(root: Path, profile: str) -> tuple[str, str]:
    for run, record in records(Project(root)):
        if isinstance(record, AuroraError) or record.state.outcome != "green":
            continue
        opened = record.text.events[0].data
        code = opened.get("code") or {}
        if opened["profile"]["name"] == profile and code.get("commit") and not code.get("dirty", True):
            return str(code["commit"]), f"the last green run's: {run}"
    raise OperatorError(
        f"No green run with the profile {profile} and a clean tree is on record.",
        means="nobody knows to which commit to go back; nothing was changed",
        todo="name one: --commit SHA (git log -- profiles)",
    )


def _git(root: Path, *words: str) -> str:
    try:
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, timeout=_GIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _refused(f"git can't be asked: {error}") from error
    if done.returncode:
        said = done.stderr.strip() or f"git {words[0]} found nothing"
        raise _refused(f"git has no such commit or file: {said}")
    return done.stdout


def _refused(what: str) -> OperatorError:
    return OperatorError(
        what, means="nothing was changed", todo="name a commit of this repository: git log -- profiles"
    )
