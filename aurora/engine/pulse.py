"""Looks what is due, once a minute, and runs it: the guard behind cron, which knows neither zones nor exchanges.

`runs/cron.jsonl` is its memory: a line for each run that was due, written and synced before anything follows from it.

    lock → settle what a killed look left → decide since the last line → write → start → unlock → wait → write the ends

A run holds a lock of its own (flock, inherited by its process): while it is held, the run is going.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from aurora.clock import Clock, iso
from aurora.engine.graph import Library
from aurora.engine.leg import LOCKS
from aurora.engine.project import Project
from aurora.engine.schedule import Calendar, Decision, calendars_of, decide
from aurora.engine.spec import Runbook, Schedule
from aurora.errors import AuroraError, OperatorError, RecordError

FILE = "cron.jsonl"
AURORA = (sys.executable, "-m", "aurora")
TROUBLE = ("missed", "still going", "lost", "refused")
"""What the next run says of those before it."""
_SETTLES = (*TROUBLE, "skipped", "begun", "since")
_CLOCK_SLACK = timedelta(hours=1)


@dataclass
class Looked:
    """What a look came to: lines for people, what somebody should hear of, and the worst exit code."""

    said: list[str] = field(default_factory=list)
    trouble: list[tuple[str, str, str]] = field(default_factory=list)
    """The runbook, a title and a text."""
    code: int = 0


@dataclass
class _Started:
    runbook: str
    process: subprocess.Popen[bytes]
    due: str


class Pulse:
    """look: decide what is due and run it. Lines are appended by one process at a time."""

    def __init__(
        self, project: Project, clock: Clock, command: Sequence[str] = (sys.executable, "-m", "aurora")
    ) -> None:
        self._project = project
        self._clock = clock
        self._command = command
        self._path = project.runs / FILE

    def look(self, names: Sequence[str] = ()) -> Looked:
        """Run what is due of the runbooks `names` (all with a schedule, unless named), and wait for it.

        Raises RecordError when the memory can't be kept: nothing is begun then.
        """
        looked = Looked()
        started: list[_Started] = []
        with self._locked():
            calendars = calendars_of(self._project)
            for runbook in scheduled(self._project, names, looked):
                with self._said_of(runbook.name, looked):
                    begun = self._one(runbook, calendars, looked)
                    started += [begun] if begun is not None else []
        for each in started:
            self._await(each, looked)
        return looked

    def forget(self, event: str) -> None:
        """Begin to count from now: what was due before `cron --install` was nobody's to run."""
        with self._locked():
            for runbook in scheduled(self._project, (), Looked()):
                assert runbook.schedule is not None
                self._write(runbook.name, "since", self._clock.now(), runbook.schedule, event)

    def _one(self, runbook: Runbook, calendars: Mapping[str, Calendar], looked: Looked) -> _Started | None:
        schedule, now = runbook.schedule, self._clock.now()
        assert schedule is not None
        after = self._settled(runbook, schedule, now)
        going = self._lock_of(runbook.name)
        try:
            if going is not None:
                self._settle_lost(runbook, schedule, looked)
            if after is None:
                return None
            calendar = _calendar(schedule, calendars)
            decisions = decide(schedule, after, now, calendar, is_going=going is None)
            begin = self._write_all(runbook, schedule, decisions, looked)
            if begin is None or going is None:
                return None
            return self._start(runbook, schedule, begin, going)
        finally:
            if going is not None:
                os.close(going)  # the run's own copy holds the lock now

    def _write_all(
        self, runbook: Runbook, schedule: Schedule, decisions: Sequence[Decision], looked: Looked
    ) -> Decision | None:
        begin = None
        for each in decisions:
            if each.verdict == "wait":
                break  # it is decided again at the next look
            event = "begun" if each.verdict == "begin" else each.verdict
            self._write(runbook.name, event, each.due, schedule, each.why)
            self._tell(looked, runbook.name, event, each.due, each.why)
            begin = each if each.verdict == "begin" else begin
        return begin

    def _settled(self, runbook: Runbook, schedule: Schedule, now: datetime) -> datetime | None:
        """Return until when everything is decided; None when that begins now."""
        last = next((line for line in reversed(lines_of(self._path, runbook.name)) if line["event"] in _SETTLES), None)
        why = "it is new"
        if last is not None:
            settled = datetime.fromisoformat(last["due"])
            changed = (last.get("cron"), last.get("zone")) != (schedule.cron, schedule.zone)
            if not changed and settled <= now + _CLOCK_SLACK:
                return settled
            why = "its schedule was changed" if changed else f"the clock was set back: a line is of {last['due']}"
        self._write(runbook.name, "since", now, schedule, why)
        return None

    def _settle_lost(self, runbook: Runbook, schedule: Schedule, looked: Looked) -> None:
        """Say what became of a run whose guard was killed: nobody is going any more, and there is no end on record."""
        lines = [line for line in lines_of(self._path, runbook.name) if line["event"] in ("begun", "ended", "lost")]
        if lines and lines[-1]["event"] == "begun":
            due = datetime.fromisoformat(lines[-1]["due"])
            why = "what watched it was killed; see: invoke runs"
            self._write(runbook.name, "lost", due, schedule, why)
            self._tell(looked, runbook.name, "lost", due, why)

    def _start(self, runbook: Runbook, schedule: Schedule, begin: Decision, lock: int) -> _Started:
        command = [*self._command, "runbook", runbook.name, *flags_of(runbook, schedule)]
        process = subprocess.Popen(command, cwd=self._project.root, stdin=subprocess.DEVNULL, pass_fds=[lock])
        return _Started(runbook.name, process, iso(begin.due))

    def _await(self, started: _Started, looked: Looked) -> None:
        code = started.process.wait()
        code = code if code >= 0 else 128 - code
        line = {"event": "ended", "runbook": started.runbook, "due": started.due, "exit": code}
        with self._locked():
            _append(self._path, {"ts": iso(self._clock.now()), **line})
        looked.said.append(f"{started.runbook}: ended, exit {code}")
        looked.code = max(looked.code, code)
        if code in (1, 2) or code > 8:
            text = f"due {started.due}; what it said is in logs/cron.log"
            looked.trouble.append((started.runbook, f"{started.runbook} ended with exit {code}", text))

    def _tell(self, looked: Looked, name: str, event: str, due: datetime, why: str) -> None:
        text = f"{name}: due {iso(due)}, {event}{': ' + why if why else ''}"
        looked.said.append(text)
        if event in TROUBLE:
            looked.trouble.append((name, f"{name}: {event}", text))

    @contextlib.contextmanager
    def _said_of(self, name: str, looked: Looked) -> Iterator[None]:
        try:
            yield
        except RecordError:
            raise
        except (AuroraError, OSError) as error:  # one runbook's fault keeps no other from running
            what = error.what if isinstance(error, AuroraError) else str(error)
            looked.said.append(f"{name}: not run: {what}")
            looked.code = max(looked.code, OperatorError.exit_code)

    def _write(self, name: str, event: str, due: datetime, schedule: Schedule, why: str) -> None:
        line = {"event": event, "runbook": name, "due": iso(due), "why": why, "cron": schedule.cron}
        _append(self._path, {"ts": iso(self._clock.now()), **line, "zone": schedule.zone})

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = self._open_lock("cron")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _lock_of(self, name: str) -> int | None:
        """Return a descriptor that holds the lock of a run, None while another run of it is going."""
        descriptor = self._open_lock(f"cron:{name}")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor

    def _open_lock(self, name: str) -> int:
        folder = self._project.runs / LOCKS
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise _unwritable(folder, error) from error


def scheduled(project: Project, names: Sequence[str], looked: Looked) -> Iterator[Runbook]:
    """Yield the runbooks with a schedule, those of `names` if there are any; a schedule that can't be read is said."""
    library = Library(project)
    for name in names or project.names():
        project.path_of(name)  # raises for a name that there is not
        loaded = library.load(name)
        if loaded.draft is not None and loaded.draft.schedule is not None:
            yield loaded.draft  # what else is wrong with it, its run says
        elif loaded.faults and "schedule" in (loaded.document.data or {}):
            looked.said.append(f"{name}: its schedule can't be read; see: invoke lint")
            looked.code = OperatorError.exit_code


def flags_of(runbook: Runbook, schedule: Schedule) -> list[str]:
    """Return the schedule's parameters as the flags of a command line."""
    words = []
    for name, value in schedule.with_.items():
        flag = runbook.params[name].flag if name in runbook.params else f"--{name}"
        if isinstance(value, bool):
            words.append(flag if value else "--no-" + flag.removeprefix("--"))
        else:
            text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            words.append(f"{flag}={text}")
    return words


def lines_of(path: Path, runbook: str) -> list[dict[str, Any]]:
    """Return what the memory holds of a runbook, oldest first; a line that was not written whole is left out."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unwritable(path, error) from error
    found = []
    for line in raw.splitlines():
        with contextlib.suppress(ValueError):
            entry = json.loads(line)
            if isinstance(entry, dict) and entry.get("runbook") == runbook and {"event", "due"} <= entry.keys():
                datetime.fromisoformat(entry["due"])
                found.append(entry)
    return found


def trouble_since_last_run(runs: Path, runbook: str) -> list[str]:
    """Return what became of the runs of `runbook` that were due since the one before this, where that was not well."""
    lines = lines_of(runs / FILE, runbook)
    marks = [index for index, line in enumerate(lines) if line["event"] in ("begun", "ended", "lost")]
    begun = [index for index in marks if lines[index]["event"] == "begun"]
    if marks and lines[marks[-1]]["event"] == "begun":
        begun = begun[:-1]  # that is the run which asks
    after = begun[-1] if begun else -1
    found = [line for line in lines[after + 1 :] if line["event"] in TROUBLE]
    return [f"due {line['due']}: {line['event']}, {line.get('why') or 'no reason on record'}" for line in found]


def _calendar(schedule: Schedule, calendars: Mapping[str, Calendar]) -> Calendar | None:
    if not schedule.calendar:
        return None
    if schedule.calendar not in calendars:
        raise OperatorError(f"there is no calendar {schedule.calendar!r}", todo="see: invoke lint")
    return calendars[schedule.calendar]


def _append(path: Path, line: Mapping[str, Any]) -> None:
    text = json.dumps(line).encode() + b"\n"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                text = b"\n" + text  # the line before was cut
            os.write(descriptor, text)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> RecordError:
    return RecordError(
        f"{path} can't be used: {error.strerror}.",
        means="what was begun and missed could not be remembered; nothing was run",
        todo="make room, or make the folder runs/ writable",
    )
