"""Finds the sessions' records of a project, of runs, archived ones too, and by hand, made in the last days."""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

RECORDING = "session.jsonl"
JOURNAL = "journal.jsonl"
REHEARSAL = "session.rehearse_kill_switch"
RECONCILE = "reconcile.account"
_STAMP = re.compile(r"(\d{4}-\d{2}-\d{2})T(\d{2})(\d{2})(\d{2})")
_AHEAD = timedelta(minutes=5)
"""A record that is younger than this much after now was made by a clock that is wrong."""


@dataclass(frozen=True)
class Problem:
    """What is wrong with a record: where, what, and how often."""

    file: str
    what: str
    count: int = 1


@dataclass(frozen=True)
class Recording:
    """A record: where it is, its name for people, when its run began (UTC), and its first line.

    reconciled: whether its run found account and record to agree after it; None where there is nothing to compare with
    (nothing was sent, or the venue ended with the session).
    """

    path: Path
    name: str
    began: datetime
    header: dict[str, Any]
    reconciled: bool | None = None


@contextlib.contextmanager
def unpacked_recordings(
    root: Path, mode: str, since: datetime, until: datetime
) -> Iterator[tuple[list[Recording], list[Problem]]]:
    """Yield what `find_recordings` finds, and the records of archived runs, unpacked for as long as the block runs."""
    with tempfile.TemporaryDirectory(prefix="aurora-") as place:
        unpacked = Path(place)
        problems = list(_unpack(root / "runs", unpacked / "runs", since, until))
        found = [find_recordings(each, mode, since, until) for each in (root, unpacked)]
        recordings = [recording for each, _ in found for recording in each]
        problems += [problem for _, each in found for problem in each]
        yield sorted(recordings, key=lambda recording: (recording.began, recording.name)), problems


def find_recordings(root: Path, mode: str, since: datetime, until: datetime) -> tuple[list[Recording], list[Problem]]:
    """Return the records of `mode` (paper, shadow, live) whose run began in the window, oldest first.

    Rehearsals of the kill switch are no sessions. A record whose first line can't be read is a problem, of any mode.
    """
    found, problems = [], []
    for path in _paths(root):
        name = str(path.relative_to(root))
        began = _began(path, root)
        if began < since or _is_rehearsal(path, root):
            continue
        if began > until + _AHEAD:
            problems.append(Problem(name, f"its run began at {began:%Y-%m-%d %H:%MZ}, after now: a clock is wrong"))
            continue
        header = _header(path)
        if isinstance(header, str):
            problems.append(Problem(name, header))
        elif header["mode"] == mode:
            found.append(Recording(path, name, began, header, _was_reconciled(path, root, header)))
    return sorted(found, key=lambda recording: (recording.began, recording.name)), problems


def _paths(root: Path) -> Iterator[Path]:
    yield from sorted((root / "runs").glob(f"*/artifacts/**/{RECORDING}"))
    yield from sorted((root / "sessions").glob(f"*/{RECORDING}"))


def _unpack(runs: Path, target: Path, since: datetime, until: datetime) -> Iterator[Problem]:
    """Unpack the records and journals of runs that are archived and began in the window; yield what can't be."""
    import tarfile  # noqa: PLC0415 - lint imports this module by way of a step's types; only a rollup opens archives

    from aurora.evidence.archive import SUFFIX  # noqa: PLC0415 - the same

    for path in sorted(runs.glob(f"*{SUFFIX}")):
        run = path.name.removesuffix(SUFFIX)
        if (runs / run).is_dir() or not since <= _began(path, runs.parent) <= until + _AHEAD:
            continue
        try:
            with tarfile.open(path, "r:gz") as tar:
                for member in tar:
                    first, _, rest = member.name.partition("/")
                    wanted = rest == JOURNAL or (rest.startswith("artifacts/") and rest.endswith(f"/{RECORDING}"))
                    if first == run and wanted and member.isreg():
                        tar.extract(member, target, filter="data")
        except (tarfile.TarError, EOFError, ValueError, OSError, zlib.error) as error:
            yield Problem(f"runs/{path.name}", f"the archive can't be unpacked: {str(error)[:200]}")


def _began(path: Path, root: Path) -> datetime:
    """Return when the run or session began, which its folder's name says; else when the file was last written."""
    found = _STAMP.match(path.relative_to(root).parts[1])
    if found:
        try:
            return datetime.strptime("".join(found.groups()), "%Y-%m-%d%H%M%S").replace(tzinfo=UTC)
        except ValueError:
            pass
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def _is_rehearsal(path: Path, root: Path) -> bool:
    parts = path.relative_to(root).parts
    if parts[0] != "runs":
        return False
    try:
        with (root / "runs" / parts[1] / JOURNAL).open("rb") as journal:
            plan = json.loads(journal.readline())["data"]["plan"]
        return any(_folder(entry["id"]) == parts[3] and entry.get("uses") == REHEARSAL for entry in plan)
    except (OSError, ValueError, KeyError, TypeError):
        return False  # its record is counted then, and what is wrong with the run is `verify`'s to say


def _folder(step: str) -> str:
    """Return the name of a step's folder below `artifacts`."""
    return step.replace("/", ".")


def _was_reconciled(path: Path, root: Path, header: dict[str, Any]) -> bool | None:
    parts = path.relative_to(root).parts
    if header["mode"] != "live" or header["venue"] == "simulated":
        return None
    if parts[0] != "runs":
        return False
    clean = False
    try:
        with (root / "runs" / parts[1] / JOURNAL).open("rb") as journal:
            plan = json.loads(journal.readline())["data"]["plan"]
            steps = {entry["id"] for entry in plan if entry.get("uses") == RECONCILE}
            for line in journal:
                event = json.loads(line)
                data = event["data"]
                if event["type"] == "step.finished" and _folder(data["step"]) == parts[3]:
                    clean = False  # what was compared before the session says nothing of it
                elif event["type"] == "step.finished" and data["step"] in steps:
                    clean = (data.get("outputs") or {}).get("clean") is True
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    return clean


def _header(path: Path) -> dict[str, Any] | str:
    """Return the record's first line, or what is wrong with it."""
    try:
        with path.open("rb") as file:
            line = file.readline()
        header = json.loads(line)
    except OSError as error:
        return f"it can't be read: {error.strerror}"
    except ValueError:
        return "its first line is not whole: nobody knows which session it is of"
    if not isinstance(header, dict) or header.get("type") != "session.opened":
        return "its first line is no session.opened"
    if header.get("schema") != 1:
        return f"it is of schema {str(header.get('schema'))[:20]}; this version reads schema 1"
    symbols = header.get("symbols")
    is_whole = isinstance(symbols, list) and all(isinstance(symbol, str) for symbol in symbols)
    if not is_whole or not {"mode", "venue", "quotes", "realtime", "at"} <= header.keys():
        return "its first line lacks what a session.opened has"
    return header
