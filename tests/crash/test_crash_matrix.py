"""The crash matrix: SIGKILL a real engine at every journal write, resume, and compare with a run that nobody disturbed.

The engine runs from a driver script that wraps the journal's own write: it kills its own process before the write, in
the middle of it (a torn line on disk), after it but before the sync, or after both. Production code has no such hook.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from aurora.engine.state import RunState
from aurora.journal import read_journal

ROOT = Path(__file__).resolve().parents[2]
LEGS = 8
"""A run that is not over after so many resumes never will be."""

STEPS = """
import os
from dataclasses import dataclass
from pathlib import Path

from aurora.engine.context import Context
from aurora.engine.registry import Verdict, step

@dataclass(frozen=True)
class Out:
    n: int

def effects(context: Context) -> list[str]:
    path = context.project / "effects.txt"
    return path.read_text().split() if path.exists() else []

def looked_up(context: Context, n: int) -> Verdict:
    done = any(line.startswith(f"{context.step}:") for line in effects(context))
    return Verdict("done", Out(n)) if done else Verdict("not_done")

@step(verify=looked_up)
def once(context: Context, n: int) -> Out:
    descriptor = os.open(context.project / "effects.txt", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(descriptor, f"{context.step}:{context.attempt}\\n".encode())
    os.close(descriptor)
    return Out(n)

@step(repeat="safe")
def safe(n: int) -> Out:
    return Out(n + 1)

@step(repeat="safe")
def flaky(context: Context) -> Out:
    if context.attempt == 1:
        raise ConnectionError("the first time fails")
    return Out(1)
"""

BOOK = """
runbook: book
steps:
  - {id: first, uses: w.safe, with: {n: 1}, gate: n == 2}
  - {id: left, needs: [first], uses: w.once, with: {n: 5}}
  - {id: right, needs: [first], uses: w.flaky, retry: {max_attempts: 9, delay: 1ms}}
  - {id: each, needs: [left, right], uses: w.once, foreach: [1, 2], as: k, with: {n: "{{ k }}"}}
  - {id: sub, runbook: inner, with: {n: "{{ steps.left.n }}"}, gate: deed.n == 5}
  - {id: last, gate: steps.each.items | length == 2}
finally:
  - {id: bye, uses: w.once, with: {n: 9}}
"""

INNER = """
runbook: inner
params: {n: {type: integer}}
steps:
  - {id: deed, uses: w.once, with: {n: "{{ params.n }}"}}
  - {id: check, uses: w.safe, with: {n: 0}}
finally:
  - {id: tidy, uses: w.safe, with: {n: 1}}
"""

DRIVER = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
moment, number = sys.argv[2], int(sys.argv[3])
from aurora.journal import Journal
import aurora.journal as journal
plain_write, plain_sync, count = Journal._write, journal._sync, 0

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def write(self, raw, sync):
    global count
    count += 1
    if count == number:
        if moment == "before":
            die()
        if moment == "torn":
            os.write(self._descriptor, raw[: len(raw) // 2])
            die()
        if moment == "unsynced":
            journal._sync = lambda descriptor: die()
    plain_write(self, raw, sync)
    journal._sync = plain_sync
    if count == number:
        die()

if number:
    Journal._write = write
from aurora.commands.main import main
sys.exit(main(sys.argv[4:]))
"""


@dataclass(frozen=True)
class Lab:
    """A project of its own, and the engine in it."""

    root: Path

    def engine(self, moment: str, number: int, *words: str) -> int:
        """Run the engine; it kills itself at write `number` (0: never). Return its exit status."""
        program = [sys.executable, "-c", DRIVER, str(ROOT), moment, str(number), *words]
        done = subprocess.run(
            program,
            cwd=self.root,
            env={**os.environ, "CI": "true"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode

    def journal(self) -> Path:
        """Return the journal of the only run."""
        (path,) = self.root.glob("runs/2*/journal.jsonl")
        return path

    def end(self) -> dict[str, object]:
        """Return what a run comes to: outcome, and each step's status and outputs."""
        state = RunState.of(read_journal(self.journal()).events)
        steps = {name: [step.status, step.outputs] for name, step in state.steps.items() if step.status != "pending"}
        return {"outcome": state.outcome, "exit": state.exit_code, "steps": steps}

    def deeds(self) -> list[str]:
        """Return the steps that acted on the world, in no order."""
        return sorted(line.split(":")[0] for line in (self.root / "effects.txt").read_text().split())


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """Return a fresh project."""
    return make_lab(tmp_path)


def make_lab(root: Path) -> Lab:
    """Write the project into `root`."""
    for folder in ("runbooks", "steps", "profiles"):
        (root / folder).mkdir(parents=True)
    (root / "steps/w.py").write_text(STEPS)
    (root / "runbooks/book.yaml").write_text(BOOK)
    (root / "runbooks/inner.yaml").write_text(INNER)
    (root / "profiles/base.yaml").write_text("mode: paper\nvenue: simulated\n")
    return Lab(root)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, object], int]:
    """Return the end of a run that nobody disturbed, and how many lines its journal has."""
    lab = make_lab(tmp_path_factory.mktemp("calm"))
    assert lab.engine("never", 0, "runbook", "book") == 0
    end = lab.end()
    assert end["outcome"] == "green"
    assert lab.deeds() == ["bye", "each[0]", "each[1]", "left", "sub/deed"]
    return end, len(read_journal(lab.journal()).events)


MOST = 29
"""The undisturbed run writes this many lines at most; `test_the_matrix_covers_every_write` holds it to that."""

POINTS = [("torn" if number % 2 else "unsynced", number) for number in range(1, MOST + 1)]
MOMENTS = ("before", "torn", "unsynced", "after")
DENSE = [(moment, number) for number in range(1, MOST + 1) for moment in MOMENTS if (moment, number) not in POINTS]


def test_the_matrix_covers_every_write(undisturbed: tuple[dict[str, object], int]) -> None:
    """Each journal line of the undisturbed run is a point of the matrix."""
    assert 25 <= undisturbed[1] <= MOST


def kill_and_resume(lab: Lab, undisturbed: tuple[dict[str, object], int], moment: str, number: int) -> None:
    """Kill at one point, resume until the run is over, and hold everything against the undisturbed run."""
    code = lab.engine(moment, number, "runbook", "book")
    if code == 0:
        assert number > undisturbed[1] - 2  # parallel branches can save a line or two, never more
        return
    assert code == -signal.SIGKILL
    found = list(lab.root.glob("runs/2*/journal.jsonl"))
    before = read_journal(found[0]).events if found else ()
    if not before:
        assert not (lab.root / "effects.txt").exists()  # nothing was announced, so nothing was done
        return
    for _ in range(LEGS):
        if before and read_journal(lab.journal()).events[-1].type == "run.finished":
            break
        assert lab.engine("never", 0, "resume", "last") in (0, 2)
    compare(lab, undisturbed, before)


def compare(lab: Lab, undisturbed: tuple[dict[str, object], int], before: tuple[object, ...]) -> None:
    """Same end state, no deed twice, no event lost, nobody left alive."""
    assert lab.end() == undisturbed[0]
    assert lab.deeds() == ["bye", "each[0]", "each[1]", "left", "sub/deed"]
    events = read_journal(lab.journal()).events
    assert events[: len(before)] == before
    end = time.monotonic() + 20
    while alive(lab) and time.monotonic() < end:
        time.sleep(0.05)
    assert not alive(lab)


def alive(lab: Lab) -> list[str]:
    """Return the processes that work in the lab's folder."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and (process / "cwd").readlink() == lab.root:
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


@pytest.mark.parametrize(("moment", "number"), POINTS, ids=str)
def test_a_killed_engine_goes_on(
    lab: Lab, undisturbed: tuple[dict[str, object], int], moment: str, number: int
) -> None:
    """Engine rules 18, 20: killed in the middle of a write or before its sync, a resume ends as if nothing had been."""
    kill_and_resume(lab, undisturbed, moment, number)


@pytest.mark.nightly
@pytest.mark.parametrize(("moment", "number"), DENSE, ids=str)
def test_a_killed_engine_goes_on_from_everywhere(
    lab: Lab, undisturbed: tuple[dict[str, object], int], moment: str, number: int
) -> None:
    """The same at every other moment of every write: before it, torn, before its sync, after both."""
    kill_and_resume(lab, undisturbed, moment, number)


def test_an_engine_killed_again_and_again_gets_there(lab: Lab, undisturbed: tuple[dict[str, object], int]) -> None:
    """Killed in the sixth write of every leg, the run still ends the same, and no deed is done twice."""
    assert lab.engine("torn", 6, "runbook", "book") == -signal.SIGKILL
    for _ in range(30):
        lab.engine("torn", 6, "resume", "last")
        events = read_journal(lab.journal()).events
        if events and events[-1].type == "run.finished":
            break
    compare(lab, undisturbed, ())
    assert json.loads(json.dumps(lab.end())) == lab.end()
