"""The warden: starts one worker, and ends it when the engine is gone or its time is up. Standard library only.

    warden.py CONTROL_FD PROGRAM [ARGUMENT ...]

It is the worker's parent, so the worker's process id can't be reused behind its back. On the control socket it reads
`arm TIMEOUT GRACE` (seconds; `-` for no timeout), `disarm`, and `stop GRACE`; it writes `pid N`, `timeout`,
`disarmed` and `exit STATUS`. When the control socket closes, or a timeout passes, the worker's process group gets TERM,
then, after the grace, KILL (engine rule 17). PDEATHSIG is not used: it fires when the forking thread ends.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time

DEFAULT_GRACE = 5.0


def start(program: list[str], control: int, wake: tuple[int, int]) -> int:
    """Start the worker in a session of its own and return its process id."""
    child = os.fork()
    if child:
        return child
    try:
        os.setsid()
        os.close(control)
        for descriptor in wake:
            os.close(descriptor)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        os.execv(program[0], program)
    finally:
        os._exit(127)


class Warden:
    """Holds the worker's deadlines; `run` returns when the worker is gone."""

    def __init__(self, control: int, child: int, wake: int) -> None:
        self.control = control
        self.child = child
        self.wake = wake
        self.grace = DEFAULT_GRACE
        self.deadline: float | None = None
        self.kill_at: float | None = None
        self.buffer = b""

    def run(self) -> None:
        """Watch the control socket, the clock and the worker until the worker has ended."""
        self.say(f"pid {self.child}")
        while True:
            readable, _, _ = select.select(
                [self.wake, *([self.control] if self.control >= 0 else [])], [], [], self.patience()
            )
            if self.control in readable:
                self.listen()
            if self.wake in readable:
                os.read(self.wake, 4096)
            ended, status = os.waitpid(self.child, os.WNOHANG)
            if ended:
                self.signal_group(signal.SIGKILL)  # what the worker left behind in its group
                self.say(f"exit {os.waitstatus_to_exitcode(status)}")
                return
            self.tick()

    def patience(self) -> float | None:
        """Return the seconds until the next deadline; None when there is none."""
        times = [at for at in (self.deadline, self.kill_at) if at is not None]
        return max(0.0, min(times) - time.monotonic()) if times else None

    def tick(self) -> None:
        """Act on the deadlines that have passed."""
        now = time.monotonic()
        if self.deadline is not None and now >= self.deadline:
            self.deadline = None
            self.say("timeout")
            self.stop(self.grace)
        if self.kill_at is not None and now >= self.kill_at:
            self.kill_at = now + 1.0  # again, should anything have joined the group
            self.signal_group(signal.SIGKILL)

    def listen(self) -> None:
        """Read the engine's words; its silence for good (a closed socket) stops the worker."""
        try:
            data = os.read(self.control, 4096)
        except OSError:
            data = b""
        if not data:
            os.close(self.control)
            self.control = -1
            self.stop(self.grace)
            return
        *lines, self.buffer = (self.buffer + data).split(b"\n")
        for line in lines:
            self.obey(line.decode("ascii", "replace").split())

    def obey(self, words: list[str]) -> None:
        """Do what one line says."""
        if words[:1] == ["arm"]:
            self.deadline = None if words[1] == "-" else time.monotonic() + float(words[1])
            self.grace = float(words[2])
        elif words[:1] == ["disarm"]:
            self.deadline = None
            self.say("disarmed")
        elif words[:1] == ["stop"]:
            self.stop(float(words[1]))

    def stop(self, grace: float) -> None:
        """Ask the worker to end; a second stop only shortens its grace."""
        first = self.kill_at is None
        kill_at = time.monotonic() + grace
        self.kill_at = kill_at if self.kill_at is None else min(self.kill_at, kill_at)
        if first:
            self.signal_group(signal.SIGTERM)

    def signal_group(self, number: int) -> None:
        """Send a signal to the worker's whole group."""
        try:
            os.killpg(self.child, number)
        except ProcessLookupError:  # it has only just been forked and leads no group yet
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.child, number)

    def say(self, line: str) -> None:
        """Tell the engine, if it is still there."""
        if self.control >= 0:
            with contextlib.suppress(OSError):
                os.write(self.control, line.encode() + b"\n")


def main(arguments: list[str]) -> int:
    """Run the warden; see the module's text."""
    control = int(arguments[0])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    os.set_blocking(wake_read, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    child = start(arguments[1:], control, (wake_read, wake_write))
    for descriptor in open_descriptors():
        if descriptor not in (control, wake_read, wake_write):
            with contextlib.suppress(OSError):
                os.close(descriptor)
    Warden(control, child, wake_read).run()
    return 0


def open_descriptors() -> list[int]:
    """Return the descriptors that are open here; those of the worker would keep its pipes from closing."""
    return [int(name) for name in os.listdir("/dev/fd")]  # noqa: PTH208 - pathlib would cost the warden its start


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
