"""Stopping: signals to a real engine, what they leave, and how the run goes on (engine rules 9 and 10)."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from aurora.engine.signals import Signals
from tests.engine.kit import COMMAND, INVOKE, Lab, Ran, kill, processes_in, wait_until

SESSION = """
import signal, time
from aurora.engine.context import Context
from aurora.engine.registry import Verdict, step
from steps.lab import Out, act, acts

@step(stop_grace=5)
def session(context: Context) -> Out:
    act(context, f"{context.step} open")
    while not context.stopping:
        time.sleep(0.01)
    act(context, f"{context.step} cancels its orders")
    return Out()

@step(repeat="safe", stop_grace=60)
def stubborn(context: Context) -> Out:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    act(context, f"{context.step} open")
    time.sleep(600)
    return Out()

def look(context: Context) -> Verdict:
    return Verdict("done" if f"{context.step} done" in acts(context) else "not_done")

@step(verify=look)
def slow(context: Context) -> None:
    act(context, f"{context.step} begins")
    time.sleep(0.5)
    act(context, f"{context.step} done")
"""


@pytest.fixture
def desk(lab: Lab) -> Lab:
    """A project with sessions."""
    lab.steps("desk", SESSION)
    return lab


def started(lab: Lab, line: str) -> None:
    """Wait until a step has done something."""
    wait_until(lambda: line in lab.effects, what=line)


def ended(process: subprocess.Popen[str], seconds: float = 15) -> tuple[int, str]:
    """Wait for the end of a process, and return its exit code and what it said."""
    said, _ = process.communicate(timeout=seconds)
    return process.returncode, said


# ── The first signal ─────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_first_signal_stops_gracefully(desk: Lab, number: signal.Signals) -> None:
    """Engine rule 10: the first signal lets a session end cleanly, nothing else starts, `finally` runs, exit 7."""
    desk.book("""
    steps:
      - {id: live, uses: desk.session}
      - {id: after, uses: lab.once}
    finally:
      - {id: bye, uses: lab.once}
    """)
    process = desk.spawn("runbook", "book")
    started(desk, "live open")
    process.send_signal(number)
    code, said = ended(process)
    assert code == 7, said
    assert "Traceback" not in said
    assert f"{number.name}: stopping" in said
    assert "invoke resume" in said
    assert desk.effects == ["live open", "live cancels its orders", "bye once"]
    ran = desk.last()
    assert [event.type for event in ran.events][-1] == "run.interrupted"
    assert ran.of("run.stopping") == [{"reason": number.name}]
    assert processes_in(desk.root) == {}


def test_invoke_passes_the_signal_on(desk: Lab) -> None:
    """Engine rule 10: under invoke, which would make exit 1 of it, Ctrl-C is caught inside the task: exit 7."""
    desk.write("tasks.py", "from aurora.commands.invoke_bridge import collection\nnamespace = collection()\n")
    desk.book("\n    steps:\n      - {id: live, uses: desk.session}\n")
    process = desk.spawn("runbook", "book", command=INVOKE)
    started(desk, "live open")
    process.send_signal(signal.SIGINT)
    code, said = ended(process)
    assert (code, desk.effects[-1]) == (7, "live cancels its orders"), said


def test_step_that_does_not_look_is_broken_off_and_repeated(desk: Lab) -> None:
    """Engine rule 10: a step that never looks whether it should stop is broken off, and a resume runs it again."""
    desk.book("\n    steps:\n      - {id: a, uses: lab.work, with: {seconds: 3}}\n      - {id: b, uses: lab.once}\n")
    process = desk.spawn("runbook", "book")
    started(desk, "a work")
    process.terminate()
    assert ended(process)[0] == 7
    ran = desk.last()
    assert ran.statuses == {"a": "running"}
    assert ran.of("run.interrupted") == [{"reason": "stopped by a signal", "unfinished": []}]
    ran = desk.resume()
    assert (ran.outcome, desk.effects) == ("green", ["a work", "a work", "b once"])


def test_step_broken_off_that_must_not_repeat_is_verified(desk: Lab) -> None:
    """Engine rules 10 and 18: what a stop broke off has an unknown outcome, and is looked into on resume."""
    desk.book("\n    steps:\n      - {id: a, uses: desk.slow}\n      - {id: b, uses: lab.once}\n")
    process = desk.spawn("runbook", "book")
    started(desk, "a begins")
    process.terminate()
    assert ended(process)[0] == 7
    ran = desk.resume()
    assert ran.outcome == "green"
    assert desk.effects == ["a begins", "a begins", "a done", "b once"]


def test_signals_together_are_one(desk: Lab) -> None:
    """Engine rule 10: a closing terminal or `timeout` sends two signals at once; that is one wish to stop."""
    desk.book("\n    steps:\n      - {id: live, uses: desk.session}\n")
    process = desk.spawn("runbook", "book")
    started(desk, "live open")
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGTERM, signal.SIGCONT):
        process.send_signal(number)
    code, said = ended(process)
    assert (code, desk.effects[-1]) == (7, "live cancels its orders"), said
    assert "killed" not in said


def test_signal_before_anything_started(desk: Lab) -> None:
    """A signal in a run's first moments leaves no half of a run: it came to its end, or it is resumable."""
    desk.book("\n    steps:\n      - {id: a, uses: lab.work}\n      - {id: b, uses: lab.once}\n")
    for milliseconds in (0, 10, 30, 80):
        before = set(desk.project.runs.glob("2*"))
        # Python's own import, broken off between opening a file and its `with`, warns that it was left open.
        process = desk.spawn("runbook", "book", env={"PYTHONWARNINGS": "error,ignore::ResourceWarning"})
        while not set(desk.project.runs.glob("2*")) - before and process.poll() is None:
            time.sleep(0.001)
        time.sleep(milliseconds / 1000)
        process.send_signal(signal.SIGINT)
        code, said = ended(process)
        assert code in (0, 7), said
        assert "Traceback" not in said
        if code == 7:
            assert desk.resume().outcome == "green"
    assert all(ran.of("run.opened") for ran in map(Ran, desk.project.runs.glob("2*")))


def test_session_that_was_cut_short_is_not_green(desk: Lab) -> None:
    """Engine rule 10: a session that was asked to stop is cut short, not passed; a person says if it was enough."""
    desk.book("""
    steps:
      - {id: live, uses: desk.session, gate: n == 1}
    finally:
      - {id: bye, uses: lab.once}
    """)
    process = desk.spawn("runbook", "book")
    started(desk, "live open")
    process.terminate()
    assert ended(process)[0] == 7
    ran = desk.last()
    end = ran.end("live")
    assert (end["status"], end["stopped"], end["outputs"]["n"]) == ("cancelled", True, 1)
    assert desk.resume().outcome == "waiting"
    ran = desk.resume(settle={"live": "done"})
    assert (ran.outcome, ran.statuses["live"], ran.step("live").outputs["n"]) == ("green", "passed", 1)
    assert desk.effects == ["live open", "live cancels its orders", "bye once", "bye once"]


def test_session_that_was_cut_short_can_be_cancelled(desk: Lab) -> None:
    """A run whose session was stopped can be ended as it is; `finally` has run and does not run again."""
    desk.book("""
    steps:
      - {id: live, uses: desk.session}
      - {id: after, uses: lab.once}
    finally:
      - {id: bye, uses: lab.once}
    """)
    process = desk.spawn("runbook", "book")
    started(desk, "live open")
    process.terminate()
    assert ended(process)[0] == 7
    ran = desk.resume(cancel="enough")
    assert (ran.outcome, ran.code) == ("cancelled", 5)
    assert desk.effects[2:] == ["bye once"]
    assert ran.statuses["after"] in ("cancelled", "omitted")


def test_stopped_session_with_a_red_gate_is_red(desk: Lab) -> None:
    """A gate that is red on what a stopped session says is red at once, and no resume takes it back."""
    desk.book("\n    steps:\n      - {id: live, uses: desk.session, gate: n == 2}\n      - {id: b, uses: lab.once}\n")
    process = desk.spawn("runbook", "book")
    started(desk, "live open")
    process.terminate()
    assert ended(process)[0] in (3, 7)
    assert desk.last().end("live")["status"] == "red"


# ── The second ───────────────────────────────────────────────────────────────────────────────────────────────────────
def test_second_signal_kills(desk: Lab) -> None:
    """Engine rule 10: the second signal does not wait for the grace: workers are killed, the run stays resumable."""
    desk.book("""
    steps:
      - {id: live, uses: desk.stubborn}
    finally:
      - {id: bye, uses: lab.once}
    """)
    process = desk.spawn("runbook", "book")
    started(desk, "live open")
    process.send_signal(signal.SIGINT)
    wait_until(lambda: "run.stopping" in desk.journal_text)
    time.sleep(0.4)
    process.send_signal(signal.SIGINT)
    code, said = ended(process)
    assert code == 7, said
    ran = desk.last()
    assert ran.of("run.interrupted") == [{"reason": "killed by a second signal", "unfinished": ["live"]}]
    assert (desk.effects, processes_in(desk.root)) == (["live open"], {})
    assert "bye" not in ran.statuses


# ── finally, and what comes after ────────────────────────────────────────────────────────────────────────────────────
def test_finally_runs_again_after_what_a_resume_does(desk: Lab) -> None:
    """Engine rule 9: what `finally` did when the run was stopped does not cover what comes after: it runs again."""
    desk.book("""
    steps:
      - {id: s, runbook: inner}
      - {id: b, uses: lab.once}
    finally:
      - {id: bye, uses: lab.once}
    """)
    desk.book(
        "steps:\n  - {id: w, uses: lab.wait_for, with: {name: go}}\n  - {id: x, uses: lab.once}\n"
        "finally:\n  - {id: f, uses: lab.once}\n",
        "inner",
    )
    process = desk.spawn("runbook", "book")
    started(desk, "s/w waiting")
    process.terminate()
    assert ended(process)[0] == 7
    assert desk.effects == ["s/w waiting", "s/f once", "bye once"]
    (desk.root / "go").touch()
    ran = desk.resume()
    assert (ran.outcome, ran.code) == ("green", 0)
    assert desk.effects[3:] == ["s/w waiting", "s/x once", "s/f once", "b once", "bye once"]
    tokens = [each["token"].rpartition(":")[2] for each in ran.of("step.started", "bye")]
    assert tokens == ["1", "2"]


def test_finally_that_is_under_way_is_not_stopped(desk: Lab) -> None:
    """Engine rule 9: a signal that comes while `finally` runs lets it come to its end; it runs once."""
    desk.book("""
    steps:
      - {id: a, uses: lab.once}
    finally:
      - {id: f, uses: desk.slow}
      - {id: g, uses: lab.once}
    """)
    process = desk.spawn("runbook", "book")
    started(desk, "f begins")
    process.terminate()
    code, said = ended(process)
    assert code == 0, said
    assert desk.effects == ["a once", "f begins", "f done", "g once"]


def test_finally_killed_half_way_goes_on(desk: Lab) -> None:
    """Engine rule 9: after kill -9 `finally` goes on at the resume; what it had done is not done again."""
    desk.book("""
    steps:
      - {id: a, uses: lab.once}
    finally:
      - {id: f, uses: lab.once}
      - {id: g, uses: desk.slow}
      - {id: h, uses: lab.once}
    """)
    process = desk.spawn("runbook", "book")
    started(desk, "g begins")
    kill(process)
    ran = desk.resume()
    assert ran.outcome == "green"
    assert desk.effects == ["a once", "f once", "g begins", "g begins", "g done", "h once"]


def test_finally_runs_on_resume_after_kill(desk: Lab) -> None:
    """Engine rule 9: kill -9 leaves no time for `finally`; it runs once, when the run is resumed."""
    desk.book("""
    steps:
      - {id: a, uses: lab.wait_for, with: {name: go}}
    finally:
      - {id: f, uses: lab.once}
    """)
    process = desk.spawn("runbook", "book")
    started(desk, "a waiting")
    kill(process)
    (desk.root / "go").touch()
    assert desk.resume().outcome == "green"
    assert desk.effects == ["a waiting", "a waiting", "f once"]


def test_foreach_in_finally_runs_whole_when_stopped(desk: Lab) -> None:
    """Engine rule 9: all of `finally` runs after a signal, its loops, retries and sub-runbooks included."""
    desk.book("""
    steps:
      - {id: live, uses: desk.session}
    finally:
      - {id: q, uses: lab.once, foreach: [1, 2]}
      - {id: r, uses: lab.flaky, retry: {max_attempts: 3, delay: 5ms}}
      - {id: s, runbook: inner}
    """)
    desk.book("steps:\n  - {id: x, uses: lab.once}\nfinally:\n  - {id: y, uses: lab.once}\n", "inner")
    process = desk.spawn("runbook", "book")
    started(desk, "live open")
    process.terminate()
    code, said = ended(process)
    assert code == 7, said
    effects = desk.effects[2:]
    assert effects == ["q[0] once", "q[1] once", "r attempt 1", "r attempt 2", "r attempt 3", "s/x once", "s/y once"]


def test_failure_path_is_taken_up_on_resume(desk: Lab) -> None:
    """Engine rule 9: a run that was stopped before its failure path began takes it on resume."""
    desk.book("""
    steps:
      - {id: bad, needs: [], uses: lab.boom, on_failure: {runbook: emergency}}
      - {id: w, needs: [], uses: lab.wait_for, with: {name: go}}
    finally:
      - {id: bye, uses: lab.once}
    """)
    desk.book("steps:\n  - {id: x, uses: lab.once}\n", "emergency")
    process = desk.spawn("runbook", "book")
    started(desk, "w waiting")
    wait_until(lambda: '"step.finished"' in desk.journal_text)
    process.terminate()
    assert ended(process)[0] == 7
    assert desk.effects[2:] == ["bye once"]
    ran = desk.resume()
    assert (ran.outcome, ran.statuses["w"]) == ("broken", "cancelled")
    assert desk.effects[3:] == ["bad/on_failure/x once", "bye once"]


def test_stop_ends_the_wait_for_a_retry(desk: Lab) -> None:
    """A step that waits for its next attempt does not keep a stopped run alive; a resume tries it again."""
    desk.book("\n    steps:\n      - {id: a, uses: lab.flaky, retry: {max_attempts: 4, delay: 60s}}\n")
    process = desk.spawn("runbook", "book")
    wait_until(lambda: "step.retrying" in desk.journal_text)
    process.terminate()
    assert ended(process, 5)[0] == 7
    ran = desk.last()
    assert (ran.step("a").status, ran.step("a").attempt) == ("pending", 1)


# ── The parts ────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_signals_are_read_not_raised() -> None:
    """Signals wake the loop as bytes in a pipe, in their order; handlers are put back afterwards."""
    before = signal.getsignal(signal.SIGTERM)
    with Signals() as signals:
        with signals.caught():
            assert signals.read() == []
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGINT)
            wait_until(lambda: True)
            assert sorted(signals.read()) == ["SIGINT", "SIGTERM"]
            assert signals.read() == []
        assert signal.getsignal(signal.SIGTERM) is before


def test_ignored_signal_stays_ignored(desk: Lab) -> None:
    """Under `nohup` a lost terminal does not stop the run: who ignores SIGHUP is taken at her word."""
    desk.book("\n    steps:\n      - {id: a, uses: lab.wait_for, with: {name: go}}\n")
    process = desk.spawn("runbook", "book", command=["nohup", *COMMAND])
    started(desk, "a waiting")
    process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    (desk.root / "go").touch()
    code, said = ended(process)
    assert code == 0, said


def test_thinking_costs_nothing(desk: Lab) -> None:
    """The loop sleeps while steps run: a second of waiting takes next to no processor time."""
    desk.book("\n    steps:\n      - {id: a, uses: lab.work, with: {seconds: 2}}\n      - {id: b, uses: lab.work}\n")
    process = desk.spawn("runbook", "book")
    started(desk, "a work")
    first = _cpu(process.pid)
    time.sleep(1.2)
    assert _cpu(process.pid) - first < 0.4  # a loop that looks all the time takes all of it
    assert ended(process)[0] == 0


def _cpu(pid: int) -> float:
    """Return the processor seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
