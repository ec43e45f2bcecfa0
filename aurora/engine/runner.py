"""The runner: walks a plan from whatever its journal says, and writes down each thing before it does it."""

from __future__ import annotations

import hashlib
import heapq
import itertools
import json
import selectors
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from aurora.clock import Clock
from aurora.engine import scopes as scoped
from aurora.engine.attempts import Attempts, Running
from aurora.engine.expressions import ExpressionError
from aurora.engine.functions import StepFunction
from aurora.engine.graph import Node, Plan
from aurora.engine.loader import value_problem_of
from aurora.engine.prompts import Answer, Person, Prompt
from aurora.engine.questions import Questions
from aurora.engine.scopes import Scopes
from aurora.engine.state import FAILED, RunState, StepState, outcome_of
from aurora.engine.values import Namespace, TypeMismatch, convert, encode
from aurora.engine.walk import Walk
from aurora.engine.workers import Death, Failure, Progress, Request, Result, Workers
from aurora.journal import Event, Journal

MAX_CONCURRENT = 4
TICK_S = 0.1


class Listener(Protocol):
    """Whoever watches a run: the terminal, plain lines, JSON lines."""

    live: bool
    """Whether `tick` wants to be called ten times a second."""

    def on_event(self, event: Event) -> None:
        """An event is on disk."""

    def on_progress(self, step: str, progress: Progress) -> None:
        """A step says how far it is."""

    def on_log(self, step: str, line: str) -> None:
        """A step logged a line."""

    def tick(self) -> None:
        """Time passes."""


class Stop(Protocol):
    """Signals as the runner sees them."""

    descriptor: int

    def read(self) -> list[str]:
        """Return the names of the signals that came since the last call."""


@dataclass
class Facts:
    """What a run is, besides its plan: names, folder and the ways to reach the world."""

    run: str
    folder: Path
    clock: Clock
    dry_run: bool = False
    settle: Mapping[str, str] = field(default_factory=dict)
    """Unknown outcomes that a person settled on the command line: step id to `done` or `not_done`."""
    operator: str = ""


class Waiting(Exception):
    """The run can't go on without a person: a step's outcome is unknown and nobody is here to say."""


class Runner:
    """run → start what is ready → wait for workers, people, timers and signals → finish steps → … → close.

    A step's attempt ends in one of these ways, and each has one place: its function returned (`_returned`); it raised
    (`_failed`); its worker died or timed out (`_died`), which for a step that must not repeat is an unknown outcome
    (`_unknown`); a person answered (`_answered`); it never started, because its `if`, `with` or needs say so (`_end`).
    """

    def __init__(
        self,
        plan: Plan,
        functions: Mapping[str, StepFunction],
        scopes: Scopes,
        state: RunState,
        journal: Journal,
        workers: Workers,
        person: Person,
        listener: Listener,
        facts: Facts,
        stop: Stop | None = None,
        holds_secret: Callable[[str], bool] = lambda text: False,
    ) -> None:
        self.plan, self.functions, self.scopes, self.state = plan, functions, scopes, state
        self.journal, self.listener = journal, listener
        self.facts, self.signals, self.holds_secret = facts, stop, holds_secret
        self.walk = Walk(plan, state)
        self.selector = selectors.DefaultSelector()
        self.attempts = Attempts(workers, self.selector, listener, facts.clock)
        self.questions = Questions(person, self.selector, self._record, self._after, self._answered)
        self.items: dict[str, list[Any]] = {}
        self.timers: list[tuple[float, int, Callable[[], None]]] = []
        self.retrying: dict[str, tuple[Node, str, dict[str, Any] | None]] = {}
        self.ticket = itertools.count()
        self.kill = False
        self.cancelled = ""
        self.start = facts.clock.monotonic()
        if stop is not None:
            self.selector.register(stop.descriptor, selectors.EVENT_READ)

    def cancel(self, reason: str) -> None:
        """End the run instead of going on: its `finally` runs, nothing else, and it is recorded as cancelled."""
        self.cancelled = reason
        self.walk.stop()

    # the loop

    def run(self) -> tuple[str, int]:
        """Walk to the end. Return outcome and exit code: a final one, or `interrupted`, 7."""
        try:
            while True:
                self._settle_ends()
                if self._start_ready() or self.questions.ask_next():
                    continue
                if self.walk.done or self.kill:
                    break
                if not self.attempts and self.questions.open is None and not self.timers:
                    if self.walk.stopping and not self.kill and self.walk.next_finally():
                        continue
                    if self.walk.stopping:
                        break
                    raise AssertionError("the run has nothing to do and is not done")
                self._wait()
            return self._close()
        finally:
            self.selector.close()

    def _close(self) -> tuple[str, int]:
        if self.cancelled and not self.kill:
            for node in self.plan.nodes.values():
                state = self.state.step(node.id)
                if not state.over and (node.section != "on_failure" or state.unsettled):
                    lost = state.unsettled and node.step.kind == "uses"
                    self._record_end(node, "unknown" if lost else "cancelled", reason=self.cancelled)
        elif not self.walk.done:
            reason = "killed by a second signal" if self.kill else "stopped by a signal"
            self._record("run.interrupted", {"reason": reason, "unfinished": sorted(self.attempts.running)})
            return "interrupted", 7
        outcome = outcome_of(self.state.steps.values())
        code = self._exit_code(outcome)
        elapsed = round(self.facts.clock.monotonic() - self.start, 3)
        self._record("run.finished", {"outcome": outcome, "exit_code": code, "elapsed_s": elapsed})
        return outcome, code

    def _exit_code(self, outcome: str) -> int:
        if outcome != "red":
            return {"green": 0, "amber": 0, "broken": 1, "declined": 5, "cancelled": 5}[outcome]
        codes = []
        for step_id, step in self.state.steps.items():
            if step.status == "red":
                node = self.plan.nodes[step_id.partition("[")[0]]
                if node.step.kind == "runbook" and not any(gate["verdict"] == "red" for gate in step.gates):
                    continue  # its colour is that of the steps inside, which have their own say
                codes.append(self._red_exit(node))
        return max(codes, default=3)

    def _red_exit(self, node: Node) -> int:
        scope = node.scope
        while scope.runbook.red_exit is None and scope.parent is not None:
            scope = scope.parent
        return scope.runbook.red_exit or 3

    def _wait(self) -> None:
        now = self.facts.clock.monotonic()
        patience = max(0.0, self.timers[0][0] - now) if self.timers else None
        if self.listener.live:
            patience = TICK_S if patience is None else min(patience, TICK_S)
        for key, _ in self.selector.select(patience):
            if self.signals is not None and key.fd == self.signals.descriptor:
                self._signalled()
            elif self.attempts.owns(key.fd):
                ended = self.attempts.hear(key.fd)
                if ended is not None:
                    self._over(*ended)
            elif self.questions.owns(key.fd):
                self.questions.hear()
        now = self.facts.clock.monotonic()
        while self.timers and self.timers[0][0] <= now:
            heapq.heappop(self.timers)[2]()
        if self.listener.live:
            self.listener.tick()

    def _signalled(self) -> None:
        assert self.signals is not None
        for name in self.signals.read():
            if self.walk.stopping:
                self.kill = True
                self.attempts.stop(0)
                return
            self._record("run.stopping", {"reason": name})
            self.walk.stop()
            self.questions.drop("stopped")
            self.retrying.clear()
            self.timers.clear()
            self.attempts.stop()

    def _record(self, type_: str, data: Mapping[str, Any], *, sync: bool = True) -> Event:
        event = self.journal.append(type_, data, sync=sync)
        self.state.apply(event)
        self.listener.on_event(event)
        return event

    def _after(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self.timers, (self.facts.clock.monotonic() + seconds, next(self.ticket), act))

    # starting

    def _settle_ends(self) -> None:
        """Write down what a failure leaves out, and end the containers whose scope has closed."""
        while self.walk.to_omit or self.walk.to_close:
            if self.walk.to_omit:
                node_id, reason = self.walk.to_omit.pop(0)
                if not self.state.step(node_id).over:
                    self._end(self.plan.nodes[node_id], "omitted", reason=reason, sync=False)
                continue
            container = self.plan.nodes[self.walk.to_close.pop(0)]
            inner = [self.state.step(node_id) for node_id in self.plan.scopes[container.id].nodes]
            status = {"green": "passed", "amber": "passed"}.get(outcome_of(inner), outcome_of(inner))
            self._finish(container, status, None)
        for node, status, error in [each for each in self.retrying.values() if self.walk.is_failing(each[0].scope)]:
            del self.retrying[node.id]
            self._end(node, status, error=error)
        asked = self.questions.open
        if asked is not None and self.walk.is_failing(asked[0].scope) and asked[0].section == "steps":
            self.questions.refuse("the run had failed meanwhile")

    def _start_ready(self) -> bool:
        """Start the next step that may start, and return whether there was one."""
        node = self.walk.take() if len(self.attempts) < MAX_CONCURRENT else None
        if node is not None:
            self._begin(node)
        return node is not None

    def _begin(self, node: Node) -> None:
        state = self.state.step(node.id)
        if node.step.kind == "runbook" and state.unsettled:
            return
        if state.unsettled and node.step.foreach is None:
            self._settle(node, state, "the engine ended before the step did")
            return
        try:
            if state.items is None and not self._condition(node):
                self._end(node, "skipped", reason=f"if: {node.step.if_.text if node.step.if_ else ''} is false")
                return
            {
                "uses": self._begin_uses,
                "runbook": self._begin_runbook,
                "confirm": self._begin_confirm,
                "gate": self._begin_gate,
            }[node.step.kind](node)
        except (ExpressionError, TypeMismatch) as error:
            if self.facts.dry_run:
                self._end(node, "skipped", reason=f"a dry run can't know: {error}", simulated=True)
            else:
                self._end(node, "broken", error={"type": type(error).__name__, "message": str(error), "trace": ""})

    def _condition(self, node: Node) -> bool:
        if node.step.if_ is None:
            return True
        value = node.step.if_.evaluate(self.scopes.names(node))
        if value is not True and value is not False:
            raise ExpressionError(f"if: {node.step.if_.text} yielded {value!r}, not true or false")
        return value

    def _begin_uses(self, node: Node) -> None:
        if node.step.foreach is not None:
            self._expand(node)
            return
        function = self.functions[str(node.step.uses)]
        action = node.step.dry_run or function.info.dry_run
        if self.facts.dry_run and action == "skip":
            self._end(node, "skipped", reason="dry run", simulated=True, gates=self._undecided(node))
        elif self.facts.dry_run and action == "simulate":
            self._finish(node, "passed", encode(function.info.sample), reason="dry run: sample outputs", simulated=True)
        else:
            self._attempt(node, function)

    def _undecided(self, node: Node) -> list[dict[str, Any]]:
        return [
            {
                "check": gate.check.text,
                "severity": gate.severity,
                "verdict": "unknown",
                "values": {},
                "message": gate.message,
                "error": "the step did not run",
            }
            for gate in node.step.gates
        ]

    def _attempt(self, node: Node, function: StepFunction) -> None:
        names = self.scopes.names(node, item=self._item(node))
        arguments = scoped.encoded_arguments(scoped.evaluate(node.step.with_, names), function)
        if self.holds_secret(json.dumps(arguments)):
            raise TypeMismatch(
                f"an argument of {function.uses} holds a secret; a step reads secrets from its environment"
            )
        attempt = self.state.step(node.id).attempt + 1
        token = f"{self.facts.run}:{node.id}:{attempt}"
        self._record("step.started", {"step": node.id, "attempt": attempt, "token": token, "with": arguments})
        self._send(node, function, "run", token, arguments, attempt)

    def _send(
        self,
        node: Node,
        function: StepFunction,
        op: str,
        token: str,
        arguments: Mapping[str, Any],
        number: int,
        verifying: str | None = None,
        settled: bool = False,
    ) -> None:
        request = Request(
            op,
            token,
            function.uses,
            arguments,
            self.facts.run,
            node.id,
            number,
            self.facts.folder / "artifacts" / node.id.replace("/", ".") / str(number),
            self.scopes.profile(node.scope),
            self.facts.dry_run,
        )
        self.attempts.start(node, function, request, verifying, settled=settled)

    def _begin_runbook(self, node: Node) -> None:
        scope = self.plan.scopes[node.id]
        values = scoped.evaluate(node.step.with_, self.scopes.names(node))
        arguments = {}
        for name, value in values.items():
            param = scope.runbook.params[name]
            plain = _undecimal(value.plain() if isinstance(value, Namespace) else value, param.type)
            problem = value_problem_of(plain, param.schema)
            if problem:
                raise TypeMismatch(f"{name!r} of the runbook {scope.runbook.name} {problem}")
            arguments[name] = encode(convert(plain, param.python_type))
        self._record(
            "step.started", {"step": node.id, "attempt": 1, "token": f"{self.facts.run}:{node.id}:1", "with": arguments}
        )
        self.walk.open_scope(node.id)

    def _begin_gate(self, node: Node) -> None:
        self._finish(node, "passed", None)

    # foreach

    def _expand(self, node: Node) -> None:
        assert node.step.foreach is not None
        state = self.state.step(node.id)
        items = scoped.evaluate(node.step.foreach.items, self.scopes.names(node))
        if not isinstance(items, list):
            raise TypeMismatch(f"foreach needs a list, it was {items!r}")
        self.items[node.id] = items
        plain = encode([item.plain() if isinstance(item, Namespace) else item for item in items])
        if state.items is None:
            self._record("step.expanded", {"step": node.id, "items": plain})
        self._next_item(node)

    def _next_item(self, node: Node) -> None:
        count = len(self.items[node.id])
        results = [self.state.step(f"{node.id}[{index}]") for index in range(count)]
        stop = node.step.on_failure.action != "continue" and any(each.status in FAILED for each in results)
        for index, each in enumerate(results):
            if not each.over and not stop:
                instance = self._instance(node, index)
                if each.unsettled:
                    self._settle(instance, each, "the engine ended before the step did")
                elif not self.walk.stopping:
                    self._begin_item(instance)
                return
        failed = [each.status for each in results if each.status in FAILED]
        outputs = {"items": [each.outputs for each in results if each.over]}
        self._end(node, failed[0] if failed else "passed", outputs=outputs)

    def _instance(self, node: Node, index: int) -> Node:
        return replace(node, id=f"{node.id}[{index}]", step=replace(node.step, if_=None))

    def _begin_item(self, instance: Node) -> None:
        function = self.functions[str(instance.step.uses)]
        action = instance.step.dry_run or function.info.dry_run
        try:
            if self.facts.dry_run and action == "skip":
                self._end(instance, "skipped", reason="dry run", simulated=True, gates=self._undecided(instance))
            elif self.facts.dry_run and action == "simulate":
                self._finish(instance, "passed", encode(function.info.sample), reason="dry run", simulated=True)
            else:
                self._attempt(instance, function)
        except (ExpressionError, TypeMismatch) as error:
            self._end(instance, "broken", error={"type": type(error).__name__, "message": str(error), "trace": ""})

    def _item(self, node: Node) -> Any:
        parent, _, rest = node.id.rpartition("[")
        return self.items[parent][int(rest[:-1])] if node.step.foreach is not None and rest.endswith("]") else None

    # what attempts say

    def _over(self, running: Running, message: Result | Failure | Death) -> None:
        if running.verifying is not None:
            self._verified(running, message)
        elif isinstance(message, Result):
            self._finish(running.node, "passed", message.outputs, running=running)
        elif isinstance(message, Failure):
            self._failed(running, message)
        else:
            self._died(running, message)

    def _failed(self, running: Running, failure: Failure) -> None:
        if failure.type == "StepStopped" and self.walk.stopping:
            return  # it is left as started: a resume repeats it, or asks what became of it
        error = {"type": failure.type, "message": failure.message, "trace": failure.trace}
        if not self._retry(running.node, failure.type, "broken", error):
            self._end(running.node, "broken", error=error, running=running)

    def _died(self, running: Running, death: Death) -> None:
        if self.walk.stopping and not death.timed_out:
            return
        node = running.node
        status = "timed_out" if death.timed_out else "broken"
        message = (
            f"no end after {node.step.timeout:g} s"
            if death.timed_out and node.step.timeout is not None
            else f"its worker process ended without an answer ({_ending(death.status)})"
        )
        error = {"type": "timeout" if death.timed_out else "WorkerDied", "message": message, "trace": ""}
        if self.functions[str(node.step.uses)].info.repeat == "never":
            self._unknown(node, message, running)
        elif not self._retry(node, error["type"], status, error):
            self._end(node, status, error=error, running=running)

    def _retry(self, node: Node, kind: str, status: str, error: dict[str, Any]) -> bool:
        """Arrange another attempt, if the step may have one; only a step that is safe to repeat ever does."""
        retry, state = node.step.retry, self.state.step(node.id)
        safe = self.functions[str(node.step.uses)].info.repeat == "safe"
        if retry is None or not safe or state.attempt >= retry.max_attempts or (retry.on and kind not in retry.on):
            return False
        if self.walk.is_failing(node.scope) or self.walk.stopping:
            return False
        delay = retry.wait_before(state.attempt + 1)
        self._record(
            "step.retrying",
            {"step": node.id, "attempt": state.attempt, "status": status, "error": error, "delay_s": delay},
        )
        self.retrying[node.id] = (node, status, error)
        self._after(delay, lambda: self._try_again(node))
        return True

    def _try_again(self, node: Node) -> None:
        if self.retrying.pop(node.id, None) is None:
            return
        if node.id in self.plan.nodes:
            self.walk.again(node)
        else:
            self._begin_item(node)

    # unknown outcomes (engine rule 18)

    def _settle(self, node: Node, state: StepState, why: str) -> None:
        """Find out what became of a step that was started and never finished; a safe one simply runs again."""
        if node.step.kind != "uses":
            self._end(node, "broken", reason=why)
            return
        function = self.functions[str(node.step.uses)]
        if node.id in self.facts.settle:
            self._settled_by_person(node, self.facts.settle[node.id])
        elif function.info.repeat == "safe":
            if self.walk.is_failing(node.scope) or self.walk.stopping:
                self._end(node, "cancelled", reason=f"{why}; not repeated, since the run had failed")
            else:
                self._attempt(node, function)
        else:
            self._unknown(node, why, None)

    def _unknown(self, node: Node, why: str, running: Running | None) -> None:
        function = self.functions[str(node.step.uses)]
        state = self.state.step(node.id)
        if function.info.verify is not None:
            token = f"{self.facts.run}:{node.id}:{state.attempt}"
            self._send(node, function, "verify", token, state.arguments, state.attempt, why, settled=running is None)
        elif running is None:
            self._ask_what_happened(node, why)
        else:
            self._end(node, "unknown", reason=f"{why}; nobody knows what it did", running=running)

    def _verified(self, running: Running, message: Result | Failure | Death) -> None:
        node, why = running.node, str(running.verifying)
        found = message.outputs if isinstance(message, Result) else None
        answer = found["answer"] if found else "unknown"
        reason = found["reason"] if found else "the verify function failed"
        state = self.state.step(node.id)
        outputs = found["outputs"] if found else None
        self._record(
            "step.verified",
            {
                "step": node.id,
                "attempt": state.attempt,
                "answer": answer,
                "outputs": outputs,
                "reason": reason,
                "by": "verify",
            },
        )
        if answer == "done":
            self._finish(node, "passed", outputs, reason=f"{why}; verified as done", running=running)
        elif answer == "not_done":
            self._not_done(node, why, running.settled)
        elif running.settled:
            self._ask_what_happened(node, f"{why}; {reason}")
        else:
            self._end(node, "unknown", reason=f"{why}; verify could not tell: {reason}", running=running)

    def _not_done(self, node: Node, why: str, resumed: bool) -> None:
        retry, state = node.step.retry, self.state.step(node.id)
        if (resumed or (retry is not None and state.attempt < retry.max_attempts)) and not self.walk.is_failing(
            node.scope
        ):
            self._attempt(node, self.functions[str(node.step.uses)])
        else:
            self._end(node, "timed_out" if "no end after" in why else "broken", reason=f"{why}; verified as not done")

    def _ask_what_happened(self, node: Node, why: str) -> None:
        self.questions.add(node, Prompt(node.id, f"What {node.step.title!r} did is unknown: {why}.", settle=True))

    def _settled_by_person(self, node: Node, answer: str) -> None:
        state = self.state.step(node.id)
        self._record(
            "step.verified",
            {
                "step": node.id,
                "attempt": state.attempt,
                "answer": answer,
                "outputs": None,
                "reason": "a person said so",
                "by": self.facts.operator,
            },
        )
        if answer == "done":
            self._finish(node, "passed", None, reason=f"settled as done by {self.facts.operator}")
        else:
            self._not_done(node, "settled as not done", resumed=True)

    # people

    def _begin_confirm(self, node: Node) -> None:
        if self.facts.dry_run:
            self._end(node, "skipped", reason="dry run: nobody is asked", simulated=True)
            return
        self.questions.add(node, Prompt(node.id, str(node.step.confirm), node.step.checklist, node.step.timeout))

    def _answered(self, node: Node, prompt: Prompt, answer: Answer) -> None:
        if prompt.settle:
            if answer.accepted or answer.refused:
                self._settled_by_person(node, "done" if answer.accepted else "not_done")
            else:
                raise Waiting(node.id)
        elif answer.accepted:
            self._finish(node, "passed", None, reason=f"confirmed by {answer.by}")
        else:
            self._end(
                node,
                "declined",
                reason=f"no from {answer.by}" if answer.reason == "answered" else f"no answer: {answer.reason}",
            )

    # ends

    def _finish(
        self,
        node: Node,
        status: str,
        outputs: Any,
        *,
        reason: str = "",
        running: Running | None = None,
        simulated: bool = False,
    ) -> None:
        """End a step that did its work: its gates decide whether it passed."""
        error = None
        gates: list[dict[str, Any]] = []
        if outputs is not None and self.holds_secret(json.dumps(outputs)):
            outputs, status = None, "broken"
            error = {
                "type": "SecretInOutput",
                "message": "the step's outputs hold a secret; they were thrown away",
                "trace": "",
            }
        elif node.step.gates and status in ("passed", "red"):
            own = self._own_names(node, outputs, status)
            names = self.scopes.names(node, own, item=self._item(node))
            gates = [scoped.decide(gate, names, dry_run=self.facts.dry_run) for gate in node.step.gates]
            if status == "passed" and any(
                gate["verdict"] == "red" and gate["severity"] == "blocking" for gate in gates
            ):
                status = "red"
        self._end(
            node, status, reason=reason, outputs=outputs, gates=gates, error=error, running=running, simulated=simulated
        )

    def _own_names(self, node: Node, outputs: Any, status: str) -> dict[str, Any]:
        if node.step.kind == "runbook":
            return {**self.scopes.outputs(node.id), "status": status}
        return {**self.scopes.decoded(node, outputs), "status": status}

    def _end(
        self,
        node: Node,
        status: str,
        *,
        reason: str = "",
        outputs: Any = None,
        gates: list[dict[str, Any]] | None = None,
        error: dict[str, Any] | None = None,
        running: Running | None = None,
        simulated: bool = False,
        sync: bool = True,
    ) -> None:
        self._record_end(node, status, reason, outputs, gates, error, running, simulated, sync)
        if node.id in self.plan.nodes:
            self.walk.over(node)
        else:
            self._next_item(self.plan.nodes[node.id.rpartition("[")[0]])

    def _record_end(
        self,
        node: Node,
        status: str,
        reason: str = "",
        outputs: Any = None,
        gates: list[dict[str, Any]] | None = None,
        error: dict[str, Any] | None = None,
        running: Running | None = None,
        simulated: bool = False,
        sync: bool = True,
    ) -> None:
        state = self.state.step(node.id)
        elapsed = 0.0 if running is None else round(self.facts.clock.monotonic() - running.started, 6)
        folder = self.facts.folder / "artifacts" / node.id.replace("/", ".") / str(state.attempt)
        self._record(
            "step.finished",
            {
                "step": node.id,
                "attempt": state.attempt,
                "status": status,
                "reason": reason,
                "outputs": outputs,
                "gates": gates or [],
                "error": error,
                "elapsed_s": elapsed,
                "log": [] if running is None else running.log,
                "artifacts": _artifacts(folder, self.facts.folder),
                "simulated": simulated,
            },
            sync=sync,
        )


def _artifacts(folder: Path, run: Path) -> list[dict[str, Any]]:
    if not folder.exists():
        return []
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            found.append({"name": str(path.relative_to(run)), "bytes": path.stat().st_size, "sha256": digest})
    return found


def _ending(status: int | None) -> str:
    if status is None:
        return "no status"
    return f"signal {-status}" if status < 0 else f"exit {status}"


def _undecimal(value: Any, kind: str) -> Any:
    """Return a Decimal that is whole as int where a parameter wants an integer."""
    return int(value) if kind == "integer" and not isinstance(value, int) and value == int(value) else value
