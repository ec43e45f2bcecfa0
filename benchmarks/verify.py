"""Verify: many sealed runs at once, beside hashing the same files; and sealing one."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from aurora.clock import SystemClock, iso
from aurora.evidence import signing, statement
from aurora.evidence.files import write_reports
from aurora.evidence.keys import key_path
from aurora.evidence.ledger import Ledger
from aurora.evidence.sealing import first_line, seal_run
from aurora.evidence.verification import verify
from aurora.journal import FIRST, line_of
from benchmarks.measure import Case, Figure, Group, Size, in_turns
from benchmarks.project import AURORA, Bench, bench, written_step

BUDGET_S = 5.0
FLOOR = "SHA-256 of every file"
STEPS = 10


def measure(size: Size) -> Group:
    """Verify them all, and seal one more."""
    return _measure(size, [size.sealed_runs])


def measure_growth(size: Size) -> Group:
    """Measure the same with ten times the runs, for a night: what grows faster than its floor shows."""
    return _measure(size, [size.sealed_runs, 10 * size.sealed_runs])


def _measure(size: Size, counts: Sequence[int]) -> Group:
    figures = []
    for count in counts:
        with bench(size) as project:
            runs = _sealed_runs(project, count)
            cases: list[Case] = [
                lambda runs=runs: {FLOOR: _hash(runs)},  # type: ignore[misc]
                lambda runs=runs, count=count: {"all": _verify(runs, count)},  # type: ignore[misc]
                lambda runs=runs, project=project: {"seal": _seal(runs, project)},  # type: ignore[misc]
            ]
            values = in_turns(cases, size)
        most = BUDGET_S if count == 1_000 else None
        figures += [
            Figure(f"{FLOOR} of {count:,} runs", "s", values[FLOOR]),
            Figure(f"verify {count:,} runs", "s", values["all"], values[FLOOR], most),
            Figure(f"seal one more after {count:,}", "s", values["seal"]),
        ]
    return Group(f"signed records, runs of {STEPS} steps", figures)


def _sealed_runs(project: Bench, count: int) -> Path:
    """Copy one real run under many names, each with evidence and signature of its own, in one ledger."""
    project.book("sealed", [written_step(number) for number in range(STEPS)])
    project.call([*AURORA, "runbook", "sealed"])
    runs, key = project.project.runs, key_path(project.root)
    (model,) = runs.glob("2*")
    lines: list[bytes] = []
    for number in range(count):
        folder = runs / f"3000-01-01T{number:06}.000Z-sealed"
        shutil.copytree(model, folder)
        head = _line(lines, "run.opened", {"run": folder.name, "journal": first_line(folder)})
        evidence = statement.build_statement(folder, {"seq": len(lines), "sha256": head})
        signature = signing.sign(evidence, key, signing.RUN)
        (folder / statement.FILE).write_bytes(evidence)
        (folder / statement.SIGNATURE).write_bytes(signature)
        data = {"run": folder.name, "outcome": "green", "runbooks": ["sealed"]}
        digests = {"evidence": hashlib.sha256(evidence).hexdigest(), "signature": hashlib.sha256(signature).hexdigest()}
        _line(lines, "run.sealed", {**data, **digests})
    shutil.rmtree(model)
    raw = b"".join(lines)
    (runs / "ledger.jsonl").write_bytes(raw)
    (runs / "ledger.jsonl.sig").write_bytes(signing.sign(raw, key, signing.LEDGER))
    return runs


def _line(lines: list[bytes], type_: str, data: dict[str, object]) -> str:
    prev = hashlib.sha256(lines[-1]).hexdigest() if lines else FIRST
    lines.append(line_of(len(lines) + 1, prev, iso(SystemClock().now()), type_, data))
    return hashlib.sha256(lines[-1]).hexdigest()


def _hash(runs: Path) -> float:
    clock = time.perf_counter()
    for folder, _, names in os.walk(runs):
        for name in names:
            hashlib.sha256((Path(folder) / name).read_bytes()).hexdigest()
    return time.perf_counter() - clock


def _verify(runs: Path, count: int) -> float:
    clock = time.perf_counter()
    result = verify(runs)
    seconds = time.perf_counter() - clock
    if not result.is_good or len(result.whole) < count:
        raise RuntimeError(f"what was sealed does not verify: {result.findings[:3]}")
    return seconds


def _seal(runs: Path, project: Bench) -> float:
    """Seal a finished run: its reports, statement, signature and line in the ledger."""
    clock, key = SystemClock(), key_path(project.root)
    folder = runs / f"3001-01-01T{time.monotonic_ns()}Z-sealed"
    shutil.copytree(next(runs.glob("3000*")), folder)
    for name in (statement.FILE, statement.SIGNATURE):
        (folder / name).unlink()
    with Ledger.locked(runs, key) as ledger:
        ledger.append("run.opened", {"run": folder.name, "journal": first_line(folder)}, clock.now())
    start = time.perf_counter()
    write_reports(folder)
    seal_run(folder, key, clock.now())
    return time.perf_counter() - start
