"""Finds the sessions' records of a project, of runs and by hand, that were made in the last days."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

RECORDING = "session.jsonl"
REHEARSAL = "session.rehearse_kill_switch"
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
    """A record: where it is, its name for people, when its run began (UTC), and its first line."""

    path: Path
    name: str
    began: datetime
    header: dict[str, Any]


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
            found.append(Recording(path, name, began, header))
    return sorted(found, key=lambda recording: (recording.began, recording.name)), problems


def _paths(root: Path) -> Iterator[Path]:
    yield from sorted((root / "runs").glob(f"*/artifacts/**/{RECORDING}"))
    yield from sorted((root / "sessions").glob(f"*/{RECORDING}"))


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
        with (root / "runs" / parts[1] / "journal.jsonl").open("rb") as journal:
            plan = json.loads(journal.readline())["data"]["plan"]
        step = "/".join(parts[3:-2])
        return any(entry["id"] == step and entry.get("uses") == REHEARSAL for entry in plan)
    except (OSError, ValueError, KeyError, TypeError):
        return False  # its record is counted then, and what is wrong with the run is `verify`'s to say


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
