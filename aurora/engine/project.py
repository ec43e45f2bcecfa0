"""A project: the folder that holds `runbooks/`, with its `steps/`, `profiles/` and `runs/`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from aurora.engine.faults import did_you_mean, listed
from aurora.errors import ProjectError, UsageError


@dataclass(frozen=True)
class Project:
    """A project's root folder and what its `[tool.aurora]` table says."""

    root: Path
    services: str | None = None
    calendars: str | None = None
    """Where a table of exchange calendars is: what a schedule's `calendar` may name (`engine.calendars`)."""

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
            return Project(folder, **_table(folder / "pyproject.toml"))
    raise ProjectError(
        f"There is no project here: no folder from {here} upwards holds a folder runbooks/.",
        means="Aurora does not know which runbooks are meant",
        todo="change to the project's folder, or make one: mkdir runbooks steps profiles",
    )


_KEYS = {"services": "package.module:function", "calendars": "package.module:TABLE"}


def _table(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    import tomllib  # noqa: PLC0415 - only projects with a pyproject.toml pay for it

    try:
        table = tomllib.loads(path.read_text("utf-8")).get("tool", {}).get("aurora", {})
    except (OSError, ValueError) as error:
        raise ProjectError(f"{path} can't be read: {error}", todo="mend the file") from error
    for key, value in table.items():
        if key not in _KEYS:
            todo = f"the keys are {listed(list(_KEYS))}"
            raise ProjectError(f"{path} has an unknown key {key!r} in [tool.aurora]", todo=todo)
        if not isinstance(value, str) or value.count(":") != 1:
            raise ProjectError(f"{path}: [tool.aurora] {key} was {value!r}", todo=f"write '{_KEYS[key]}'")
    return dict(table)
