"""Locks: one run a group, held by the process, blocked by what is unfinished (engine rule 16)."""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path

import pytest

from aurora.engine.locks import Locks, wait_for_workers, working_file
from aurora.errors import LockHeld, RecordError, ResumeRefused
from tests.engine.kit import Lab, kill, wait_until


def locks(folder: Path, run: str, *names: str, unfinished: tuple[str, ...] = ()) -> Locks:
    """Return the locks of a run; the runs of `unfinished` have no end on record."""
    return Locks(folder, names, run, lambda other: other in unfinished)


def holder(folder: Path, name: str) -> str:
    """Return the run whose name stands in a lock, or nothing."""
    text = (folder / f"{name}.lock").read_text()
    return str(json.loads(text)["run"]) if text else ""


WAITING = """
    lock: desk
    steps:
      - {id: a, uses: lab.wait_for, with: {name: go}}
"""


# ── The parts ────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_second_run_is_told_who_holds_the_group(tmp_path: Path) -> None:
    """Engine rule 16: a second run of a group is refused, exit 2, and the message says who holds it, and since when."""
    with locks(tmp_path, "first", "desk"):
        with pytest.raises(
            LockHeld, match=rf"'desk' is held by the run first, process {os.getpid()}, since 20"
        ) as caught:
            locks(tmp_path, "second", "desk").__enter__()
        assert caught.value.exit_code == 2
    with locks(tmp_path, "second", "desk"):
        assert holder(tmp_path, "desk") == "second"


def test_unfinished_run_blocks_its_group(tmp_path: Path) -> None:
    """Engine rule 16: the group of an unfinished run is blocked for others until it is resumed or cancelled."""
    with locks(tmp_path, "first", "desk"):
        pass
    with pytest.raises(LockHeld, match="first of the group 'desk' is not finished") as caught:
        locks(tmp_path, "second", "desk", unfinished=("first",)).__enter__()
    assert "invoke resume first" in caught.value.diagnostics()
    assert "invoke cancel first" in caught.value.diagnostics()
    assert holder(tmp_path, "desk") == "first"
    with locks(tmp_path, "first", "desk", unfinished=("first",)) as again:
        again.finish()
    with locks(tmp_path, "second", "desk", unfinished=("first",)):
        pass


def test_refused_run_holds_nothing(tmp_path: Path) -> None:
    """A run that gets one of its locks and not the other gives the first one back."""
    with locks(tmp_path, "first", "b"):
        with pytest.raises(LockHeld):
            locks(tmp_path, "second", "a", "b", "c").__enter__()
        with locks(tmp_path, "third", "a", "c"):
            pass


def test_name_of_an_account_is_a_file_name(tmp_path: Path) -> None:
    """A lock's name may hold what a file's name can't."""
    with locks(tmp_path, "r", "account:DU/1"):
        assert [path.name for path in tmp_path.iterdir()] == ["account:DU_1.lock"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', "\0\0\0"])
def test_lock_that_says_nothing_holds_nobody_back(tmp_path: Path, text: str) -> None:
    """A lock file that a crash left half written is no lock: only the kernel's lock and an unfinished run count."""
    (tmp_path / "desk.lock").write_text(text)
    with locks(tmp_path, "r", "desk", unfinished=("r", "x")):
        assert holder(tmp_path, "desk") == "r"


def test_folder_that_can_not_be_written_is_said(tmp_path: Path) -> None:
    """Locks that can't be made are an error in words; nothing is run without them."""
    (tmp_path / "file").touch()
    with pytest.raises(RecordError, match=r"Not a directory|File exists") as caught:
        locks(tmp_path / "file", "r", "desk").__enter__()
    assert "nothing was run" in caught.value.diagnostics()


def test_workers_of_a_killed_engine_are_waited_for(tmp_path: Path) -> None:
    """Engine rule 18: what a step has done can be said only once its worker is gone; a resume waits for that."""
    path = working_file(tmp_path, "r")
    wait_for_workers(path, "r", 0)
    descriptor = os.open(path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    with pytest.raises(ResumeRefused, match="still at work") as caught:
        wait_for_workers(path, "r", 0.1)
    assert str(path) in caught.value.diagnostics()
    os.close(descriptor)
    wait_for_workers(path, "r", 0)


# ── Real runs ────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_two_runs_at_once(lab: Lab) -> None:
    """Engine rule 16: while one run holds the group the other is refused with exit 2 and leaves no run behind."""
    lab.book(WAITING)
    lab.book("steps:\n  - {id: b, runbook: book}\n", "outer")
    lab.book("\n    steps:\n      - {id: b, uses: lab.work}\n", "other")
    first = lab.spawn("runbook", "book")
    wait_until(lambda: "a waiting" in lab.effects)
    run = lab.last().folder.name
    for name in ("book", "outer"):
        done = lab.command("runbook", name)
        assert done.returncode == 2
        assert f"held by the run {run}, process {first.pid}, since" in done.stderr
        assert "Traceback" not in done.stderr
    assert lab.command("runbook", "other").returncode == 0
    (lab.root / "go").touch()
    assert first.wait(20) == 0
    assert len(list(lab.project.runs.glob("2*"))) == 2
    assert lab.run().outcome == "green"


def test_resume_of_a_run_that_goes_on_is_refused(lab: Lab) -> None:
    """Engine rule 16: a run can't be resumed, or cancelled, under the process that runs it."""
    lab.book("\n    steps:\n      - {id: a, uses: lab.wait_for, with: {name: go}}\n")
    first = lab.spawn("runbook", "book")
    wait_until(lambda: "a waiting" in lab.effects)
    with pytest.raises(LockHeld, match=f"process {first.pid}"):
        lab.resume()
    with pytest.raises(LockHeld):
        lab.resume(cancel="now")
    (lab.root / "go").touch()
    assert first.wait(20) == 0


def test_kill_leaks_no_lock(lab: Lab) -> None:
    """Engine rule 16: after kill -9 nothing holds the lock; the unfinished run blocks its group; resume frees it."""
    lab.book(WAITING)
    first = lab.spawn("runbook", "book")
    wait_until(lambda: "a waiting" in lab.effects)
    run = lab.last().folder.name
    kill(first)
    done = lab.command("runbook", "book")
    assert done.returncode == 2
    assert f"{run} of the group 'desk' is not finished" in done.stderr
    (lab.root / "go").touch()
    assert lab.resume().outcome == "green"
    assert lab.run().outcome == "green"


def test_cancel_frees_the_group(lab: Lab) -> None:
    """Engine rule 16: an unfinished run blocks its group until it is resumed or cancelled."""
    lab.book(WAITING)
    first = lab.spawn("runbook", "book")
    wait_until(lambda: "a waiting" in lab.effects)
    kill(first)
    done = lab.command("cancel", "last", "--reason", "a rehearsal")
    assert done.returncode == 0, done.stderr
    (lab.root / "go").touch()
    assert lab.run().outcome == "green"


def test_orders_take_the_account(lab: Lab) -> None:
    """Engine rule 16: a run with a step that opens orders holds `account:<id>`, whatever its runbook says."""
    lab.profile("base", "mode: paper\nvenue: simulated\naccount: {id: DU123}\n")
    lab.profile("policy", "orders.open: {}\n")
    lab.steps(
        "desk",
        "from aurora.engine.registry import step\n@step(effects=['orders.open'])\ndef buy() -> None:\n    pass\n",
    )
    lab.book("\n    steps:\n      - {id: a, uses: desk.buy}\n")
    ran = lab.run()
    assert ran.of("run.opened")[0]["locks"] == [f"run:{ran.folder.name}", "account:DU123"]


def test_step_of_a_killed_engine_acts_once(lab: Lab) -> None:
    """Engine rule 18: a step that goes on within its grace after its engine was killed is waited for."""
    lab.steps(
        "late",
        """
import signal, time
from aurora.engine.context import Context
from aurora.engine.registry import Verdict, step
from steps.lab import act, acts

def look(context: Context) -> Verdict:
    return Verdict("done" if "sent" in acts(context) else "not_done")

@step(verify=look, stop_grace=10)
def send(context: Context) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    act(context, "begins")
    time.sleep(1.5)
    act(context, "sent")
""",
    )
    lab.book("\n    steps:\n      - {id: a, uses: late.send}\n")
    first = lab.spawn("runbook", "book")
    wait_until(lambda: "begins" in lab.effects)
    kill(first)
    before = time.monotonic()
    ran = lab.resume()
    assert (ran.outcome, lab.effects) == ("green", ["begins", "sent"])
    assert time.monotonic() - before > 0.5
