"""Engine processes that are killed at one write of their journal. Run by tests; nothing of it is in Aurora.

It reads one JSON object a line: `verb` (run, resume, cancel), `project`, `point`, `count`, `settle`, `after`, `back`,
`jump`. It forks, and
the child wraps the journal's writing and syncing, counts the lines, and at line `count` sends itself SIGKILL: `before`
the write, `torn` (half of the line is written), `written` (not synced yet) or `synced`. With `after` it is killed that
many seconds after it began; with `none` it runs on. Its clock is set back by `back` seconds when it has been read
`jump` times. The answer is a JSON object: `status` of the process, its `error`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from aurora import journal
from aurora.clock import Clock, SystemClock
from aurora.engine.execute import GoingOn, resume_run, start_run
from aurora.engine.leg import Desk
from aurora.engine.project import Project
from aurora.engine.prompts import Nobody


class Killer:
    """Counts journal lines and ends the process at one of them."""

    def __init__(self, point: str, count: int, die: Callable[[], object]) -> None:
        self.point, self.count, self.die = point, count, die
        self.lines = 0

    def install(self) -> None:
        """Put the wrappers in place of what they wrap."""
        killer, write, sync = self, journal.Journal._write, journal._sync

        def line(self: journal.Journal, raw: bytes, to_disk: bool) -> None:
            killer.lines += 1
            if killer.is_due("torn"):
                os.write(self._descriptor, raw[: len(raw) // 2])
            if killer.is_due("before") or killer.is_due("torn"):
                killer.die()
            write(self, raw, to_disk)
            if killer.is_due("synced"):
                killer.die()

        def synced(descriptor: int) -> None:
            if killer.is_due("written"):
                killer.die()
            sync(descriptor)

        setattr(journal.Journal, "_write", line)  # noqa: B010 - a plain assignment is no method to the type checker
        journal._sync = synced

    def is_due(self, point: str) -> bool:
        """Return whether this is the moment."""
        return self.point == point and self.lines == self.count


def die() -> None:
    """End as `kill -9` ends a process."""
    os.kill(os.getpid(), signal.SIGKILL)


class SetBack(SystemClock):
    """The machine's clock, which someone sets back; what counts seconds goes on, as it does on a machine."""

    def __init__(self, seconds: float = 0, reads: int = 0) -> None:
        self._seconds, self._reads = seconds, reads

    def now(self) -> datetime:
        """Return the time, or the wrong time once it has been asked for so often."""
        self._reads -= 1
        return super().now() - timedelta(seconds=self._seconds if self._reads < 0 else 0)


class Deaf:
    """A listener that hears nothing."""

    live = False

    def on_past(self, events: Any) -> None:
        """Hear nothing."""

    def on_event(self, event: Any) -> None:
        """Hear nothing."""

    def on_progress(self, step: str, progress: Any) -> None:
        """Hear nothing."""

    def on_log(self, step: str, line: str) -> None:
        """Hear nothing."""

    def tick(self) -> None:
        """Do nothing."""


def engine(order: dict[str, Any]) -> None:
    """Be an engine: run or resume, and die where the order says."""
    Killer(order["point"], order["count"], die).install()
    if order["after"] is not None:
        threading.Timer(order["after"], die).start()
    project = Path(order["project"])
    os.chdir(project)
    carry_out(order["verb"], project, order["settle"], SetBack(order["back"], order["jump"]))


def carry_out(verb: str, root: Path, settle: dict[str, str], clock: Clock) -> None:
    """Run the project's book, or resume or cancel its last run."""
    project, desk = Project(root), Desk(Deaf(), Nobody("no terminal"), clock)
    if verb == "run":
        start_run(project, "book", {}, desk, answers=root / "answers.yaml")
    else:
        how = GoingOn(settle=settle, cancel="no more" if verb == "cancel" else "")
        resume_run(project, "last", desk, how)


def child(order: dict[str, Any], error: int) -> None:
    """Run the engine in a process of its own, and never come back."""
    try:
        engine(order)
    except BaseException:  # noqa: BLE001 - whatever it was is told to the test, which decides
        os.write(error, traceback.format_exc().encode())
        os._exit(1)
    os._exit(0)


def main() -> None:
    """Carry out orders until there are no more."""
    for line in sys.stdin:
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(read)
            child(json.loads(line), write)
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            error = pipe.read().decode()
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(json.dumps({"status": os.waitstatus_to_exitcode(status), "error": error}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
