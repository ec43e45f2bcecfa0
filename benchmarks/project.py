"""A project made for measuring: generated runbooks, steps that do nothing, and Aurora's programs started in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from aurora.engine.project import Project
from aurora.journal import Event, read_journal
from benchmarks.measure import Size

ROOT = Path(__file__).resolve().parent.parent
AURORA = [sys.executable, "-c", "from aurora.commands.main import entry; entry()"]
INVOKE = [sys.executable, "-m", "invoke"]

STEPS = '''
    """Steps that do nothing, so that what is measured is the engine."""

    import os
    import re
    import time
    from dataclasses import dataclass
    from pathlib import Path

    from aurora.engine.registry import step

    @dataclass(frozen=True)
    class Out:
        n: int

    @dataclass(frozen=True)
    class Numbers:
        numbers: list[int]

    @dataclass(frozen=True)
    class Called:
        at: float

    @dataclass(frozen=True)
    class Peaks:
        worker: float
        warden: float

    @step(repeat="safe")
    def noop() -> None:
        """Do nothing."""

    @step(repeat="safe")
    def pass_on(n: int = 1, text: str = "") -> Out:
        """Return what was given."""
        return Out(n)

    @step(repeat="safe")
    def count(to: int) -> Numbers:
        """Return 0, 1, 2, …"""
        return Numbers(list(range(to)))

    @step(repeat="safe")
    def called() -> Called:
        """Return the time of the call."""
        return Called(time.time())

    @step(repeat="safe")
    def peaks() -> Peaks:
        """Return the peaks, in MiB, of this worker and of its parent, the warden."""
        return Peaks(peak("self"), peak(str(os.getppid())))

    def peak(process: str) -> float:
        text = Path(f"/proc/{process}/status").read_text()
        return int(re.search(r"VmHWM:\\s+(\\d+)", text)[1]) / 1024
'''
PROFILE = "mode: paper\nvenue: simulated\nlimit: 400\n" + "".join(
    f"part{number}: {{most: {number}.5, least: 0.01, unit: share, names: [SPY, TSLA]}}\n" for number in range(10)
)
FILES = {
    "steps/bench.py": textwrap.dedent(STEPS).lstrip(),
    "profiles/base.yaml": PROFILE,
    "tasks.py": "from aurora.commands.invoke_bridge import collection\n\nnamespace = collection()\n",
}


@dataclass(frozen=True)
class Ended:
    """A command that has ended: when it was started (seconds since 1970), how long it took, and what it printed."""

    started: float
    seconds: float
    output: str


class Bench:
    """A project in `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.project = Project(root)

    def write(self, name: str, text: str) -> Path:
        """Write a file of the project."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path

    def book(self, name: str, steps: Sequence[str]) -> Path:
        """Write a runbook; each step is its YAML without the dash, indented from its second line on."""
        return self.write(f"runbooks/{name}.yaml", f"runbook: {name}\nsteps:\n" + "".join(f"  - {s}\n" for s in steps))

    def call(self, command: Sequence[str], *, codes: Sequence[int] = (0,)) -> Ended:
        """Run a command here to its end. Raises RuntimeError when it exits with none of `codes`."""
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
        # Into a file: the reader of a pipe would wake at each line and take a processor from what is measured.
        with tempfile.TemporaryFile("w+") as output:
            started, clock = time.time(), time.perf_counter()
            process = subprocess.run(
                command,
                cwd=self.root,
                env={**kept, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
            seconds = time.perf_counter() - clock
            output.seek(0)
            printed = output.read()
        if process.returncode not in codes:
            raise RuntimeError(f"{' '.join(command[1:])} exited with {process.returncode}:\n{printed[-2000:]}")
        return Ended(started, seconds, printed)

    def events(self) -> tuple[Event, ...]:
        """Return the events of the newest run."""
        newest = max(self.project.runs.glob("2*"), key=lambda folder: folder.stat().st_mtime_ns)
        return read_journal(newest / "journal.jsonl").events


def noops(count: int) -> list[str]:
    """Return steps that do nothing."""
    return [f"{{id: s{number}, uses: bench.noop}}" for number in range(count)]


def written_step(number: int) -> str:
    """Return a step such as people write: an argument from the step before, a gate, now and then needs and retry."""
    before = max(number - 1, 0)
    lines = [f"id: s{number}", f"title: The step {number}", "uses: bench.pass_on"]
    if number:
        lines.append(f'with: {{n: "{{{{ steps.s{before}.n }}}}", text: "after {before}"}}')
        lines.append(f"gate: n == steps.s{before}.n and n < profile.limit")
    if number % 10 == 9:
        lines.append(f"needs: [s{before}, s{number - 5}]")
        lines.append("retry: {max_attempts: 3, delay: 1s}")
    return "\n    ".join(lines)


@contextmanager
def bench(size: Size) -> Iterator[Bench]:
    """Make a project of no-op steps, there for as long as the block runs."""
    with _empty(size) as project:
        for name, text in FILES.items():
            project.write(name, text)
        yield project


@contextmanager
def shipped(size: Size) -> Iterator[Bench]:
    """Copy Aurora's own runbooks, steps and profiles into a project that is there for as long as the block runs."""
    with _empty(size) as project:
        for name in ("runbooks", "steps", "profiles"):
            shutil.copytree(ROOT / name, project.root / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("tasks.py", "pyproject.toml"):
            shutil.copy(ROOT / name, project.root)
        yield project


@contextmanager
def _empty(size: Size) -> Iterator[Bench]:
    size.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".benchmark-", dir=size.folder) as folder:
        yield Bench(Path(folder).resolve())
