"""The place where a rehearsal's steps run: this process, which calls mocks instead of step functions."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aurora.clock import ManualClock
from aurora.engine.faults import did_you_mean, listed
from aurora.engine.functions import FunctionTable, StepFunction
from aurora.engine.graph import Node, Plan
from aurora.engine.registry import Verdict
from aurora.engine.values import decode
from aurora.engine.workers import Attempt, Death, Message, Request, Result
from aurora.testing.addresses import chosen, fits
from aurora.testing.calling import Caller, Services, failure
from aurora.testing.filling import complete, returned
from aurora.testing.outcomes import Dies, Mock, Outputs, Passes, Raises, Real, Red, RehearsalError, TimesOut
from aurora.testing.reads import Reads
from aurora.testing.search import Search

KILLED = -9


@dataclass(frozen=True)
class Call:
    """One attempt of a step: what its function was called with, or would have been."""

    step: str
    attempt: int
    arguments: Mapping[str, Any]
    token: str


@dataclass
class Stage:
    """What a rehearsal knows around its mocks: `names_of` gives what a step's gates see besides its outputs."""

    root: Path
    plan: Plan
    functions: FunctionTable
    clock: ManualClock
    services: Services | None
    simulated: Callable[[], bool]
    names_of: Callable[[str], dict[str, Any]]

    def node(self, step: str) -> Node:
        """Return the node of `step`; of an item `quotes[0]`, that of `quotes`."""
        return self.plan.nodes[step.partition("[")[0]]


class _Told:
    """An attempt that is over as soon as it was started; its descriptor is readable until it is given back."""

    def __init__(self, messages: list[Message], clock: ManualClock, seconds: float) -> None:
        self._messages, self._clock, self._seconds = messages, clock, seconds
        self._read, self._write = os.pipe()
        os.write(self._write, b".")

    def descriptors(self) -> Sequence[int]:
        return (self._read,)

    def read(self) -> list[Message]:
        self._clock.advance(self._seconds)
        self._seconds = 0.0
        return self._messages

    def stop(self, grace: float) -> None:
        """It has ended already."""

    def close(self) -> None:
        os.close(self._read)
        os.close(self._write)


@dataclass
class MockWorkers:
    """start → the mock that is meant for the step and the attempt → its messages, ready to be read."""

    stage: Stage
    mocks: Mapping[str, Mock]
    calls: list[Call] = field(default_factory=list)
    problem: BaseException | None = None
    """What the test itself got wrong; it is raised whatever the engine makes of it."""

    def __post_init__(self) -> None:
        self._reads = Reads(self.stage.plan)
        self._under_way: list[_Told] = []
        self._last: dict[str, Mock] = {}
        self._starts: dict[str, int] = {}
        check_names(self.stage.plan, self.mocks)

    def start(self, request: Request, *, timeout: float | None, grace: float, fresh: bool) -> Attempt:
        """Do what the mock of the step says. Raises RehearsalError, and what a test asserts in a mock function."""
        try:
            messages = self._answer(request, timeout)
        except (RehearsalError, AssertionError) as error:
            self.problem = self.problem or error
            raise
        timed_out = any(isinstance(message, Death) and message.timed_out for message in messages)
        told = _Told(messages, self.stage.clock, float(timeout or 0) if timed_out else 0.0)
        self._under_way.append(told)
        return told

    def release(self, attempt: Attempt) -> None:
        """Give the attempt's descriptor back."""
        assert isinstance(attempt, _Told)
        self._under_way.remove(attempt)
        attempt.close()

    def close(self) -> None:
        """Give all descriptors back."""
        while self._under_way:
            self._under_way.pop().close()

    def complain(self) -> None:
        """Raise what the test got wrong, if it did."""
        if self.problem is not None:
            raise self.problem from None

    @property
    def is_idle(self) -> bool:
        """Return whether no step is under way."""
        return not self._under_way

    def _answer(self, request: Request, timeout: float | None) -> list[Message]:
        function = self.stage.functions.find(request.uses)
        arguments = {name: decode(value, function.arguments[name].hint) for name, value in request.with_.items()}
        caller = Caller(request, function, arguments, self.stage.root, self.stage.services)
        if request.op == "verify":
            return [self._verify(caller)]
        self.calls.append(Call(request.step, request.attempt, arguments, request.token))
        mock = self._last[request.step] = self._mock(request.step)
        if isinstance(mock, Dies | TimesOut) and mock.verify is not None and function.info.verify is None:
            raise RehearsalError(f"{request.step!r}: {function.uses} has no verify function; leave verify= out.")
        if isinstance(mock, Raises):
            return [failure(mock.error)]
        if isinstance(mock, Dies):
            return [Death(False, KILLED)]
        if isinstance(mock, TimesOut):
            return [_time_out(request.step, timeout)]
        if isinstance(mock, Real):
            return self._real(caller)
        if callable(mock):
            return self._called(caller, mock)
        return [Result(self._made(request.step, function, mock))]

    def _mock(self, step: str) -> Mock:
        """Return what the step does in its next attempt."""
        name = chosen(step, self.mocks)
        if name is None:
            raise RehearsalError(
                f"{step!r} was started and has no mock. Say what it does, steps={{{step!r}: outputs(…)}}, "
                f"let it run, real=[{step!r}], or give one to all: steps={{'*': passes()}}."
            )
        mock, number = self.mocks[name], self._starts.get(step, 0)
        self._starts[step] = number + 1
        if not isinstance(mock, list):
            return mock
        if number >= len(mock):
            raise RehearsalError(f"{step!r} was started {number + 1} times; its mock holds {len(mock)} outcomes.")
        return mock[number]

    def _real(self, caller: Caller) -> list[Message]:
        step, effects = caller.request.step, caller.function.info.effects
        if effects and not self.stage.simulated():
            acts = ", ".join(effects)
            raise RehearsalError(f"{step!r} acts on a market ({acts}); it runs for real on a simulated venue only.")
        try:
            value = returned(caller.function, step, caller.call_step())
        except RehearsalError as error:  # what the step returned is not what it declares: its own error
            return [*caller.said, failure(TypeError(str(error)))]
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a step's error is its own, as in a worker
            return [*caller.said, failure(error)]
        return [*caller.said, Result(value)]

    def _called(self, caller: Caller, mock: Callable[..., Any]) -> list[Message]:
        try:
            value = caller.call_mock(mock)
        except (AssertionError, RehearsalError):
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001 - it stands for an error of the step
            return [*caller.said, failure(error)]
        return [*caller.said, Result(self._made(caller.request.step, caller.function, value))]

    def _made(self, step: str, function: StepFunction, mock: Any) -> Any:
        """Return encoded outputs: those that an outcome asks for, or a value that stands for what the step returns."""
        if not isinstance(mock, Outputs | Passes | Red):
            return returned(function, step, mock)
        node = self.stage.node(step)
        read = dict(self._reads.by_others(node.id))
        if isinstance(mock, Outputs):
            return complete(function, step, mock.fields, {**read, **self._reads.by_gates(node.id)})
        start = complete(function, step, mock.fields, read)
        search = Search(function, step, node.step.gates, self.stage.names_of(step), start, frozenset(mock.fields))
        return search.red(mock.check) if isinstance(mock, Red) else search.passing()

    def _verify(self, caller: Caller) -> Message:
        """Answer for the step's verify function: as the mock that died says, or by itself for a real step."""
        step, mock = caller.request.step, self._last.get(caller.request.step)
        verdict = mock.verify if isinstance(mock, Dies | TimesOut) else None
        if isinstance(mock, Real):
            verdict = caller.call_verify()
        if not isinstance(verdict, Verdict):
            raise RehearsalError(
                f"The outcome of {step!r} is unknown, and its mock does not say what its verify function finds then; "
                "write dies(verify=Verdict('not_done'))."
            )
        done = verdict.answer == "done"
        outputs = self._made(step, caller.function, verdict.outputs) if done else None
        return Result({"answer": verdict.answer, "outputs": outputs, "reason": verdict.reason})


def _time_out(step: str, timeout: float | None) -> Message:
    if timeout is None:
        raise RehearsalError(f"{step!r} can't time out: its runbook gives it no timeout.")
    return Death(True, KILLED)


def check_names(plan: Plan, mocks: Iterable[str]) -> None:
    """Raise RehearsalError for a mock that is meant for no step that calls a function."""
    callers = [node.id for node in plan.nodes.values() if node.step.kind == "uses"]
    for name in mocks:
        whole = name.partition("[")[0]
        if whole in callers or any(fits(name, step) for step in callers):
            continue
        other = plan.nodes.get(name)
        if other is not None and other.step.kind == "confirm":
            raise RehearsalError(f"{name!r} asks a person; answer it with answers={{{name!r}: 'yes'}}.")
        if other is not None:
            raise RehearsalError(f"{name!r} calls no function; mock the steps inside it.")
        hint = did_you_mean(name, callers) or f"steps: {listed(callers)}"
        raise RehearsalError(f"There is no step {name!r} in {plan.root.name}; {hint}.")
