"""The runbooks that the crash matrix kills, and what must be true of them afterwards."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Protocol

from aurora.engine.project import Project
from aurora.engine.records import run_ids
from aurora.engine.state import RunState
from aurora.journal import Event, read_journal
from tests.engine.kit import ROOT, Lab, processes_in, wait_until

DRIVER = Path(__file__).with_name("driver.py")
NO_ORDERS: dict[str, Any] = {"settle": {}, "after": None, "back": 0, "jump": 0}
POINTS = ("before", "torn", "written", "synced")

STEPS = '''
"""Each step's effect is a line in effects.txt, written at once with O_APPEND, as a venue would take an order."""

import time
from dataclasses import dataclass
from aurora.engine.context import Context
from aurora.engine.registry import Verdict, step
from steps.lab import Out, act, acts

@dataclass(frozen=True)
class Sent:
    n: int

def look(context: Context, n: int) -> Verdict:
    """Ask the venue, by the idempotency key of the attempt that nobody knows the end of."""
    if f"{context.token} never {n}" in acts(context):
        return Verdict("done", Sent(n))
    return Verdict("not_done")

@step(verify=look)
def send(context: Context, n: int) -> Sent:
    act(context, f"{context.token} never {n}")
    return Sent(n)

@step()
def tell(context: Context) -> None:
    """No outputs and no verify: a person has to say what became of it."""
    act(context, f"{context.token} never")

@step(verify=look)
def linger(context: Context, n: int) -> Sent:
    """Stay until another step has failed."""
    act(context, f"{context.token} never {n}")
    wait_for_line(context, "shot")
    time.sleep(0.05)
    return Sent(n)

@step(repeat="safe")
def shoot(context: Context) -> None:
    """Fail while another step is running."""
    wait_for_line(context, "never")
    act(context, f"{context.step} shot")
    raise RuntimeError("kaput")

def wait_for_line(context: Context, word: str) -> None:
    end = time.monotonic() + 20
    while not any(word in line for line in acts(context)) and time.monotonic() < end:
        time.sleep(0.005)

@step(repeat="safe")
def flaky(context: Context) -> Out:
    """Fail once, whatever number the attempt has."""
    act(context, f"{context.step} flaky")
    if acts(context).count(f"{context.step} flaky") == 1:
        raise ConnectionError("once")
    return Out(7)
'''

BOOKS = {
    "green": """
lock: desk
steps:
  - {id: a, uses: matrix.send, with: {n: 1}, gate: n == 1}
  - {id: left, needs: [a], uses: matrix.flaky, retry: {max_attempts: 4, delay: 1ms}, gate: n == 7}
  - {id: right, needs: [a], uses: matrix.tell}
  - {id: q, needs: [a], uses: matrix.send, foreach: [1, 2], with: {n: "{{ item }}"}, gate: n == item}
  - {id: s, needs: [left, right, q], runbook: inner, with: {n: "{{ steps.q.items[1].n }}"}}
  - {id: sure, confirm: Sure?}
  - {id: last, if: 1 == 2, uses: lab.work}
finally:
  - {id: bye, uses: matrix.send, with: {n: 9}}
""",
    "red": """
lock: desk
steps:
  - {id: a, uses: matrix.send, with: {n: 1}, gate: n == 2, on_failure: {runbook: inner, with: {n: 5}}}
  - {id: b, uses: matrix.send, with: {n: 3}}
finally:
  - {id: eod, runbook: inner, with: {n: 6}}
  - {id: bye, uses: matrix.tell}
""",
    "continue": """
lock: desk
steps:
  - {id: a, uses: matrix.send, with: {n: 1}, gate: n == 2, on_failure: continue}
  - {id: b, uses: lab.boom, on_failure: continue}
  - {id: s, needs: [a, b], runbook: inner, with: {n: 4}}
finally:
  - {id: eod, uses: lab.boom, on_failure: {runbook: inner, with: {n: 6}}}
  - {id: bye, uses: matrix.tell}
""",
    "abort": """
lock: desk
steps:
  - {id: a, needs: [], uses: matrix.shoot}
  - {id: b, needs: [], uses: matrix.linger, with: {n: 2}}
  - {id: c, needs: [a, b], uses: matrix.send, with: {n: 3}}
finally:
  - {id: bye, uses: matrix.send, with: {n: 9}}
""",
    "decline": """
lock: desk
steps:
  - {id: a, uses: matrix.send, with: {n: 1}}
  - {id: unsure, confirm: Sure?, on_failure: {runbook: inner, with: {n: 5}}}
  - {id: b, uses: matrix.send, with: {n: 3}}
finally:
  - {id: bye, uses: matrix.tell}
""",
}
LINES = {"green": 28, "red": 19, "continue": 22, "abort": 9, "decline": 16}
"""How many lines the journal of an undisturbed run has; a test counts them."""
OUTCOMES = {"green": "green", "red": "red", "continue": "broken", "abort": "broken", "decline": "declined"}
INNER = """
params: {n: {type: integer}}
steps:
  - {id: x, uses: matrix.send, with: {n: "{{ params.n }}"}}
finally:
  - {id: f, uses: matrix.tell}
"""


class Driver:
    """The process that forks engines, warm: what they import is imported once."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, DRIVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], "PYTHONWARNINGS": "error"},
            text=True,
        )

    def engine(self, verb: str, project: Path, point: str = "none", count: int = 0, **more: Any) -> int:
        """Run an engine to its end, or to its kill; return the status of its process."""
        order = {"verb": verb, "project": str(project), "point": point, "count": count, **NO_ORDERS}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({**order, **more}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert not answer["error"], answer["error"]
        return int(answer["status"])

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


class Engine(Protocol):
    """Where a run runs: processes that are killed, or something that stands for them."""

    def engine(self, verb: str, project: Path, point: str = "none", count: int = 0, **more: Any) -> int:
        """Run to the end, or to the kill; return the status of a process that ended like that."""


class Case:
    """One run that is killed, and resumed until it ends."""

    asked = frozenset(["matrix.tell"])
    """The functions that a person is asked about."""

    def __init__(self, driver: Engine, template: Path, root: Path) -> None:
        shutil.copytree(template, root)
        self.driver, self.root = driver, root

    @property
    def journal(self) -> Path:
        """Return where the journal is, or would be."""
        runs = run_ids(Project(self.root))
        return self.root / "runs" / (runs[-1] if runs else "none") / "journal.jsonl"

    @property
    def effects(self) -> list[str]:
        """Return what was done, in order."""
        path = self.root / "effects.txt"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def events(self) -> list[Event]:
        """Return the events on disk; that each follows the one above is checked on the way."""
        return list(read_journal(self.journal).events) if self.journal.exists() else []

    def kill(self, verb: str, point: str, count: int, after: float | None = None) -> bool:
        """Run or resume until the kill; return whether there is a run to go on with. No event on disk is lost."""
        before = self.events if verb == "resume" else []
        status = self.driver.engine(verb, self.root, point, count, settle=self.settled(), after=after)
        assert status in (0, -signal.SIGKILL)
        assert self.events[: len(before)] == before
        if status and after is None:
            torn = read_journal(self.journal).torn if self.journal.exists() else b""
            assert bool(torn) == (point == "torn")
        return bool(self.events)

    def settled(self) -> dict[str, str]:
        """Return what a person would say of the steps that can't be verified: she looks at what was done."""
        state = RunState.of(self.events)
        tells = {entry["id"] for entry in state.opened.get("plan", ()) if entry["uses"] in self.asked}
        asked = [name for name, step in state.steps.items() if step.doubtful and name in tells]
        return {name: "done" if self.count(name) else "not_done" for name in asked}

    def count(self, step: str) -> int:
        """Return how often the effect of a step was seen."""
        return sum(line.partition(":")[2].startswith(f"{step}:") for line in self.effects)

    def finish(self) -> None:
        """Resume until the run has ended."""
        for _ in range(10):
            if RunState.of(self.events).outcome is not None:
                return
            before = self.events
            assert self.driver.engine("resume", self.root, settle=self.settled()) == 0
            assert self.events[: len(before)] == before
        raise AssertionError("the run never ends")

    def end(self) -> dict[str, Any]:
        """Return what the run came to: its outcome and exit code, each step's status and outputs."""
        state = RunState.of(self.events)
        steps = {name: (step.status, step.outputs) for name, step in state.steps.items() if step.status != "pending"}
        return {"outcome": state.outcome, "code": state.exit_code, "steps": steps}

    def check(self, undisturbed: dict[str, Any]) -> None:
        """Check what must be true after any kill: the same end, each `never` once, a whole chain, nobody left."""
        kinds = Counter(event.type for event in self.events)
        assert (kinds["run.opened"], kinds["run.finished"], self.events[-1].type) == (1, 1, "run.finished")
        ends = Counter(event.data["step"] for event in self.events if event.type == "step.finished")
        assert set(ends.values()) == {1}, f"ended twice: {ends}"
        assert self.end() == undisturbed
        never = Counter(line.partition(":")[2].rpartition(":")[0] for line in self.effects if " never" in line)
        assert set(never.values()) == {1}, f"done twice: {never}"
        assert set(never) == {name for name in undisturbed["steps"] if self.count(name)}
        wait_until(lambda: not processes_in(self.root), 10, "the end of all workers")


def template(root: Path, book: str) -> Path:
    """Make the project that each case is a copy of."""
    lab = Lab(root)
    lab.steps("matrix", STEPS)
    lab.write("runbooks/book.yaml", f"runbook: book{BOOKS[book]}")
    lab.write("runbooks/inner.yaml", f"runbook: inner{INNER}")
    lab.write("answers.yaml", "{sure: yes, unsure: no}\n")
    return root
