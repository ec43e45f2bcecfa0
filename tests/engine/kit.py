"""A project on disk that tests fill with runbooks and steps, and run inside this process or in real ones."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import termios
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pexpect import EOF, TIMEOUT
from pexpect.fdpexpect import fdspawn

from aurora.clock import SystemClock
from aurora.engine.execute import GoingOn, resume_run, start_run
from aurora.engine.leg import Desk
from aurora.engine.project import Project
from aurora.engine.prompts import Nobody, Person
from aurora.engine.records import run_ids
from aurora.engine.state import RunState, StepState
from aurora.engine.workers import Progress
from aurora.journal import Event, read_journal

ROOT = Path(__file__).resolve().parents[2]
INVOKE = [sys.executable, "-m", "invoke"]
COMMAND = [sys.executable, "-c", "from aurora.commands.main import entry; entry()"]

BASE = """
    mode: paper
    venue: simulated
    secrets: [LAB_TOKEN]
    limit: 400
"""

LAB = '''
    """Steps that tests are made of. What a step did to the world is a line in effects.txt."""

    import os
    import signal
    import subprocess
    import sys
    import time
    from dataclasses import dataclass
    from decimal import Decimal
    from pathlib import Path

    from aurora.engine.context import Context
    from aurora.engine.registry import Verdict, step

    @dataclass(frozen=True)
    class Out:
        n: int = 1
        price: Decimal = Decimal("1.5")
        text: str = ""

    def act(context: Context, line: str) -> None:
        path = context.project / "effects.txt"
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.write(descriptor, line.encode() + b"\\n")
        os.close(descriptor)

    def acts(context: Context) -> list[str]:
        path = context.project / "effects.txt"
        return path.read_text().splitlines() if path.exists() else []

    @step(repeat="safe")
    def work(context: Context, n: int = 1, price: Decimal = Decimal("1.5"), text: str = "", seconds: float = 0) -> Out:
        act(context, f"{context.step} work")
        time.sleep(seconds)
        return Out(n, price, text)

    @step(repeat="safe", dry_run="run")
    def boom(context: Context, text: str = "kaput", seconds: float = 0) -> Out:
        act(context, f"{context.step} boom")
        time.sleep(seconds)
        raise RuntimeError(text)

    @step()
    def once(context: Context, n: int = 1, seconds: float = 0) -> Out:
        act(context, f"{context.step} once")
        time.sleep(seconds)
        return Out(n)

    @step(repeat="safe")
    def flaky(context: Context, good: int = 3) -> Out:
        """Fail until the attempt `good`."""
        act(context, f"{context.step} attempt {context.attempt}")
        if context.attempt < good:
            raise ConnectionError(f"attempt {context.attempt}")
        return Out(context.attempt)

    @step(repeat="safe")
    def wait_for(context: Context, name: str, seconds: float = 20) -> Out:
        """Wait until a file of that name lies in the project."""
        act(context, f"{context.step} waiting")
        end = time.monotonic() + seconds
        while not (context.project / name).exists():
            if time.monotonic() > end:
                raise TimeoutError(name)
            if context.stopping:
                break
            time.sleep(0.005)
        return Out()

    @step(repeat="safe")
    def boom_after(context: Context, name: str) -> Out:
        """Fail, once a file of that name lies in the project."""
        wait_for(context, name)
        raise RuntimeError("kaput")

    @step(repeat="safe")
    def meet(context: Context, other: str, seconds: float = 20) -> Out:
        """Pass only when another step is running at the same time."""
        act(context, f"{context.step} here")
        end = time.monotonic() + seconds
        while f"{other} here" not in acts(context):
            if time.monotonic() > end:
                raise TimeoutError(other)
            time.sleep(0.005)
        return Out()
'''


@dataclass
class Recorder:
    """A listener that keeps what it is told; `react` maps an event's type to what a test does when it comes."""

    live: bool = False
    events: list[Event] = field(default_factory=list)
    logs: list[tuple[str, str]] = field(default_factory=list)
    progress: list[tuple[str, Progress]] = field(default_factory=list)
    ticks: int = 0
    react: dict[str, Callable[[Event], None]] = field(default_factory=dict)

    def on_past(self, events: Sequence[Event]) -> None:
        for event in events:
            self.on_event(event)

    def on_event(self, event: Event) -> None:
        self.events.append(event)
        if event.type in self.react:
            self.react[event.type](event)

    def touch(self, path: Path, type_: str, *steps: str) -> Recorder:
        """Make the file `path` once an event of this type has come for each of `steps`."""
        left = set(steps)

        def look(event: Event) -> None:
            left.discard(event.data["step"])
            if not left:
                path.touch()

        self.react[type_] = look
        return self

    def on_progress(self, step: str, progress: Progress) -> None:
        self.progress.append((step, progress))

    def on_log(self, step: str, line: str) -> None:
        self.logs.append((step, line))

    def tick(self) -> None:
        self.ticks += 1


@dataclass
class Ran:
    """A run as its journal tells it."""

    folder: Path
    outcome: str = ""
    code: int = -1
    listener: Recorder = field(default_factory=Recorder)

    @property
    def events(self) -> tuple[Event, ...]:
        return read_journal(self.folder / "journal.jsonl").events

    @property
    def state(self) -> RunState:
        return RunState.of(self.events)

    def step(self, step: str) -> StepState:
        return self.state.steps[step]

    @property
    def statuses(self) -> dict[str, str]:
        return {step: state.status for step, state in self.state.steps.items()}

    def of(self, type_: str, step: str | None = None) -> list[Mapping[str, Any]]:
        """Return the data of all events of a type, of one step if it is named."""
        return [
            event.data
            for event in self.events
            if event.type == type_ and (step is None or event.data.get("step") == step)
        ]

    def order(self, *types: str) -> list[str]:
        """Return `type step` of each event of these types, in order."""
        return [f"{event.type} {event.data['step']}" for event in self.events if event.type in types]

    def cut_after(self, type_: str, step: str | None = None) -> None:
        """Cut the journal after the first such event, as a kill at that moment would have left it."""
        path = self.folder / "journal.jsonl"
        lines = path.read_bytes().splitlines(keepends=True)
        for number, event in enumerate(self.events, start=1):
            if event.type == type_ and event.data.get("step") == step:
                path.write_bytes(b"".join(lines[:number]))
                return
        raise LookupError(f"{type_} {step}")

    def end(self, step: str) -> Mapping[str, Any]:
        """Return the one `step.finished` of a step; two would be a bug, whatever else a test looks for."""
        (found,) = self.of("step.finished", step)
        return found


class ShiftedClock(SystemClock):
    """This machine's clock, some seconds later (or earlier)."""

    def __init__(self, seconds: float) -> None:
        self._shift = timedelta(seconds=seconds)

    def now(self) -> datetime:
        return super().now() + self._shift


class Terminal:
    """A real terminal, and what a person does at it."""

    def __init__(self, process: subprocess.Popen[str], master: int, slave: int) -> None:
        self.process = process
        self._master, self._slave = master, slave
        self.screen = fdspawn(master, encoding="utf-8", timeout=20)

    def see(self, text: str) -> None:
        """Wait until `text` is on the screen, after what was seen before."""
        self.screen.expect_exact(text)

    def type(self, text: str) -> None:
        """Type a text; end it with a newline to send it."""
        os.write(self._master, text.encode())

    def end(self, seconds: float = 20) -> tuple[int, str]:
        """Wait for the end of the process; return its exit code and what was on the screen since."""
        os.close(self._slave)
        self._slave = -1
        seen = self.screen.expect([EOF, TIMEOUT], timeout=seconds)
        assert seen == 0, f"it is still running: {self.screen.before}"
        return self.process.wait(seconds), str(self.screen.before)

    def hang_up(self) -> None:
        """Close the terminal, as a lost connection does."""
        for descriptor in (self._slave, self._master):
            if descriptor >= 0:
                with suppress(OSError):
                    os.close(descriptor)
        self._slave = self._master = -1


class Lab:
    """A temporary project: a profile `base` on a simulated venue, the steps of LAB, and what a test adds."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.project = Project(root)
        for folder in ("runbooks", "steps", "profiles"):
            (root / folder).mkdir(parents=True)
        self.profile("base", BASE)
        self.steps("lab", LAB)
        self.started: list[subprocess.Popen[str]] = []
        self.terminals: list[Terminal] = []

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.write_text(textwrap.dedent(text).lstrip("\n"))
        return path

    def book(self, text: str, name: str = "book") -> None:
        """Write a runbook; `text` is what follows its first line."""
        self.write(f"runbooks/{name}.yaml", f"runbook: {name}\n" + textwrap.dedent(text))

    def steps(self, module: str, text: str) -> None:
        self.write(f"steps/{module}.py", text)

    def profile(self, name: str, text: str) -> None:
        self.write(f"profiles/{name}.yaml", text)

    @property
    def effects(self) -> list[str]:
        """Return what steps did to the world, in order."""
        path = self.root / "effects.txt"
        return path.read_text().splitlines() if path.exists() else []

    # inside this process

    def run(
        self,
        params: Mapping[str, Any] | None = None,
        *,
        book: str = "book",
        person: Person | None = None,
        answers: str | None = None,
        listener: Recorder | None = None,
        **options: Any,
    ) -> Ran:
        """Run a runbook to its end, here."""
        desk, recorder = self._desk(person, listener)
        path = None if answers is None else self.write("answers.yaml", answers)
        folder, outcome, code = start_run(self.project, book, self._params(book, params), desk, answers=path, **options)
        return Ran(folder, outcome, code, recorder)

    def resume(
        self,
        run: str = "last",
        *,
        person: Person | None = None,
        listener: Recorder | None = None,
        later: float = 0,
        **options: Any,
    ) -> Ran:
        """Go on with a run, here, `later` seconds after the time of this machine."""
        desk, recorder = self._desk(person, listener)
        desk.clock = ShiftedClock(later)
        folder, outcome, code = resume_run(self.project, run, desk, GoingOn(**options))
        return Ran(folder, outcome, code, recorder)

    def _desk(self, person: Person | None, listener: Recorder | None) -> tuple[Desk, Recorder]:
        recorder = listener or Recorder()
        return Desk(recorder, person or Nobody("no terminal")), recorder

    def _params(self, book: str, given: Mapping[str, Any] | None) -> dict[str, Any]:
        from aurora.engine.graph import Library  # noqa: PLC0415 - only for this

        loaded = Library(self.project).load(book).runbook
        values = {} if loaded is None else {param.name: param.default for param in loaded.params.values()}
        return {**values, **(given or {})}

    # in processes of their own

    def environment(self, **more: str) -> dict[str, str]:
        """Return a plain environment: no CI, nobody's secrets."""
        keep = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
        return {**keep, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error", "PYTHONDONTWRITEBYTECODE": "1", **more}

    def command(
        self,
        *words: str,
        env: Mapping[str, str] | None = None,
        timeout: float = 60,
        command: Sequence[str] = COMMAND,
        options: Mapping[str, Any] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run Aurora's command line to its end, without a terminal."""
        options = {"stdin": subprocess.DEVNULL, "capture_output": True, **(options or {})}
        return subprocess.run(
            [*command, *words],
            cwd=self.root,
            env=self.environment(**(env or {})),
            text=True,
            timeout=timeout,
            **options,
        )

    def spawn(
        self,
        *words: str,
        env: Mapping[str, str] | None = None,
        command: Sequence[str] = COMMAND,
        options: Mapping[str, Any] | None = None,
    ) -> subprocess.Popen[str]:
        """Start Aurora's command line; the fixture ends what a test leaves running."""
        pipe = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        options = {**pipe, **(options or {})}
        process = subprocess.Popen(
            [*command, *words], cwd=self.root, env=self.environment(**(env or {})), text=True, **options
        )
        self.started.append(process)
        return process

    def terminal(self, *words: str, env: Mapping[str, str] | None = None, command: Sequence[str] = COMMAND) -> Terminal:
        """Start Aurora's command line at a terminal of its own, with a person who is the test."""
        master, slave = os.openpty()
        termios.tcsetwinsize(slave, (50, 160))
        # The shell opens the terminal first thing in its session, so that Ctrl-C there means what it means everywhere.
        shell = ["sh", "-c", 'exec "$@" <"$0" >"$0" 2>&1', os.ttyname(slave)]
        process = subprocess.Popen(
            [*shell, *command, *words],
            cwd=self.root,
            env=self.environment(TERM="xterm", **(env or {})),
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        terminal = Terminal(process, master, slave)
        self.terminals.append(terminal)
        return terminal

    def last(self) -> Ran:
        """Return the newest run."""
        return Ran(self.project.runs / run_ids(self.project)[-1])

    @property
    def journal_text(self) -> str:
        """Return the text of the newest run's journal, empty while there is none."""
        for run_id in reversed(run_ids(self.project)):
            path = self.project.runs / run_id / "journal.jsonl"
            return path.read_text() if path.exists() else ""
        return ""

    def close(self) -> None:
        """End what is still running."""
        for terminal in self.terminals:
            terminal.hang_up()
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    stream.close()


def wait_until(condition: Callable[[], Any], seconds: float = 20, what: str = "it") -> Any:
    """Wait until `condition` is true and return what it said. Raises TimeoutError."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not happen within {seconds:g} s")
        time.sleep(0.005)
    return found


def processes_in(folder: Path) -> dict[int, str]:
    """Return the processes that work in `folder` (workers and wardens do), by id with their command."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "cwd").readlink() == folder and _state(entry) != "Z":
                    found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
            except OSError:
                continue
    return found


def _state(entry: Path) -> str:
    return (entry / "stat").read_text().rpartition(")")[2].split()[0]


def kill(process: subprocess.Popen[str]) -> None:
    """Kill a process as `kill -9` does, and see it gone."""
    process.send_signal(signal.SIGKILL)
    process.wait()


@contextmanager
def bound_steps() -> Iterator[None]:
    """Give `sys.path` and the package `steps` back to whoever had them; the engine binds both to its project."""
    path = list(sys.path)
    before = {name: module for name, module in sys.modules.items() if _is_step(name)}
    try:
        yield
    finally:
        sys.path[:] = path
        for name in [name for name in sys.modules if _is_step(name)]:
            del sys.modules[name]
        sys.modules.update(before)


def _is_step(name: str) -> bool:
    return name == "steps" or name.startswith("steps.")
