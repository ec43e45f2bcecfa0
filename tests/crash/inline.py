"""An engine inside the test's own process: steps run when a dice says so, and a kill is an exception."""

from __future__ import annotations

import contextlib
import os
import random
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from aurora import journal
from aurora.clock import SystemClock
from aurora.engine import leg
from aurora.engine.context import Context
from aurora.engine.functions import FunctionTable
from aurora.engine.values import decode, encode
from aurora.engine.workers import Attempt, Failure, Message, Request, Result
from tests.crash.driver import Killer, carry_out
from tests.engine.kit import bound_steps


class Killed(BaseException):
    """The engine ends here, and does nothing more."""


class InlineAttempt:
    """A request whose function is called when it is read, sooner or later."""

    def __init__(self, root: Path, request: Request, dice: random.Random) -> None:
        self._root, self._request, self._dice = root, request, dice
        self._descriptor, write = os.pipe()
        os.close(write)  # so it is readable, always

    def descriptors(self) -> Sequence[int]:
        """Return what is always readable."""
        return [self._descriptor]

    def read(self) -> list[Message]:
        """Return nothing for a while, then the answer."""
        if self._dice.random() < 0.5:
            return []
        try:
            return [Result(self.call())]
        except ConnectionError as error:
            return [Failure(type(error).__name__, str(error), "")]

    def call(self) -> Any:
        """Call the step function, or its `verify`, and return what a worker would send."""
        request = self._request
        function = FunctionTable(self._root).find(request.uses)
        given = {name: decode(value, function.arguments[name].hint) for name, value in request.with_.items()}
        context: Context[Any] = Context(
            request.run, request.step, request.attempt, request.token, self._root, request.artifacts, request.profile
        )
        if request.op == "run":
            returned = function.function(context, **given)
            return None if returned is None else encode(returned)
        assert function.info.verify is not None
        found = function.info.verify(context, **given)
        outputs = encode(found.outputs) if found.answer == "done" else None
        return {"answer": found.answer, "outputs": outputs, "reason": found.reason}

    def stop(self, grace: float) -> None:
        """Refuse: no test here stops a run."""
        raise NotImplementedError

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._descriptor)


class InlineWorkers:
    """Steps in this process. What is under way at the kill of the engine comes to its end, or never began."""

    def __init__(self, root: Path, dice: random.Random) -> None:
        self._root, self._dice = root, dice
        self._busy: list[InlineAttempt] = []

    def start(self, request: Request, *, timeout: float | None, grace: float, fresh: bool) -> Attempt:
        """Start a request."""
        attempt = InlineAttempt(self._root, request, self._dice)
        self._busy.append(attempt)
        return attempt

    def release(self, attempt: Attempt) -> None:
        """Forget an attempt that has ended."""
        assert isinstance(attempt, InlineAttempt)
        self._busy.remove(attempt)
        attempt.close()

    def close(self) -> None:
        """End what is under way."""
        for attempt in self._busy:
            if self._dice.random() < 0.5:
                with contextlib.suppress(ConnectionError):
                    attempt.call()
            attempt.close()


class Inline:
    """Runs engines here, one after the other."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)

    def engine(self, verb: str, project: Path, point: str = "none", count: int = 0, **more: Any) -> int:
        """Run to the end, or to the kill."""
        with pytest.MonkeyPatch.context() as patch, bound_steps(), contextlib.chdir(project):
            patch.setattr(leg, "LocalWorkers", lambda root, *_: InlineWorkers(root, self._dice))
            patch.setattr(journal.Journal, "_write", journal.Journal._write)  # the killer's wrappers go away again
            patch.setattr(journal, "_sync", _no_disk)
            Killer(point, count, _die).install()
            try:
                carry_out(verb, project, more["settle"], SystemClock())
            except Killed:
                return -signal.SIGKILL
        return 0


def _no_disk(descriptor: int) -> None:
    """Leave it to the system when it writes; nobody pulls the plug here."""


def _die() -> None:
    raise Killed
