"""The folder `runs/`: one folder a run, found by its id or by the end of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aurora.engine.faults import did_you_mean
from aurora.engine.project import Project
from aurora.engine.state import RunState
from aurora.errors import AuroraError, RecordError, RunNotFound
from aurora.journal import JournalText, read_journal

JOURNAL = "journal.jsonl"
STAMP_LENGTH = len("2026-11-23T140000.250Z")


@dataclass(frozen=True)
class Record:
    """A run's folder and what its journal says."""

    id: str
    folder: Path
    text: JournalText
    state: RunState

    @property
    def status(self) -> str:
        """Return the outcome; `interrupted` or `unfinished` for a run that has none yet."""
        if self.state.outcome is not None:
            return self.state.outcome
        return "interrupted" if self.state.interrupted else "unfinished"


def new_run(project: Project, runbook: str, now: datetime) -> Path:
    """Make the folder of a new run and return it. Raises RecordError when `runs/` can't be written."""
    now = max(now, _after_the_newest(project))
    # To the millisecond: the ids of two runs begun in one second still sort as they were begun, and `last` is the last.
    stem = f"{now:%Y-%m-%dT%H%M%S}.{now.microsecond // 1000:03}Z-{runbook}"
    try:
        project.runs.mkdir(exist_ok=True)
        number = 1
        while True:
            folder = project.runs / (stem if number == 1 else f"{stem}-{number}")
            try:
                folder.mkdir()
            except FileExistsError:
                number += 1
                continue
            (folder / "inputs").mkdir()
            return folder
    except OSError as error:
        raise RecordError(
            f"A run's folder can't be made in {project.runs}: {error.strerror}.",
            means="Aurora does not act without a record; nothing was run",
            todo="make room, or make the folder writable",
        ) from error


def _after_the_newest(project: Project) -> datetime:
    """Return the instant after the one in the newest id.

    Should the machine's clock be set back, `last` is still the last; when a run was opened stands in its journal.
    """
    known = run_ids(project)
    try:
        newest = datetime.strptime(known[-1][:STAMP_LENGTH], "%Y-%m-%dT%H%M%S.%fZ").replace(tzinfo=UTC)
    except (IndexError, ValueError):  # there is none, or a folder of another kind
        return datetime.min.replace(tzinfo=UTC)
    return newest + timedelta(milliseconds=1)


def run_ids(project: Project) -> list[str]:
    """Return the ids of all runs, oldest first."""
    if not project.runs.is_dir():
        return []
    with os.scandir(project.runs) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))


def find_run(project: Project, name: str) -> Path:
    """Return the folder of the run called `name`: its id, `last`, or an unambiguous end or start of an id.

    Raises RunNotFound.
    """
    known = run_ids(project)
    if name == "last" and known:
        return project.runs / known[-1]
    if name in known:
        return project.runs / name
    near = [each for each in known if each.endswith(name) or each.startswith(name)] if name else []
    if len(near) == 1:
        return project.runs / near[0]
    if len(near) > 1:
        raise RunNotFound(f"{name!r} names {len(near)} runs.", todo=f"write more of it: {', '.join(near[-3:])}")
    if "/" not in name and (project.runs / f"{name}.tar.gz").is_file():
        raise RunNotFound(
            f"The run {name!r} is archived: its folder went into {name}.tar.gz.",
            means="its record is there, and only `verify` looks into it",
            todo=f"bring it back, in {project.shown(project.runs)}: tar -xzf {name}.tar.gz",
        )
    hint = did_you_mean(name, known)
    raise RunNotFound(f"There is no run {name!r}{'; ' + hint if hint else ''}.", todo="list the runs: invoke runs")


def read_record(folder: Path) -> Record:
    """Read a run's journal into a state. Raises RecordError or JournalDamaged."""
    text = read_journal(folder / JOURNAL)
    if not text.events or text.events[0].type != "run.opened":
        raise RecordError(
            f"The run {folder.name} was never opened: its journal holds no first event.",
            means="nothing of it was run",
            todo=f"remove the folder {folder}",
        )
    return Record(folder.name, folder, text, RunState.of(text.events))


def records(project: Project) -> Iterator[tuple[str, Record | AuroraError]]:
    """Yield every run, newest first; one that can't be read comes as its error."""
    for run_id in reversed(run_ids(project)):
        try:
            yield run_id, read_record(project.runs / run_id)
        except AuroraError as error:
            yield run_id, error


def is_unfinished(project: Project, run_id: str) -> bool:
    """Return whether a run was opened and has no end on record; a journal that can't be read counts as unfinished."""
    folder = project.runs / run_id
    if not (folder / JOURNAL).exists():
        return False
    try:
        text = read_journal(folder / JOURNAL)
    except AuroraError:
        return True
    return bool(text.events) and text.events[-1].type != "run.finished"
