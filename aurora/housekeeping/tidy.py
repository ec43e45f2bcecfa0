"""Housekeeping: old logs are rotated and removed, old runs archived whole; what is sealed is never thinned.

    sweep what a killed one left → look what is old, or over the disk's budget → archive, rotate, remove

Nothing else is ever touched: order journals, lockouts, the ledger and runs that are not sealed stay.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from aurora.clock import Clock
from aurora.engine.records import STAMP_LENGTH
from aurora.errors import AuroraError, LockHeld, UsageError
from aurora.evidence import archive
from aurora.evidence.keys import key_path
from aurora.evidence.ledger import LedgerText, read_ledger_text
from aurora.evidence.verification import verify

MEGABYTE = 1_000_000
LOCKS = ".locks"
YOUNGEST = timedelta(days=1)
"""A younger run is archived for no budget: evidence of the day is looked for in its folder."""


@dataclass(frozen=True)
class Item:
    """One thing that goes, or would. what: archive, rotate or remove. path: relative to the project."""

    what: str
    path: str
    bytes: int
    why: str


@dataclass(frozen=True)
class Tidied:
    """What housekeeping did, or would do. Sizes in megabytes (10^6 bytes).

    gone:       a line each of what was archived, rotated and removed.
    kept:       what is old and stays, and why.
    failed:     what could not be done, and why.
    used_mb:    what runs/ and logs/ take afterwards (before, when nothing was done). over_budget: that is too much.
    """

    gone: list[str]
    kept: list[str]
    failed: list[str]
    used_mb: int
    budget_mb: int
    over_budget: bool


@dataclass(frozen=True)
class Rules:
    """How long things stay (days), and how much disk they may take (megabytes; 0: no bound)."""

    keep_days: int
    budget_mb: int = 0

    def __post_init__(self) -> None:
        if self.keep_days < 1 or self.budget_mb < 0:
            raise UsageError(
                f"Housekeeping was asked to keep {self.keep_days} days and {self.budget_mb} MB.",
                means="nothing was touched",
                todo="keep 1 day at least; a budget of 0 is none",
            )


def look(project: Path, rules: Rules, clock: Clock) -> Tidied:
    """Return what `tidy` would do now; nothing is touched."""
    items, kept = _plan(project, rules, clock.now())
    return _summary(project, rules, [_line(item, "would ") for item in items], kept, [])


def tidy(project: Path, rules: Rules, clock: Clock, on_item: Callable[[str], None] = lambda _: None) -> Tidied:
    """Archive, rotate and remove what is old. One that fails keeps no other from going.

    Raises LockHeld when another process is at it.
    """
    with _alone(project / "runs"):
        with contextlib.suppress(OSError):
            archive.sweep(project / "runs")
        items, kept = _plan(project, rules, clock.now())
        gone, failed = [], []
        for item in items:
            try:
                _do(project, item, clock)
            except (AuroraError, OSError) as error:
                what = error.what if isinstance(error, AuroraError) else f"{item.path}: {error.strerror}"
                failed.append(what)
                on_item(f"not done: {what}")
            else:
                gone.append(_line(item))
                on_item(gone[-1])
    return _summary(project, rules, gone, kept, failed)


def _plan(project: Path, rules: Rules, now: datetime) -> tuple[list[Item], list[str]]:
    oldest = now - timedelta(days=rules.keep_days)
    runs, kept = _old_runs(project / "runs", oldest, f"older than {rules.keep_days} days")
    items = [*runs, *_logs(project / "logs", oldest.date(), now.date()), *_leavings(project / "runs", oldest)]
    if rules.budget_mb:
        items += _over_budget(project, rules, items, now)
    return items, kept


def _old_runs(runs: Path, oldest: datetime, why: str) -> tuple[list[Item], list[str]]:
    """Return the sealed runs begun before `oldest`, in order, and why the others of that age stay."""
    ledger = read_ledger_text(runs)
    items, kept = [], []
    for folder in _folders(runs):
        begun = _begun(folder.name)
        if begun is None or begun >= oldest:
            continue
        if reason := _stays(ledger, folder.name):
            kept.append(f"runs/{folder.name}: {reason}")
        else:
            items.append(Item("archive", f"runs/{folder.name}", _size(folder), why))
    return items, kept


def _stays(ledger: LedgerText, run: str) -> str:
    if run not in ledger.opened:
        return "the ledger knows no such run"
    return "" if run in ledger.sealed else "it is not sealed; it was not finished, or can't be sealed"


def _logs(logs: Path, oldest: date, today: date) -> Iterator[Item]:
    for path in sorted(logs.glob("*.log")) if logs.is_dir() else ():
        rotated = _day_of(path)
        if rotated is not None and rotated < oldest:
            yield Item("remove", f"logs/{path.name}", path.stat().st_size, f"rotated on {rotated}")
        elif rotated is None and path.stat().st_size and not _rotated(path, today).exists():
            yield Item("rotate", f"logs/{path.name}", path.stat().st_size, f"to {_rotated(path, today).name}")


def _leavings(runs: Path, oldest: datetime) -> Iterator[Item]:
    for path in sorted(runs.glob("bug-*.txt")):
        if path.is_file() and path.stat().st_mtime < oldest.timestamp():
            yield Item("remove", f"runs/{path.name}", path.stat().st_size, "a trace of a bug")


def _over_budget(project: Path, rules: Rules, items: Sequence[Item], now: datetime) -> Iterator[Item]:
    """Yield more runs, the oldest first, until what stays is inside the budget; archives are never given up."""
    going = {item.path for item in items}
    excess = _used(project) - rules.budget_mb * MEGABYTE - sum(item.bytes for item in items if item.what != "rotate")
    more, _ = _old_runs(project / "runs", now - YOUNGEST, f"over the budget of {rules.budget_mb} MB")
    for item in more:
        if excess > 0 and item.path not in going:
            excess -= item.bytes
            yield item


def _do(project: Path, item: Item, clock: Clock) -> None:
    path = project / item.path
    if item.what == "archive":
        _archive(project, path, clock)
    elif item.what == "rotate":
        path.rename(_rotated(path, clock.now().date()))
    else:
        path.unlink(missing_ok=True)


def _archive(project: Path, folder: Path, clock: Clock) -> None:
    locks = folder.parent / LOCKS
    with _held(locks / f"run:{folder.name}.lock", f"The run {folder.name} is at work."):
        wrong = [found for found in verify(folder.parent, [folder.name], renders=False).findings if not found.is_note]
        if wrong:
            raise LockHeld(f"The run {folder.name} stays as it is: {wrong[0]}")
        archive.archive_run(folder, key_path(project), clock.now())
        for name in (f"run:{folder.name}.lock", f"working:{folder.name}.lock"):  # nobody can resume it any more
            (locks / name).unlink(missing_ok=True)


@contextlib.contextmanager
def _alone(runs: Path) -> Iterator[None]:
    if not runs.is_dir():
        yield
        return
    with _held(runs / LOCKS / "housekeeping.lock", "Another housekeeping is at work."):
        yield


@contextlib.contextmanager
def _held(path: Path, busy: str) -> Iterator[None]:
    path.parent.mkdir(exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockHeld(busy, means="it was left alone", todo="try again when it is done") from None
        yield
    finally:
        os.close(descriptor)


def _folders(runs: Path) -> list[Path]:
    if not runs.is_dir():
        return []
    with os.scandir(runs) as entries:
        return sorted(runs / entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))


def _begun(run: str) -> datetime | None:
    try:
        return datetime.strptime(run[:STAMP_LENGTH], "%Y-%m-%dT%H%M%S.%fZ").replace(tzinfo=UTC)
    except ValueError:
        return None


def _rotated(path: Path, day: date) -> Path:
    return path.with_name(f"{path.stem}-{day}.log")


def _day_of(path: Path) -> date | None:
    try:
        return date.fromisoformat(path.stem[-len("2026-01-01") :]) if "-" in path.stem else None
    except ValueError:
        return None


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # others write and remove meanwhile
            state = path.lstat()
            total += state.st_size if path.is_file() else 0
    return total


def _used(project: Path) -> int:
    return sum(_size(project / name) for name in ("runs", "logs"))


def _line(item: Item, would: str = "") -> str:
    done = {"archive": "archived", "rotate": "rotated", "remove": "removed"}[item.what]
    return f"{would + item.what if would else done} {item.path}, {item.bytes} bytes: {item.why}"


def _summary(project: Path, rules: Rules, gone: list[str], kept: list[str], failed: list[str]) -> Tidied:
    used = _used(project)
    over = bool(rules.budget_mb) and used > rules.budget_mb * MEGABYTE
    return Tidied(gone, kept, failed, used // MEGABYTE, rules.budget_mb, over)
