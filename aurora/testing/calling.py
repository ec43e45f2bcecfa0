"""Calls functions in this process as a worker would in its own: with a context, whose progress and log are kept."""

from __future__ import annotations

import importlib
import inspect
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aurora.engine.context import Context
from aurora.engine.functions import StepFunction
from aurora.engine.workers import Failure, LogLine, Message, Progress, Request

Services = Callable[[Context[Any]], Any]


def services_of(name: str | None) -> Services | None:
    """Return the factory that a project names as `module:function`; it is imported when a step asks for services."""
    if name is None:
        return None
    module, _, function = name.partition(":")

    def build(context: Context[Any]) -> Any:
        return getattr(importlib.import_module(module), function)(context)

    return build


@dataclass
class Caller:
    """Calls functions for one request; `said` is what they reported, in order."""

    request: Request
    function: StepFunction
    arguments: Mapping[str, Any]
    project: Path
    services: Services | None
    said: list[Message] = field(default_factory=list)

    def call_step(self) -> Any:
        """Call the step's own function."""
        return self._call(self.function.function, self.function.wants_context)

    def call_verify(self) -> Any:
        """Call the step's verify function."""
        assert self.function.info.verify is not None
        return self._call(self.function.info.verify, self.function.wants_context)

    def call_mock(self, mock: Callable[..., Any]) -> Any:
        """Call a function in the step's place; it gets the context when its first parameter is called `context`."""
        first = next(iter(inspect.signature(mock).parameters), "")
        return self._call(mock, first == "context")

    def _call(self, act: Callable[..., Any], with_context: bool) -> Any:
        return act(*([self._context()] if with_context else []), **self.arguments)

    def _context(self) -> Context[Any]:
        request = self.request
        return Context(
            run=request.run,
            step=request.step,
            attempt=request.attempt,
            token=request.token,
            project=self.project,
            folder=request.artifacts,
            profile=request.profile,
            dry_run=request.dry_run,
            grant=request.grant,
            make_services=self.services,
            on_progress=lambda done, total, label: self.said.append(Progress(done, total, label)),
            on_log=lambda text: self.said.append(LogLine(text)),
        )


def failure(error: BaseException) -> Failure:
    """Return what a worker tells of an error that a step raised."""
    return Failure(type(error).__name__, str(error), "".join(traceback.format_exception(error)))
