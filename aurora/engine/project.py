"""A project: the folder that holds `runbooks/`, with its `steps/`, `profiles/` and `runs/`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from aurora.engine.faults import did_you_mean, listed
from aurora.errors import ProjectError, UsageError


@dataclass(frozen=True)
class Project:
    """A project's root folder and what its `[tool.aurora]` table says."""

    root: Path
    services: str | None = None
    witness: str | None = None
    """The git remote that the ledger is pushed to; none unless named."""
    desk: str | None = None
    """What the desk is called in the heads that leave the machine; the folder's name unless named."""
    calendars: str | None = None
    """Where a table of exchange calendars is: what a schedule's `calendar` may name (`engine.calendars`)."""

    @property
    def desk_name(self) -> str:
        """Return what the desk is called."""
        return self.desk or self.root.name

    @property
    def runbooks(self) -> Path:
        """Return the folder of the runbooks."""
        return self.root / "runbooks"

    @property
    def profiles(self) -> Path:
        """Return the folder of the profiles."""
        return self.root / "profiles"

    @property
    def runs(self) -> Path:
        """Return the folder of the records."""
        return self.root / "runs"

    def names(self) -> list[str]:
        """Return the names of all runbooks, sorted."""
        return sorted(path.stem for path in self.runbooks.glob("*.yaml"))

    def path_of(self, name: str) -> Path:
        """Return the file of the runbook `name`. Raises UsageError with the nearest name."""
        path = self.runbooks / f"{name}.yaml"
        if name in self.names():
            return path
        hint = did_you_mean(name, self.names())
        raise UsageError(
            f"There is no runbook {name!r} in {self.shown(self.runbooks)}/{'; ' + hint if hint else '.'}",
            means="nothing was run",
            todo=f"name one of: {listed(self.names()) or '(none yet)'}",
        )

    def shown(self, path: Path) -> str:
        """Return `path` as people see it: relative to the root when it is inside."""
        try:
            return str(path.relative_to(self.root))
        except ValueError:
            return str(path)


def find_project(start: Path | None = None) -> Project:
    """Return the project around `start` (the current folder). Raises ProjectError when there is none."""
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / "runbooks").is_dir():
            return Project(folder, **_settings(folder / "pyproject.toml"))
    raise ProjectError(
        f"There is no project here: no folder from {here} upwards holds a folder runbooks/.",
        means="Aurora does not know which runbooks are meant",
        todo="change to the project's folder, or make one: mkdir runbooks steps profiles",
    )


_SETTINGS = {
    "services": ("'package.module:function'", r"[^:]+:[^:]+"),
    "calendars": ("'package.module:TABLE'", r"[^:]+:[^:]+"),
    "witness": ("a git remote without a password in it", r"(?!-)(?![a-z+]+://[^/@]*:[^/]*@)\S+"),
    "desk": ("one word of letters, digits, '.', '_' and '-'", r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"),
}
"""What `[tool.aurora]` may say: how a value is written, in words and as a pattern."""


def _settings(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    import tomllib  # noqa: PLC0415 - only projects with a pyproject.toml pay for it

    try:
        table = tomllib.loads(path.read_text("utf-8")).get("tool", {}).get("aurora", {})
    except (OSError, ValueError) as error:
        raise ProjectError(f"{path} can't be read: {error}", todo="mend the file") from error
    unknown = [key for key in table if key not in _SETTINGS]
    if unknown:
        raise ProjectError(
            f"{path} has an unknown key {unknown[0]!r} in [tool.aurora]", todo=f"the keys are: {', '.join(_SETTINGS)}"
        )
    for key, value in table.items():
        words, pattern = _SETTINGS[key]
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            shown = "not shown, it may hold a password" if key == "witness" else repr(value)
            raise ProjectError(f"{path}: [tool.aurora] {key} was {shown}", todo=f"write {words}")
    return dict(table)
