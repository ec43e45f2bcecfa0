"""Workers, their wardens and the engine, killed alone and together while a step runs (engine rules 17 and 18)."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from aurora.engine.state import RunState
from tests.crash.matrix import Case, Driver
from tests.engine.kit import Lab, processes_in, wait_until

STEPS = '''
"""Steps that are shot while they run, once. What a step did is a line in effects.txt."""

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from aurora.engine.context import Context
from aurora.engine.registry import Verdict, step
from steps.lab import act, acts

@dataclass(frozen=True)
class Sent:
    ok: bool

def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])

def shoot(context: Context, script: str, stay: bool = True) -> None:
    """Have somebody shoot, the first time; stay until the bullet comes, or go home when no one is left to shoot."""
    if "shot" in acts(context):
        return
    act(context, "shot")
    worker, warden = os.getpid(), os.getppid()
    engine = parent(warden)
    names = {"worker": worker, "warden": warden, "engine": engine}
    subprocess.Popen(["sh", "-c", script.format(**names)], start_new_session=True, cwd="/")
    end = time.monotonic() + 30
    while stay and time.monotonic() < end and (os.getppid() == warden or "engine" not in script or lives(engine)):
        time.sleep(0.005)
    if stay:
        time.sleep(0.2)
        os._exit(0)

def lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()

def die(context: Context, script: str, moment: str) -> Sent:
    """Be shot at the beginning, in the middle (the effect is there) or at the end of the step."""
    if moment == "beginning":
        shoot(context, script)
    act(context, f"{context.token} never")
    if moment == "middle":
        shoot(context, script)
    if moment == "end":
        shoot(context, script, stay=False)
    return Sent(True)

def look(context: Context, script: str, moment: str) -> Verdict:
    done = f"{context.token} never" in acts(context)
    return Verdict("done", Sent(True)) if done else Verdict("not_done")

@step(verify=look)
def verified(context: Context, script: str, moment: str) -> Sent:
    return die(context, script, moment)

@step()
def blind(context: Context, script: str, moment: str) -> None:
    die(context, script, moment)

@step(repeat="safe")
def safe(context: Context, script: str, moment: str) -> Sent:
    return die(context, script, moment)
'''
BOOK = """
runbook: book
lock: desk
steps:
  - {{id: mortal, uses: mortal.{kind}, with: {{script: "{script}", moment: {moment}}}{more}}}
  - {{id: next, uses: lab.work}}
finally:
  - {{id: bye, uses: lab.work}}
"""
ALONE = {
    "worker": "kill -9 {worker}",
    "warden first": "kill -9 {warden}",
    "warden last": "kill -STOP {warden}; kill -9 {worker}; sleep 0.05; kill -9 {warden}",
    "both": "kill -9 {worker} {warden}",
}
WITH_ENGINE = {
    "engine": "kill -9 {engine}",
    "engine and warden": "kill -9 {engine} {warden}",
    "engine and worker": "kill -9 {engine} {worker}",
    "all": "kill -9 {engine} {warden} {worker}",
}
KINDS = ("verified", "blind", "safe")
MOMENTS = ("beginning", "middle")


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    """The process that forks engines."""
    driver = Driver()
    yield driver
    driver.close()


def shot(driver: Driver, folder: Path, kind: str, script: str, moment: str) -> tuple[Case, int]:
    """Run a book whose first step is shot; return the case and how its engine ended."""
    lab = Lab(folder / "template")
    lab.steps("mortal", STEPS)
    more = ", retry: {max_attempts: 2, delay: 1ms}" if kind == "safe" else ""
    lab.write("runbooks/book.yaml", BOOK.format(kind=kind, script=script, moment=moment, more=more))
    lab.write("answers.yaml", "{}")
    case = Case(driver, lab.root, folder / "project")
    return case, driver.engine("run", case.root)


@pytest.mark.parametrize(("kind", "moment", "who"), list(itertools.product(KINDS, MOMENTS, ALONE)))
def test_step_whose_worker_is_shot(driver: Driver, tmp_path: Path, kind: str, moment: str, who: str) -> None:
    """Whoever dies, a safe step runs again; another never does: verify says what it did, or nobody knows."""
    case, status = shot(driver, tmp_path, kind, ALONE[who], moment)
    state = RunState.of(case.events)
    acted = 1 if moment == "middle" else 0
    wanted = {
        "verified": ("passed" if acted else "broken", acted),
        "blind": ("unknown", acted),
        "safe": ("passed", acted + 1),
    }
    assert status == 0
    assert (state.steps["mortal"].status, case.count("mortal")) == wanted[kind]
    assert state.outcome == ("green" if wanted[kind][0] == "passed" else "broken")
    assert state.steps["bye"].status == "passed"
    wait_until(lambda: not processes_in(case.root), 10, "the end of all workers")


@pytest.mark.parametrize(("kind", "who"), list(itertools.product(("verified", "safe"), ALONE)))
def test_step_whose_worker_is_shot_at_its_end(driver: Driver, tmp_path: Path, kind: str, who: str) -> None:
    """A shot that comes as the step ends hits it or the one after it: no run fails of it, and none acts twice."""
    case, status = shot(driver, tmp_path, kind, ALONE[who], "end")
    state = RunState.of(case.events)
    assert status == 0
    assert state.steps["mortal"].status == "passed"
    assert case.count("mortal") in ((1, 2) if kind == "safe" else (1,))
    assert state.steps["bye"].status == "passed"
    wait_until(lambda: not processes_in(case.root), 10, "the end of all workers")


@pytest.mark.parametrize(("kind", "moment", "who"), list(itertools.product(KINDS, MOMENTS, WITH_ENGINE)))
def test_step_whose_engine_is_shot(driver: Driver, tmp_path: Path, kind: str, moment: str, who: str) -> None:
    """When the engine dies too, a resume waits for the worker's end, finds out what it did, and does only the rest."""
    case, status = shot(driver, tmp_path, kind, WITH_ENGINE[who], moment)
    assert status == -signal.SIGKILL
    settle = {"mortal": "done" if moment == "middle" else "not_done"} if kind == "blind" else {}
    assert driver.engine("resume", case.root, settle=settle) == 0
    state = RunState.of(case.events)
    assert (state.outcome, state.steps["mortal"].status) == ("green", "passed")
    assert case.count("mortal") == (2 if (kind, moment) == ("safe", "middle") else 1)
    wait_until(lambda: not processes_in(case.root), 10, "the end of all workers")
