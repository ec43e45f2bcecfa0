"""Where steps run: workers that can be ended, and the wardens that end them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aurora.engine.workers import Death, Failure, LocalWorker, LocalWorkers, Message, Request, Result
from aurora.profile import Profile, Section
from tests.engine.kit import Lab, kill, processes_in, wait_until

STUCK = """
import collections, ctypes, os, signal, subprocess, sys, time
from dataclasses import dataclass
from pathlib import Path
from aurora.engine.context import Context
from aurora.engine.registry import step

@dataclass(frozen=True)
class Who:
    pid: int
    parent: int
    files: list[str]

def who() -> Who:
    files = []
    for name in os.listdir("/proc/self/fd"):
        try:
            files.append(os.readlink(f"/proc/self/fd/{name}"))
        except OSError:
            pass
    return Who(os.getpid(), os.getppid(), files)

@step(repeat="safe")
def name() -> Who:
    return who()

@step(repeat="safe", venue=True)
def venue() -> Who:
    return who()

@step(repeat="safe", stop_grace=0.3)
def hang(context: Context, how: str) -> None:
    (context.project / "hanging").touch()
    if how == "sleep":
        time.sleep(600)
    elif how == "C loop":
        collections.deque(iter(int, 1), maxlen=0)
    elif how == "C call":
        ctypes.CDLL(None).pause()
        ctypes.CDLL(None).sleep(600)
    elif how == "ignores TERM":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(600)
    elif how == "swallows":
        while True:
            try:
                time.sleep(600)
            except BaseException:
                pass
    elif how == "children":
        stubborn = "trap '' TERM HUP INT; sleep 600 & wait; sleep 600"
        subprocess.Popen(["bash", "-c", stubborn])
        subprocess.run(["bash", "-c", stubborn])
    elif how == "forked":
        for _ in range(2):
            os.fork()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(600)
    elif how == "stopped":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif how == "import":
        import steps.endless

@step(repeat="safe")
def die(context: Context, how: str, good: int = 99) -> None:
    if context.attempt >= good:
        return
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "exit":
        os._exit(9)
    elif how == "segfault":
        ctypes.string_at(0)
    elif how == "term":
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(30)
    elif how == "warden":
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(30)
    elif how == "garbage":
        for descriptor in range(3, 400):
            try:
                os.write(descriptor, b"not one of ours\\n")
            except OSError:
                pass
        time.sleep(30)

@step(repeat="safe")
def leave() -> Who:
    subprocess.Popen(["sleep", "600"])
    return who()

@step(repeat="safe")
def spoil() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.chdir("/")
    sys.stdout.close()

@step(repeat="safe")
def relative() -> None:
    print("still here")
    Path("relative").touch()

@step(repeat="safe", stop_grace=2.0)
def answer_late(context: Context) -> None:
    while not context.stopping:
        time.sleep(0.005)

@step(repeat="safe")
def flood() -> None:
    for number in range(20_000):
        print(number, "x" * 80)
    os.write(1, b"y" * 3_000_000)
"""


@pytest.fixture
def stuck(lab: Lab) -> Lab:
    """A project whose steps do all that a step should not."""
    lab.steps("stuck", STUCK)
    lab.steps("endless", "import time\ntime.sleep(600)\n")
    return lab


# ── Rule 17: whatever a step does, it ends ───────────────────────────────────────────────────────────────────────────
HOWS = ["sleep", "C loop", "C call", "ignores TERM", "swallows", "children", "forked", "stopped", "import"]


@pytest.mark.parametrize("how", HOWS)
def test_timeout_ends_a_step_that_hangs(stuck: Lab, how: str) -> None:
    """Engine rule 17: a hung step ends at its timeout, whatever it hangs in: TERM, then KILL of its group."""
    stuck.book(f"""
    steps:
      - {{id: a, uses: stuck.hang, with: {{how: {how}}}, timeout: 300ms, on_failure: continue}}
      - {{id: b, uses: lab.work}}
    """)
    ran = stuck.run()
    assert ran.statuses == {"a": "timed_out", "b": "passed"}
    assert ran.end("a")["error"] == {"type": "timeout", "message": "no end after 0.3 s", "trace": ""}
    assert processes_in(stuck.root) == {}


@pytest.mark.parametrize("how", HOWS)
def test_nobody_outlives_a_killed_engine(stuck: Lab, how: str) -> None:
    """Engine rule 17: after SIGKILL of the engine its wardens end each worker within the step's grace."""
    stuck.book(f"""
    steps:
      - {{id: a, needs: [], uses: stuck.hang, with: {{how: {how}}}}}
      - {{id: b, needs: [], uses: lab.work}}
    """)
    process = stuck.spawn("runbook", "book")
    if how != "import":
        wait_until((stuck.root / "hanging").exists)
    wait_until(lambda: '"step.finished"' in stuck.journal_text)
    assert len(processes_in(stuck.root)) >= 3
    kill(process)
    wait_until(lambda: not processes_in(stuck.root), 6, "the end of the workers")


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("kill", "signal 9"),
        ("exit", "exit 9"),
        ("segfault", "signal 11"),
        ("term", "exit 143|signal 15"),
        ("warden", "signal 9"),
        ("garbage", "signal 15|exit 143|signal 9"),
    ],
)
def test_death_of_a_worker_ends_its_step(stuck: Lab, how: str, says: str) -> None:
    """Engine rule 17: a worker that dies, or loses its warden, ends its step; the run goes on in another."""
    stuck.book(f"""
    steps:
      - {{id: a, uses: stuck.die, with: {{how: {how}}}, on_failure: continue}}
      - id: b
        uses: stuck.die
        with: {{how: {how}, good: 2}}
        retry: {{max_attempts: 2, delay: 1ms, on: [WorkerDied]}}
    """)
    ran = stuck.run()
    assert ran.statuses == {"a": "broken", "b": "passed"}
    error = ran.end("a")["error"]
    assert error["type"] == "WorkerDied"
    assert any(f"({word})" in error["message"] for word in says.split("|")), error
    assert processes_in(stuck.root) == {}


def test_what_a_step_leaves_running_ends_with_the_run(stuck: Lab) -> None:
    """Engine rule 17: a child that a step left behind is in the worker's group and goes with it."""
    stuck.book("\n    steps:\n      - {id: a, uses: stuck.leave}\n")
    assert stuck.run().outcome == "green"
    assert processes_in(stuck.root) == {}


def test_lost_step_with_its_warden_is_not_alone(stuck: Lab) -> None:
    """Engine rule 17: when both engine and warden are killed, an idle worker ends by itself: its socket is closed."""
    stuck.book("\n    steps:\n      - {id: a, uses: stuck.name}\n      - {id: b, confirm: Go on?, timeout: 60s}\n")
    workers = LocalWorkers(stuck.root, None)
    workers.warm()
    ((warden, worker),) = [_pair(stuck.root)]
    os.kill(warden, signal.SIGKILL)
    for each in workers._idle:
        each._channel.close()
    wait_until(lambda: worker not in processes_in(stuck.root))
    workers.close()


def _pair(folder: Path) -> tuple[int, int]:
    """Return the ids of the one warden and its worker."""
    found = wait_until(lambda: len(processes_in(folder)) == 2 and processes_in(folder))
    warden = next(pid for pid, command in found.items() if "warden.py" in command and "-S" in command)
    return warden, next(pid for pid in found if pid != warden)


# ── Rule 17: warm, fresh, and alone ──────────────────────────────────────────────────────────────────────────────────
def test_worker_is_warm_and_a_venue_gets_a_fresh_one(stuck: Lab) -> None:
    """Engine rule 17: steps share a warm worker, one after the other; one that talks to a venue has its own."""
    stuck.book("""
    steps:
      - {id: a, uses: stuck.name}
      - {id: b, uses: stuck.name}
      - {id: v, uses: stuck.venue}
      - {id: w, uses: stuck.venue}
      - {id: c, uses: stuck.name}
    """)
    ran = stuck.run()
    pid = {step: ran.end(step)["outputs"]["pid"] for step in "abvwc"}
    assert pid["a"] == pid["b"] == pid["c"]
    assert len({pid["a"], pid["v"], pid["w"]}) == 3


def test_worker_inherits_no_lock_and_no_journal(stuck: Lab) -> None:
    """Engine rule 16: a worker is exec'd; it holds neither the locks of the run nor its journal."""
    stuck.book("lock: desk\nsteps:\n  - {id: a, uses: stuck.name}\n")
    ran = stuck.run()
    files = [Path(name) for name in ran.end("a")["outputs"]["files"] if name.startswith(str(stuck.root))]
    assert [path.name for path in files] == [f"working:{ran.folder.name}.lock"]


def test_step_can_not_spoil_the_worker_for_the_next(stuck: Lab) -> None:
    """A step that changes folder, signals or standard output of its process does that to itself only."""
    stuck.book("""
    steps:
      - {id: a, uses: stuck.spoil}
      - {id: b, uses: stuck.relative}
      - {id: c, uses: stuck.answer_late, timeout: 100ms, on_failure: continue}
    """)
    ran = stuck.run()
    assert ran.statuses["a"] == "passed"
    assert ran.statuses["b"] in ("passed", "broken")
    assert (stuck.root / "relative").exists() or ran.statuses["b"] == "broken"


def test_answer_after_the_time_was_up_is_none(stuck: Lab) -> None:
    """Engine rule 17: a step that stops when asked to, and says so after its timeout, has timed out all the same."""
    stuck.book("\n    steps:\n      - {id: a, uses: stuck.answer_late, timeout: 100ms}\n")
    assert stuck.run().statuses == {"a": "timed_out"}


def test_timeout_does_not_hit_the_step_after(stuck: Lab) -> None:
    """A step that answers just as its time is up leaves no deadline behind for the next one in its worker."""
    stuck.book(
        "\n    steps:\n"
        + "\n".join(
            f"      - {{id: s{n}, uses: lab.work, with: {{seconds: 0.05}}, timeout: 52ms, on_failure: continue}}\n"
            f"      - {{id: t{n}, uses: lab.work, with: {{seconds: 0.05}}}}"
            for n in range(8)
        )
    )
    ran = stuck.run()
    assert {ran.statuses[f"t{n}"] for n in range(8)} == {"passed"}
    assert {ran.statuses[f"s{n}"] for n in range(8)} <= {"passed", "timed_out"}


def test_step_that_talks_without_end_is_heard_in_parts(stuck: Lab) -> None:
    """A flood of output neither blocks the engine nor grows without bound; the last forty lines are kept."""
    stuck.book("\n    steps:\n      - {id: a, uses: stuck.flood}\n")
    ran = stuck.run()
    assert ran.outcome == "green"
    log = ran.end("a")["log"]
    assert len(log) == 40
    assert max(map(len, log)) <= 2_000
    assert log[-1].startswith("y")


def test_worker_that_can_not_be_started_breaks_the_step(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a process to run in a step is broken, not unknown: it certainly did nothing."""
    lab.book("\n    steps:\n      - {id: a, uses: lab.once}\n    finally:\n      - {id: b, gate: 1 == 1}\n")

    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("subprocess.Popen", refuse)
    ran = lab.run()
    assert ran.statuses == {"a": "broken", "b": "passed"}
    assert ran.end("a")["error"]["type"] == "WorkerNotStarted"


# ── The interface ────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture
def workers(stuck: Lab) -> Iterator[LocalWorkers]:
    """Workers of a project, ended after the test."""
    workers = LocalWorkers(stuck.root, None)
    yield workers
    workers.close()
    assert processes_in(stuck.root) == {}


def request(lab: Lab, uses: str, **arguments: object) -> Request:
    """Return a request to run a step function."""
    working = lab.root / "working"
    working.touch()
    profile = Profile("none", Section({}))
    return Request("run", f"t:{uses}", uses, arguments, "r", "s", 1, lab.root / "artifacts", working, profile)


def answer_of(attempt: LocalWorker) -> Message:
    """Wait for the answer of an attempt."""

    def read() -> Message | None:
        said = attempt.read()
        return said[-1] if said and isinstance(said[-1], Result | Failure | Death) else None

    found: Message = wait_until(read)
    return found


def test_last_message_is_the_answer(stuck: Lab, workers: LocalWorkers) -> None:
    """An attempt ends with exactly one of Result, Failure and Death; a second read has nothing more."""
    attempt = workers.start(request(stuck, "stuck.name"), timeout=None, grace=1, fresh=False)
    assert isinstance(answer_of(attempt), Result)
    assert attempt.read() == []
    workers.release(attempt)
    again = workers.start(request(stuck, "stuck.none"), timeout=None, grace=1, fresh=False)
    assert again is attempt
    failure = answer_of(again)
    assert isinstance(failure, Failure)
    assert (failure.type, failure.message) == ("NoSuchStep", "steps.stuck has no function 'none'")
    workers.release(again)


def test_stop_kills_after_the_grace(stuck: Lab, workers: LocalWorkers) -> None:
    """`stop` asks with TERM and kills when the grace is over; a second stop only shortens it."""
    attempt = workers.start(request(stuck, "stuck.hang", how="ignores TERM"), timeout=None, grace=1, fresh=False)
    wait_until((stuck.root / "hanging").exists)
    time.sleep(0.1)
    attempt.stop(60)
    attempt.stop(0.1)
    attempt.stop(60)
    assert answer_of(attempt) == Death(timed_out=False, status=-signal.SIGKILL)
    workers.release(attempt)


def test_idle_worker_that_died_is_not_used(stuck: Lab, workers: LocalWorkers) -> None:
    """A warm worker that came to its end meanwhile is left aside, and the step gets another."""
    workers.warm()
    _, worker = _pair(stuck.root)
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: not processes_in(stuck.root))
    attempt = workers.start(request(stuck, "stuck.name"), timeout=None, grace=1, fresh=False)
    assert isinstance(answer_of(attempt), Result)
    workers.release(attempt)


def test_close_gives_a_step_its_grace(stuck: Lab, workers: LocalWorkers) -> None:
    """An engine that has to end lets a step under way end cleanly first, as long as its grace lasts."""
    stuck.steps(
        "tidy",
        """
import time
from aurora.engine.context import Context
from aurora.engine.registry import step

@step()
def session(context: Context) -> None:
    while not context.stopping:
        (context.project / "open").touch()
        time.sleep(0.01)
    time.sleep(0.5)
    (context.project / "flat").touch()
""",
    )
    workers.start(request(stuck, "tidy.session"), timeout=None, grace=5, fresh=True)
    wait_until((stuck.root / "open").exists)
    workers.close()
    assert (stuck.root / "flat").exists()


def test_warden_is_small(stuck: Lab, workers: LocalWorkers) -> None:
    """Engine rule 17: the warden imports nothing of Aurora and no site packages: it starts at once."""
    workers.warm()
    warden, _ = _pair(stuck.root)
    maps = Path(f"/proc/{warden}/maps").read_text()
    assert "site-packages" not in maps
    code = f"import runpy, sys; runpy.run_path({str(_warden())!r}, run_name='no'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert "aurora" not in done.stdout


def _warden() -> Path:
    from aurora.engine import warden  # noqa: PLC0415 - only its place is asked for

    return Path(warden.__file__)
