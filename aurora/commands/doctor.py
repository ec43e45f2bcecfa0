"""`doctor`: the set-up looked at, each finding with what to do."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Literal

import aurora
from aurora.clock import SystemClock
from aurora.commands.announce import unsent
from aurora.commands.parser import Invocation
from aurora.engine.faults import RunbookError
from aurora.engine.functions import FunctionTable
from aurora.engine.lint import lint_names
from aurora.engine.locks import holder_of
from aurora.engine.profiles import load_profile, profile_names
from aurora.engine.project import Project
from aurora.engine.records import records
from aurora.errors import AuroraError, RecordError
from aurora.evidence.persons import VARIABLE, PersonSignatory

LOW_DISK_MB = 500
MARKS = {"good": "✔", "note": "!", "bad": "✘"}


@dataclass(frozen=True)
class Finding:
    """One thing that doctor looked at: good, a note, or bad; `todo` says what to type."""

    verdict: Literal["good", "note", "bad"]
    what: str
    todo: str = ""


def execute(project: Project, _invocation: Invocation) -> int:
    """Print all findings; 0 when none is bad, else 2."""
    findings = list(examine(project))
    for finding in findings:
        sys.stdout.write(f"{MARKS[finding.verdict]} {finding.what}\n")
        if finding.todo:
            sys.stdout.write(f"    to do: {finding.todo}\n")
    bad = sum(finding.verdict == "bad" for finding in findings)
    sys.stdout.write(f"{len(findings)} things looked at, {bad} bad\n")
    return 2 if bad else 0


def examine(project: Project) -> Iterator[Finding]:
    """Yield every finding; a check that itself fails is a bad finding, never a traceback."""
    looks = (_versions, _tools, _clock, _records, _person, _permissions, _services, _runbooks, _unfinished, _witness)
    for check in looks:
        yield from _guarded(check, project)


def _guarded(check: Callable[[Project], Iterator[Finding]], project: Project) -> Iterator[Finding]:
    try:
        yield from check(project)
    except (OSError, AuroraError) as error:
        yield Finding("bad", f"{check.__name__.strip('_')} can't be looked at: {error}")


def _person(project: Project) -> Iterator[Finding]:
    """Yield whether the person here could say yes on a live profile; a security key wants a touch for the trial."""
    signatory = PersonSignatory(project.root, project.runs)
    if not signatory.is_configured:
        return
    try:
        signed = signatory.ready("doctor", SystemClock().now())
    except RecordError as error:
        yield Finding("bad", f"the key that {VARIABLE} names does not sign: {error.what}", error.todo)
    else:
        yield Finding("good", f"{signed.principal} can sign here, with {signed.key}")


def _versions(_: Project) -> Iterator[Finding]:
    packages = ", ".join(
        f"{name} {_version(name)}" for name in ("invoke", "jinja2", "jsonschema", "msgspec", "pyyaml", "rich")
    )
    yield Finding("good", f"aurora {aurora.__version__} on Python {platform.python_version()}, {platform.platform()}")
    yield Finding("good", packages)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "(not installed)"


def _tools(project: Project) -> Iterator[Finding]:
    git = shutil.which("git")
    if git is None:
        yield Finding("note", "git is not installed: runs can't say which commit they ran", "install git")
    else:
        inside = subprocess.run(
            [git, "rev-parse", "--is-inside-work-tree"], cwd=project.root, capture_output=True, check=False
        )
        if inside.returncode == 0:
            yield Finding("good", "git knows this project's commit")
        else:
            yield Finding("note", "the project is not under git: runs can't say which commit they ran", "git init")
    if shutil.which("ssh-keygen") is None:
        yield Finding("bad", "ssh-keygen is not installed: records can't be signed or verified", "install OpenSSH")
    else:
        yield Finding("good", "ssh-keygen is there")


def _clock(_: Project) -> Iterator[Finding]:
    drift = abs((time.time() - time.monotonic()) - _boot_time())
    local = time.strftime("%Z %z")
    if time.timezone == 0 and time.daylight == 0:
        yield Finding("good", "the machine's zone is UTC")
    else:
        yield Finding("note", f"the machine's zone is {local}; Aurora writes UTC all the same", "mind it in cron lines")
    if drift > 5:
        yield Finding(
            "note", f"the clock was set by {drift:.0f} s since the machine started", "look at its time service"
        )


def _boot_time() -> float:
    """Return the instant of the start of the monotonic clock, as the kernel tells it; now's own where it does not."""
    try:
        with open("/proc/stat", encoding="ascii") as file:  # noqa: PTH123 - a kernel file, read line by line
            return float(next(line.split()[1] for line in file if line.startswith("btime")))
    except (OSError, StopIteration, ValueError):
        return time.time() - time.monotonic()


def _records(project: Project) -> Iterator[Finding]:
    folder = project.runs if project.runs.exists() else project.root
    if not os.access(folder, os.W_OK):
        yield Finding("bad", f"{folder} can't be written: no run can start", f"chmod u+w {folder}")
    free = shutil.disk_usage(folder).free // 1_000_000
    if free < LOW_DISK_MB:
        yield Finding("bad", f"{free} MB are free for records, at least {LOW_DISK_MB} are wanted", "make room")
    else:
        yield Finding("good", f"{free:,} MB are free for records")


def _permissions(project: Project) -> Iterator[Finding]:
    path = project.root / ".env"
    if path.exists():
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            yield Finding("bad", f".env can be read by others (mode {mode:o})", f"chmod 600 {path}")
        else:
            yield Finding("good", ".env is its owner's alone")


def _services(project: Project) -> Iterator[Finding]:
    if project.services is None:
        yield Finding("note", "pyproject.toml names no services: steps can't ask for brokers or quotes")
        return
    FunctionTable(project.root)
    module, _, name = project.services.partition(":")
    try:
        found = getattr(importlib.import_module(module), name, None)
    except Exception as error:  # noqa: BLE001 - somebody else's module; whatever it raises is the finding
        yield Finding("bad", f"services {project.services} do not import: {type(error).__name__}: {error}")
        return
    if callable(found):
        yield Finding("good", f"services {project.services} are there")
    else:
        yield Finding("bad", f"services: {module} has no function {name!r}", "mend [tool.aurora] services")


def _runbooks(project: Project) -> Iterator[Finding]:
    names = project.names()
    faults = lint_names(project, names, FunctionTable(project.root))
    if faults:
        yield Finding("bad", f"{len(faults)} fault{'s' if len(faults) > 1 else ''} in the runbooks", "invoke lint")
    else:
        yield Finding("good", f"{len(names)} runbooks have no faults")
    for name in profile_names(project):
        try:
            load_profile(project, name)
        except RunbookError as error:
            yield Finding("bad", f"the profile {name} has {len(error.faults)} faults", "invoke lint")


def _unfinished(project: Project) -> Iterator[Finding]:
    for run_id, record in records(project):
        if isinstance(record, AuroraError):
            yield Finding("bad", f"{run_id}: {record.what}", record.todo)
        elif record.state.outcome is None:
            held = ", ".join(record.state.opened["locks"])
            alive = holder_of(project.runs / ".locks", f"run:{run_id}")
            if alive:
                yield Finding("note", f"{run_id} is running (process {alive})")
            else:
                yield Finding("note", f"{run_id} is not finished, and blocks {held}",
                              f"invoke resume {run_id}   or   invoke cancel {run_id} --reason …")  # fmt: skip


def _witness(project: Project) -> Iterator[Finding]:
    for line in unsent(project):
        yield Finding("bad" if line.startswith("ALARM") else "note", line, "invoke announce")
    if project.witness is None:
        yield Finding("note", "no git witness: heads of the ledger leave this machine only in alerts",
                      'name one: witness = "URL" in [tool.aurora] of pyproject.toml')  # fmt: skip
