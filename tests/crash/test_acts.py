"""SIGKILL at every write of a run that another process cancels, and of one that goes on by a waiver (rules 12, 21)."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from aurora.engine.inbox import send
from aurora.errors import ResumeRefused
from aurora.journal import read_journal
from tests.engine.kit import Lab, processes_in, wait_until

KILLED = """
import sys
from aurora.commands.main import main
from tests.crash.driver import Killer, die
Killer(sys.argv[1], int(sys.argv[2]), die).install()
sys.exit(main(sys.argv[3:]))
"""
CANCELLED = """
    steps:
      - {id: a, uses: lab.once}
      - {id: b, uses: lab.wait_for, with: {name: never}}
      - {id: c, uses: lab.once}
    finally:
      - {id: end, uses: lab.work}
"""
CANCELLED_LINES = 12
WAIVED = """
    steps:
      - {id: a, uses: lab.once}
      - {id: b, uses: lab.once, gate: n == 2}
      - {id: c, uses: lab.work}
    finally:
      - {id: end, uses: lab.work}
"""
WAIVED_LINES = 6


def start(lab: Lab, point: str, line: int, *words: str) -> subprocess.Popen[str]:
    """Start the command line in a process that is killed at a line of its journal."""
    return lab.spawn(*words, command=[sys.executable, "-c", KILLED, point, str(line)])


def cancelled(lab: Lab, point: str, line: int) -> int:
    """Run a book, ask it from here to cancel, and return how its process ended."""
    lab.book(CANCELLED)
    engine = start(lab, point, line, "runbook", "book")
    wait_until(lambda: "b waiting" in lab.effects)
    send(lab.last().folder, "cancel", {"reason": "fire drill"})
    return engine.wait(20)


def lines(folder: Path) -> int:
    """Return how many whole lines a journal has."""
    return len(read_journal(folder / "journal.jsonl").events)


def test_the_cancelled_run_has_as_many_lines_as_are_killed_at(lab: Lab) -> None:
    """One more line would be a write that nobody has been killed at."""
    assert cancelled(lab, "none", 0) == 5
    assert lines(lab.last().folder) == CANCELLED_LINES


@pytest.mark.parametrize("point", ["torn", "synced"])
@pytest.mark.parametrize("line", range(6, CANCELLED_LINES + 1))
def test_a_kill_while_it_is_cancelled(lab: Lab, point: str, line: int) -> None:
    """Engine rule 21: whenever the engine dies, the cancel is taken once and holds; what had not begun never does."""
    assert cancelled(lab, point, line) == -signal.SIGKILL
    if lab.last().state.outcome is None:
        lab.resume()
    ran = lab.last()
    assert (ran.state.outcome, len(ran.of("act.received"))) == ("cancelled", 1)
    assert (lab.effects.count("a once"), "c once" in lab.effects) == (1, False)
    assert "end work" in lab.effects
    wait_until(lambda: not processes_in(lab.root), what="the end of all workers")


def test_the_waived_run_has_as_many_lines_as_are_killed_at(lab: Lab) -> None:
    """One more line would be a write that nobody has been killed at."""
    lab.book(WAIVED)
    before = lines(lab.run().folder)
    lab.resume(waive=["b"], reason="known")
    assert lines(lab.last().folder) - before == WAIVED_LINES


@pytest.mark.parametrize("point", ["before", "torn", "synced"])
@pytest.mark.parametrize("line", range(1, WAIVED_LINES + 1))
def test_a_kill_while_it_goes_on_by_a_waiver(lab: Lab, point: str, line: int) -> None:
    """Engine rule 12: the waiver is on record or is not; nothing is done twice, and the end is amber."""
    lab.book(WAIVED)
    assert lab.run().outcome == "red"
    engine = start(lab, point, line, "resume", "last", "--waive", "b", "--reason", "known")
    assert engine.wait(20) == -signal.SIGKILL
    if not lab.last().of("run.resumed"):
        with pytest.raises(ResumeRefused):
            lab.resume()
        lab.resume(waive=["b"], reason="known")
    elif lab.last().state.outcome is None:
        lab.resume()
    ran = lab.last()
    assert (ran.state.outcome, ran.step("b").status, ran.step("c").status) == ("amber", "waived", "passed")
    assert [lab.effects.count(f"{step} once") for step in "ab"] == [1, 1]
    wait_until(lambda: not processes_in(lab.root), what="the end of all workers")
