"""Where a step runs: the small interface of a place, and the place that there is, local worker processes.

An attempt's token is its idempotency key; nothing here assumes more of a place than `Workers` and `Attempt` say.
"""

# Kept whole: the interface of a place where steps run, beside the one place that there is.

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from aurora.engine import warden
from aurora.engine.worker import pack
from aurora.grant import Grant
from aurora.profile import Profile

CHUNK = 1 << 16
MANY_CHUNKS = 256
FEW_CHUNKS = 16
"""A step that never stops talking must not keep the engine from everything else."""
LONGEST_LINE = 1 << 20
IDLE_GRACE_S = 2.0
WARDEN_PATIENCE_S = 10.0


@dataclass(frozen=True)
class Request:
    """One call of a step function, or of its `verify`; `with_` is encoded."""

    op: str
    token: str
    uses: str
    with_: Mapping[str, Any]
    run: str
    step: str
    attempt: int
    artifacts: Path
    working: Path
    """The file that a worker locks while it lives."""
    profile: Profile
    dry_run: bool = False
    grant: Grant | None = None


@dataclass(frozen=True)
class Progress:
    """How far a step is: `done` of `total` (None when unknown)."""

    done: float
    total: float | None
    label: str


@dataclass(frozen=True)
class LogLine:
    """One line that a step logged or printed."""

    text: str


@dataclass(frozen=True)
class Result:
    """The step function returned; `outputs` is encoded. `stopped`: it had seen that it was asked to stop."""

    outputs: Any
    stopped: bool = False


@dataclass(frozen=True)
class Failure:
    """The step function raised."""

    type: str
    message: str
    trace: str


@dataclass(frozen=True)
class Death:
    """The worker ended without an answer: killed at its timeout, or by something else."""

    timed_out: bool
    status: int | None


Message = Progress | LogLine | Result | Failure | Death


class Attempt(Protocol):
    """A request under way."""

    def descriptors(self) -> Sequence[int]:
        """Return the descriptors that become readable when there is something to `read`."""

    def read(self) -> list[Message]:
        """Return what has come since, without waiting; the last message of an attempt is Result, Failure or Death."""

    def stop(self, grace: float) -> None:
        """Ask the step to end, and kill it after `grace` seconds."""


class Workers(Protocol):
    """A place where steps run."""

    def start(self, request: Request, *, timeout: float | None, grace: float, fresh: bool) -> Attempt:
        """Start a request; it is ended after `timeout` seconds."""

    def release(self, attempt: Attempt) -> None:
        """Give back what an ended attempt held."""

    def close(self) -> None:
        """End everything and wait until it has ended."""


class LocalWorkers:
    """Worker processes on this machine, each beside a warden; idle ones are kept warm."""

    def __init__(self, root: Path, services: str | None, environment: Mapping[str, str] | None = None) -> None:
        keep_standard_descriptors()
        self._root = root
        self._services = services
        self._environment = environment
        self._idle: list[LocalWorker] = []
        self._busy: list[LocalWorker] = []
        self._ending: list[LocalWorker] = []

    def warm(self) -> None:
        """Start one worker ahead of its first step."""
        self._idle.append(LocalWorker(self._root, self._services, self._environment))

    def start(self, request: Request, *, timeout: float | None, grace: float, fresh: bool) -> LocalWorker:
        """Start a request in an idle worker, or in a new one when it must be fresh. Raises OSError."""
        worker = self._take(fresh) or LocalWorker(self._root, self._services, self._environment)
        self._busy.append(worker)
        worker.begin(request, timeout, grace, keep=not fresh)
        return worker

    def _take(self, fresh: bool) -> LocalWorker | None:
        for worker in [worker for worker in self._idle if not (fresh and worker.used)]:
            self._idle.remove(worker)
            if worker.is_sound():
                return worker
            self._end(worker)
        return None

    def release(self, attempt: Attempt) -> None:
        """Keep the worker warm, or end it when it was fresh, died or was stopped."""
        assert isinstance(attempt, LocalWorker)
        self._busy.remove(attempt)
        if attempt.reusable:
            self._idle.append(attempt)
        else:
            self._end(attempt)

    def _end(self, worker: LocalWorker) -> None:
        worker.end()
        self._ending = [each for each in [*self._ending, worker] if not each.has_ended()]

    def close(self) -> None:
        """End all workers, steps under way within their grace, and wait for their wardens."""
        everyone = [*self._idle, *self._busy, *self._ending]
        self._idle, self._busy, self._ending = [], [], []
        for worker in everyone:
            worker.end()
        for worker in everyone:
            worker.wait()


class LocalWorker:
    """One worker process, its warden, and the three channels to them: requests, the warden's control, the log."""

    def __init__(self, root: Path, services: str | None, environment: Mapping[str, str] | None = None) -> None:
        self._channel, theirs = socket.socketpair()
        self._control, control = socket.socketpair()
        self._log, log = os.pipe()
        program = [sys.executable, "-u", "-P", "-c", _START, str(theirs.fileno()), *filter(None, sys.path)]
        os.set_inheritable(log, True)
        try:
            self._warden = subprocess.Popen(
                [sys.executable, "-I", "-S", str(warden.__file__), str(control.fileno()), *program],
                pass_fds=(theirs.fileno(), control.fileno()),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=root,
                env=environment,
                start_new_session=True,
            )
        except OSError:
            self._close()
            raise
        finally:
            theirs.close()
            control.close()
            os.close(log)
        for descriptor in (self._channel.fileno(), self._control.fileno(), self._log):
            os.set_blocking(descriptor, False)
        self._told: set[str] = set()
        self._buffers: dict[int, bytes] = {}
        self._closed: set[int] = set()
        self._pid: int | None = None
        self._exit: int | None = None
        self._timed_out = False
        self._gone = False
        self._answered = True
        self._armed = False
        self._grace = warden.DEFAULT_GRACE
        self._token = ""
        self._keep = True
        self.used = False
        self._stopped = False
        self._send({"op": "hello", "project": str(root), "services": services})

    def begin(self, request: Request, timeout: float | None, grace: float, *, keep: bool) -> None:
        """Hand over a request."""
        self.used, self._answered, self._keep = True, False, keep
        if timeout is not None or grace != self._grace:  # else the warden knows it all, and is left asleep
            self._tell(f"arm {'-' if timeout is None else timeout} {grace}")
        self._armed, self._grace, self._token = timeout is not None, grace, request.token
        profile = request.profile
        if profile.digest not in self._told:
            self._told.add(profile.digest)
            values = pack(profile.values.plain())
            named = {"key": profile.digest, "name": profile.name}
            self._send({"op": "profile", **named, "values": values, "files": profile.files})
        self._send(
            {
                "op": request.op,
                "token": request.token,
                "uses": request.uses,
                "with": request.with_,
                "run": request.run,
                "step": request.step,
                "attempt": request.attempt,
                "artifacts": str(request.artifacts),
                "grant": None if request.grant is None else asdict(request.grant),
                "working": str(request.working),
                "profile": profile.digest,
                "dry_run": request.dry_run,
            }
        )

    @property
    def reusable(self) -> bool:
        """Return whether another step may run in this worker."""
        return (
            self._keep
            and self._answered
            and not (self._stopped or self._gone or self._timed_out or self._exit is not None)
        )

    def is_sound(self) -> bool:
        """Return whether a worker that answered has not come to its end since.

        A timeout may pass in the moment in which its step answers; the warden's word on the matter is waited for.
        """
        if self._armed:
            poll = select.poll()
            poll.register(self._control, select.POLLIN)
            poll.poll(1_000)
        self._hear()
        return not self._armed and self.reusable

    def descriptors(self) -> Sequence[int]:
        """Return the channels to wait on: those that the other side has not closed."""
        every = () if self._gone else (self._channel.fileno(), self._control.fileno(), self._log)
        return [descriptor for descriptor in every if descriptor not in self._closed]

    def read(self) -> list[Message]:
        """Read what has come; log lines come before the answer that followed them.

        The warden is heard first: once it says that the worker has ended, all that it wrote can be read. An answer that
        comes after the step's time was up is none.
        """
        self._hear()
        answer: list[Message] = []
        progress: list[Message] = []
        for line in self._lines(self._channel.fileno(), MANY_CHUNKS):
            message = self._parsed(line)
            if "progress" in message:
                progress = [Progress(*message["progress"])]
            elif message.get("token") == self._token and "result" in message:
                answer = [Result(message["result"], message.get("stopped", False))]
            elif message.get("token") == self._token and "error" in message:
                answer = [Failure(**message["error"])]
        log = self._lines(self._log, FEW_CHUNKS)
        found: list[Message] = [LogLine(line.decode("utf-8", "replace")) for line in log]
        if answer and not self._timed_out:
            self._answered = True
            if self._armed:
                self._tell("disarm")
        elif self._exit is not None and not self._answered:
            self._answered = True
            answer = [Death(self._timed_out, self._exit)]
        else:
            answer = []
        return [*found, *progress, *answer]

    def _parsed(self, line: bytes) -> dict[str, Any]:
        try:
            message = json.loads(line)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            self._tell("stop 0")  # the step wrote into a socket that is none of its business
            return {}
        return message

    def stop(self, grace: float) -> None:
        """Ask the step to end, and kill it after `grace` seconds."""
        self._stopped = True
        self._tell(f"stop {grace}")

    def end(self) -> None:
        """Close the channels; the warden sees it and ends the worker, a step under way within its grace."""
        if not self._gone:
            self._gone = True
            self._tell(f"stop {IDLE_GRACE_S if self._answered else self._grace}")
            self._close()

    def _close(self) -> None:
        self._channel.close()
        self._control.close()
        os.close(self._log)

    def has_ended(self) -> bool:
        """Return whether the warden, and so the worker, has ended."""
        return self._warden.poll() is not None

    def wait(self) -> None:
        """Wait until the warden, and so the worker, has ended."""
        try:
            self._warden.wait(self._grace + WARDEN_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._kill_group()
            self._warden.kill()
            self._warden.wait()

    def _hear(self) -> None:
        for line in self._lines(self._control.fileno(), MANY_CHUNKS):
            word, _, rest = line.decode().partition(" ")
            if word == "pid":
                self._pid = int(rest)
            elif word == "timeout":
                self._timed_out = True
            elif word == "disarmed":
                self._armed = False
            elif word == "exit":
                self._exit = int(rest)
        if self._control.fileno() in self._closed and self._exit is None:
            self._kill_group()  # the warden itself died: nobody else would end the worker
            self._exit = -signal.SIGKILL

    def _kill_group(self) -> None:
        if self._pid is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._pid, signal.SIGKILL)

    def _lines(self, descriptor: int, chunks_at_once: int) -> list[bytes]:
        """Return the whole lines that can be read now; a channel that has closed is remembered."""
        if self._gone or descriptor in self._closed:
            return []
        chunks = [self._buffers.get(descriptor, b"")]
        closed = False
        for _ in range(chunks_at_once):
            try:
                chunk = os.read(descriptor, CHUNK)
            except BlockingIOError:
                break
            except OSError:
                chunk = b""
            if not chunk:
                closed = True
                break
            chunks.append(chunk)
        *lines, rest = b"".join(chunks).split(b"\n")
        if closed:
            self._closed.add(descriptor)
            lines, rest = [*lines, rest] if rest else lines, b""
            if descriptor == self._channel.fileno():
                self._tell("stop 2")  # a worker that can't answer any more is of no use
        if descriptor == self._log and len(rest) > LONGEST_LINE:
            lines, rest = [*lines, rest], b""
        self._buffers[descriptor] = rest
        return lines

    def _send(self, message: Mapping[str, Any]) -> None:
        raw = json.dumps(message, allow_nan=False).encode() + b"\n"
        self._channel.setblocking(True)
        try:
            self._channel.sendall(raw)
        except OSError:
            pass  # the worker is gone; its death is read from the control channel
        finally:
            self._channel.setblocking(False)

    def _tell(self, line: str) -> None:
        with contextlib.suppress(OSError):
            self._control.send(line.encode() + b"\n")


_START = "import sys; sys.path[:] = sys.argv[2:]; from aurora.engine.worker import main; main()"


def keep_standard_descriptors() -> None:
    """Open /dev/null where a standard descriptor is closed (`<&-`): a journal or a pipe must not get its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
