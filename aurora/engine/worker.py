"""The worker process: calls step functions for the engine, one at a time, and answers over a socket.

A line is one JSON object. From the engine: `hello` (project, services), `profile`, `run`, `verify`. To the engine:
`progress`, `result`, `error`. Standard output and error go to the step's log, whoever writes them.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import json
import math
import os
import signal
import socket
import sys
import time
import traceback
from decimal import Decimal
from pathlib import Path
from typing import Any

from aurora.engine.context import Context
from aurora.engine.functions import FunctionTable, NoSuchStep, StepFunction
from aurora.engine.registry import Verdict
from aurora.engine.values import TypeMismatch, decode, encode
from aurora.errors import AuroraError
from aurora.grant import Grant
from aurora.profile import Profile, Section

MAX_MESSAGE = 8_000_000
MAX_TEXT = 200_000
"""Of an error's text; the engine masks secrets in it and keeps a tenth, so that none is cut in half and so missed."""
PROGRESS_EVERY_S = 0.05


class StepStopped(BaseException):
    """The engine asked this step to stop, and it never looked at `context.stopping`."""


class Worker:
    """Reads a request, calls the function, writes the answer; keeps nothing between requests but imported modules."""

    def __init__(self, channel: socket.socket) -> None:
        self.channel = channel
        self.project = Path()
        self.services: str | None = None
        self.profiles: dict[str, Profile] = {}
        self.functions: FunctionTable | None = None
        self.stop_asked = False
        self.cooperative = False
        self.busy = False
        self.sending = False
        self.broken_off = False
        self.saw_stop = False
        self.last_progress = 0.0
        self.working: int | None = None

    def serve(self) -> None:
        """Answer requests until the engine closes the socket."""
        self._listen_to_signals()
        with self.channel.makefile("rb") as lines:
            for line in lines:
                request = json.loads(line)
                getattr(self, "_on_" + request["op"])(request)
                if self.stop_asked:
                    sys.exit(128 + signal.SIGTERM)

    def _listen_to_signals(self) -> None:
        signal.signal(signal.SIGTERM, self._on_term)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def _on_term(self, *_: object) -> None:
        self.stop_asked = True
        if not self.busy:
            os._exit(0)
        if not self.cooperative and not self.sending:
            self._break_off()

    def _break_off(self) -> None:
        self.broken_off = True
        raise StepStopped

    def _on_hello(self, request: dict[str, Any]) -> None:
        self.project = Path(request["project"])
        self.services = request["services"]
        self.functions = FunctionTable(self.project)

    def _on_profile(self, request: dict[str, Any]) -> None:
        profile = Profile(request["name"], Section(unpack(request["values"])), tuple(request["files"]))
        self.profiles[request["key"]] = profile

    def _on_run(self, request: dict[str, Any]) -> None:
        """Run one attempt of a step; every way in which it can end is one answer.

        1. it returned what it declared: `result`; 2. it returned something else, or what JSON can't carry: `error`;
        3. it raised, or called sys.exit: `error` with the trace; 4. it was asked to stop and did not look: no answer,
        and the process ends; 5. the process dies, or is killed: no answer either.
        """
        self._answer(
            request,
            lambda function, arguments: {"result": self._call(function, arguments), "stopped": self.saw_stop},
        )

    def _on_verify(self, request: dict[str, Any]) -> None:
        def verify(function: StepFunction, arguments: dict[str, Any]) -> dict[str, Any]:
            if function.info.verify is None:
                raise LookupError(f"{function.uses} has no verify function")
            context = arguments.pop("context", None)
            given = (context,) if function.wants_context else ()
            found = function.info.verify(*given, **arguments)
            if not isinstance(found, Verdict) or found.answer not in ("done", "not_done", "unknown"):
                raise TypeError(f"the verify function of {function.uses} returned {found!r}, not a Verdict")
            outputs = self._outputs(function, found.outputs) if found.answer == "done" else None
            return {"result": {"answer": found.answer, "outputs": outputs, "reason": found.reason}}

        self._answer(request, verify)

    def _answer(self, request: dict[str, Any], act: Any) -> None:
        self._hold(request["working"])
        if self._engine_is_gone():
            os._exit(0)
        try:
            self.busy, self.cooperative, self.saw_stop = True, False, False
            self._start_afresh()
            reply = act(*self._prepare(request))
        except BaseException as error:  # noqa: BLE001 - a step's error, sys.exit included, is its own and not the worker's
            # What a step raises because it was broken off says nothing of what it did: that is no answer.
            reply = {} if self.broken_off else {"error": self._described(error)}
        finally:
            self.busy = False
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):  # the step may have closed it
                stream.flush()
        if reply:
            self._send({"token": request["token"], **reply})

    def _start_afresh(self) -> None:
        """Undo what the step before may have done to this process."""
        self._listen_to_signals()
        os.chdir(self.project)

    def _hold(self, path: str) -> None:
        """Lock `path` for as long as this process lives: a resume waits for that before it asks what a step did."""
        if self.working is None:
            self.working = os.open(path, os.O_RDONLY)
            fcntl.flock(self.working, fcntl.LOCK_SH)

    def _engine_is_gone(self) -> bool:
        try:
            return not self.channel.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def _prepare(self, request: dict[str, Any]) -> tuple[StepFunction, dict[str, Any]]:
        assert self.functions is not None
        function = self.functions.find(request["uses"])
        arguments = {name: decode(value, function.arguments[name].hint) for name, value in request["with"].items()}
        if function.wants_context:
            arguments["context"] = self._context(request)
        return function, arguments

    def _call(self, function: StepFunction, arguments: dict[str, Any]) -> Any:
        context = arguments.pop("context", None)
        returned = function.function(context, **arguments) if function.wants_context else function.function(**arguments)
        return self._outputs(function, returned)

    def _outputs(self, function: StepFunction, returned: Any) -> Any:
        if function.returns is None:
            if returned is not None:
                raise TypeError(f"{function.uses} returned {type(returned).__name__} and declares no return type")
            return None
        if not isinstance(returned, function.returns):
            raise TypeError(f"{function.uses} returned {type(returned).__name__}, declared {function.returns.__name__}")
        outputs = encode(returned)
        try:
            decode(outputs, function.returns)
        except TypeMismatch as error:
            raise TypeError(f"{function.uses} returned what it did not declare: {error}") from error
        if len(json.dumps(outputs)) > MAX_MESSAGE:
            raise ValueError(
                f"the outputs of {function.uses} are larger than {MAX_MESSAGE:,} characters; leave an artifact"
            )
        return outputs

    def _context(self, request: dict[str, Any]) -> Context[Any]:
        return Context(
            run=request["run"],
            step=request["step"],
            attempt=request["attempt"],
            token=request["token"],
            project=self.project,
            folder=Path(request["artifacts"]),
            profile=self.profiles[request["profile"]],
            dry_run=request["dry_run"],
            grant=None if request["grant"] is None else Grant(**request["grant"]),
            make_services=self._factory(),
            on_progress=self._on_progress,
            on_log=lambda text: print(text, flush=True),  # noqa: T201 - standard output is the log
            is_stopping=self._is_stopping,
        )

    def _factory(self) -> Any:
        if self.services is None:
            return None
        module, _, name = self.services.partition(":")
        return lambda context: getattr(importlib.import_module(module), name)(context)  # noqa: PLW0108 - imported late

    def _is_stopping(self) -> bool:
        self.cooperative = True
        self.saw_stop = self.stop_asked
        return self.stop_asked

    def _on_progress(self, done: float, total: float | None, label: str) -> None:
        now = time.monotonic()
        if now - self.last_progress >= PROGRESS_EVERY_S or done == total:
            self.last_progress = now
            numbers = [_finite(number) for number in (done, total)]
            self._send({"progress": [numbers[0] or 0.0, numbers[1], str(label)[:200]]})

    def _described(self, error: BaseException) -> dict[str, str]:
        kind = type(error).__name__
        if isinstance(error, NoSuchStep):
            return {"type": kind, "message": str(error), "trace": ""}
        if isinstance(error, AuroraError):  # said in words already: what happened, what it means, what to do
            return {"type": kind, "message": error.diagnostics()[:MAX_TEXT], "trace": ""}
        try:
            message, trace = str(error), "".join(traceback.format_exception(error))
        except Exception as second:  # noqa: BLE001 - an error that can't say what it is must not hide that it was
            message, trace = f"(its text can't be made: {type(second).__name__})", ""
        return {"type": kind, "message": message[:MAX_TEXT], "trace": trace[-MAX_TEXT:]}

    def _send(self, message: dict[str, Any]) -> None:
        """Write one line whole: a stop that comes meanwhile takes effect after it."""
        raw = json.dumps(message, allow_nan=False).encode() + b"\n"
        self.sending = True
        try:
            self.channel.sendall(raw)
        finally:
            self.sending = False
        if self.stop_asked and self.busy and not self.cooperative:
            self._break_off()


def pack(value: Any) -> Any:
    """Return profile values as JSON data that keeps Decimal apart from text."""
    if isinstance(value, Decimal):
        return {"$decimal": str(value)}
    if isinstance(value, dict):
        return {key: pack(item) for key, item in value.items()}
    return [pack(item) for item in value] if isinstance(value, list) else value


def unpack(value: Any) -> Any:
    """Undo `pack`."""
    if isinstance(value, dict):
        return Decimal(value["$decimal"]) if value.keys() == {"$decimal"} else {k: unpack(v) for k, v in value.items()}
    return [unpack(item) for item in value] if isinstance(value, list) else value


def _finite(number: float | None) -> float | None:
    """Return what can be sent of a step's progress: what is no number is not known."""
    value = None if number is None else float(number)
    return value if value is not None and math.isfinite(value) else None


def main() -> None:
    """Serve on the socket whose descriptor is the first argument."""
    os.set_inheritable(int(sys.argv[1]), False)
    Worker(socket.socket(fileno=int(sys.argv[1]))).serve()


if __name__ == "__main__":
    main()
