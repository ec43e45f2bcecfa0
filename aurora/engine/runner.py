"""The runner: walks a plan from whatever its journal says, and writes down each thing before it does it."""

from __future__ import annotations

import hashlib
import json
import os
import selectors
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from aurora.clock import Clock
from aurora.engine import scopes as scoped
from aurora.engine.attempts import Attempts, Doubt, Running
from aurora.engine.expressions import ExpressionError
from aurora.engine.functions import StepFunction
from aurora.engine.graph import Node, Plan
from aurora.engine.loader import value_problem_of
from aurora.engine.prompts import Answer, Person, Prompt
from aurora.engine.questions import Questions
from aurora.engine.scopes import Scopes
from aurora.engine.secrets import Masker
from aurora.engine.state import FAILED, RunState, StepState, outcome_of
from aurora.engine.timers import Timer, Timers
from aurora.engine.values import Namespace, TypeMismatch, convert, encode
from aurora.engine.walk import Walk
from aurora.engine.workers import Death, Failure, Progress, Request, Result, Workers
from aurora.errors import InternalError
from aurora.journal import Event, Journal

MAX_CONCURRENT = 4
TICK_S = 0.1
ONE_STOP_S = 0.25
"""Signals that come this close together are one wish to stop: `timeout` and closing terminals send two at once."""


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
    working: Path
    """What its workers lock while they live."""
    clock: Clock
    dry_run: bool = False
    settle: Mapping[str, str] = field(default_factory=dict)
    """Unknown outcomes that a person settled on the command line: step id to `done` or `not_done`."""
    operator: str = ""


class SecretInArguments(TypeMismatch):
    """A step would be given a secret, which the journal must not hold."""


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
        masker: Masker | None = None,
    ) -> None:
        self.plan, self.functions, self.scopes, self.state = plan, functions, scopes, state
        self.journal, self.listener = journal, listener
        self.facts, self.signals, self.masker = facts, stop, masker or Masker({})
        self.walk = Walk(plan, state)
        self.selector = selectors.DefaultSelector()
        self.timers = Timers(facts.clock)
        self.attempts = Attempts(workers, self.selector, listener, facts.clock, self.masker)
        self.questions = Questions(person, self.selector, self._record, self.timers, self._answered)
        self.items: dict[str, list[Any]] = {}
        self.advance: list[Node] = []
        """`foreach` steps of which an item has ended."""
        self.retrying: dict[str, tuple[Node, Timer]] = {}
        self.unanswered: list[str] = []
        """Steps whose outcome is unknown, and nobody is here to say: what does not need them goes on first."""
        self.kill = False
        self.stopped_at = 0.0
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
        """Walk to the end. Return outcome and exit code: a final one, or `interrupted`, 7, or `waiting`, 4."""
        try:
            while True:
                self._settle_ends()
                if self._start_ready() or self.questions.ask_next():
                    continue
                if self.walk.done or self.kill:
                    break
                if not self.attempts and self.questions.open is None and not self.timers:
                    if self.walk.stopping and self.walk.next_finally():
                        continue
                    if self.walk.stopping:
                        break
                    if self.unanswered:
                        return "waiting", 4
                    raise InternalError(f"The run {self.facts.run} has nothing to do and is not done.")
                self._wait()
            return self._close()
        finally:
            self.selector.close()

    def _close(self) -> tuple[str, int]:
        if self.cancelled and not self.kill:
            self._cancel_rest()
        elif not self.walk.done:
            reason = "killed by a second signal" if self.kill else "stopped by a signal"
            self._record("run.interrupted", {"reason": reason, "unfinished": sorted(self.attempts.running)})
            return "interrupted", 7
        outcome = outcome_of(self.state.steps.values(), at_least="cancelled" if self.cancelled else "green")
        code = self._exit_code(outcome)
        elapsed = round(self.facts.clock.monotonic() - self.start, 3)
        self._record("run.finished", {"outcome": outcome, "exit_code": code, "elapsed_s": elapsed})
        return outcome, code

    def _cancel_rest(self) -> None:
        """Record what a cancelled run never came to, and what it began that must not repeat: nobody knows its end."""
        for node in self.plan.nodes.values():
            state = self.state.step(node.id)
            if state.over or (not state.unsettled and self._is_idle_path(node)):
                continue
            function = self.functions.get(node.step.uses or "")
            lost = "unknown" if function is not None and function.info.repeat == "never" else "cancelled"
            for index in range(len(state.items or ())):
                if self.state.step(f"{node.id}[{index}]").unsettled:
                    self._record_end(self._instance(node, index), lost, reason=self.cancelled)
            begun = state.unsettled and state.items is None
            self._record_end(node, lost if begun else "cancelled", reason=self.cancelled)

    def _is_idle_path(self, node: Node) -> bool:
        """Return whether `node` is, or lies in, a failure path that never began."""
        while node.section != "on_failure":
            if node.scope.container is None:
                return False
            node = self.plan.nodes[node.scope.container]
        return self.state.step(node.id).status == "pending"

    def _exit_code(self, outcome: str) -> int:
        if outcome != "red":
            return {"green": 0, "amber": 0, "broken": 1, "declined": 5, "cancelled": 5}[outcome]
        codes = []
        for step_id, step in self.state.steps.items():
            if step.status == "red":
                node = self.plan.nodes.get(step_id.partition("[")[0])
                if node is None:
                    codes.append(3)  # of a runbook that was changed since, and a person accepted that
                    continue
                own = [gate for gate in step.gates if gate["verdict"] == "red" and gate["severity"] == "blocking"]
                if node.step.kind == "runbook" and not own:
                    continue  # its colour is that of the steps inside, which have their own say
                codes.append(self._red_exit(node))
        return max(codes, default=3)

    def _red_exit(self, node: Node) -> int:
        scope = node.scope
        while scope.runbook.red_exit is None and scope.parent is not None:
            scope = scope.parent
        return scope.runbook.red_exit or 3

    def _wait(self) -> None:
        patience = self.timers.patience()
        if self.listener.live:
            patience = TICK_S if patience is None else min(patience, TICK_S)
        ready = [key.fd for key, _ in self.selector.select(patience)]
        if self.signals is not None and self.signals.descriptor in ready:
            self._signalled()  # first: a terminal that is lost ends the input, too, and that would be a no
        for descriptor in ready:
            if self.attempts.owns(descriptor):
                ended = self.attempts.hear(descriptor)
                if ended is not None:
                    self._over(*ended)
            elif self.questions.owns(descriptor):
                self.questions.hear()
        self.timers.act()
        if self.listener.live:
            self.listener.tick()

    def _signalled(self) -> None:
        assert self.signals is not None
        names = self.signals.read()
        now = self.facts.clock.monotonic()
        if not names:
            return
        if self.walk.stopping and not self.cancelled:
            self.kill = self.kill or now - self.stopped_at > ONE_STOP_S
        elif self.cancelled:
            self.kill = True
        else:
            self.stopped_at = now
            self._record("run.stopping", {"reason": names[0]})
            self.walk.stop()
            self.questions.drop("stopped", keep=self.walk.is_ending)
            self.attempts.stop(keep=self.walk.is_ending)
            for node, timer in list(self.retrying.values()):
                if not self.walk.is_ending(node):
                    timer.cancel()
                    del self.retrying[node.id]
        if self.kill:
            self.attempts.kill()

    def _record(self, type_: str, data: Mapping[str, Any], *, sync: bool = True) -> Event:
        event = self.journal.append(type_, data, sync=sync)
        self.state.apply(event)
        self.listener.on_event(event)
        return event

    # starting

    def _settle_ends(self) -> None:
        """Write down what a failure leaves out, go on with `foreach` steps, end containers whose scope has closed."""
        while self.walk.to_omit or self.walk.to_close or self.advance:
            if self.walk.to_omit:
                node_id, reason = self.walk.to_omit.pop(0)
                if not self.state.step(node_id).over:
                    self._leave_out(self.plan.nodes[node_id], reason)
            elif self.advance:
                self._next_item(self.advance.pop(0))
            else:
                self._close_container(self.plan.nodes[self.walk.to_close.pop(0)])
            for node, _ in list(self.retrying.values()):
                if not self.walk.goes_on(node) and not self.walk.stopping:
                    self._give_up(node, "the run had failed meanwhile")

    def _leave_out(self, node: Node, reason: str) -> None:
        if self.state.step(node.id).failure is not None:
            self._give_up(node, reason)
        elif self.questions.withdraw(node.id, "the run had failed meanwhile"):
            self._end(node, "cancelled", reason=f"nobody had answered when the run failed: {reason}")
        else:
            self._end(node, "omitted", reason=reason, sync=False)

    def _give_up(self, node: Node, reason: str) -> None:
        """End a step that failed and is not tried again, with what it failed of."""
        waiting = self.retrying.pop(node.id, None)
        if waiting is not None:
            waiting[1].cancel()
        failure = self.state.step(node.id).failure
        assert failure is not None
        self._end(node, failure["status"], reason=f"not tried again: {reason}", error=failure["error"])

    def _close_container(self, container: Node) -> None:
        nodes = [self.plan.nodes[node_id] for node_id in self.plan.scopes[container.id].nodes]
        outcome = outcome_of(self.state.step(node.id) for node in nodes)
        left_out = [
            node.id for node in nodes if node.section == "steps" and self.state.step(node.id).status == "omitted"
        ]
        if outcome in ("green", "amber") and left_out:
            self._finish(container, "cancelled", None, reason=f"cut short: {left_out[0]} was left out")
        else:
            self._finish(container, "passed" if outcome in ("green", "amber") else outcome, None)

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
            self._settle(node, state)
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
            self._could_not_begin(node, error)

    def _could_not_begin(self, node: Node, error: Exception) -> None:
        if self.facts.dry_run and not isinstance(error, SecretInArguments):
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
        self._refuse_secret(function.uses, arguments)
        attempt = self.state.step(node.id).attempt + 1
        token = f"{self.facts.run}:{node.id}:{attempt}"
        self._record("step.started", {"step": node.id, "attempt": attempt, "token": token, "with": arguments})
        self._send(node, function, "run", token, arguments, attempt)

    def _refuse_secret(self, what: str, arguments: Mapping[str, Any]) -> None:
        if self.masker.holds(json.dumps(arguments)):
            raise SecretInArguments(f"an argument of {what} holds a secret; a step reads secrets from its environment")

    def _send(
        self,
        node: Node,
        function: StepFunction,
        op: str,
        token: str,
        arguments: Mapping[str, Any],
        number: int,
        doubt: Doubt | None = None,
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
            self.facts.working,
            self.scopes.profile(node.scope),
            self.facts.dry_run,
        )
        try:
            self.attempts.start(node, function, request, doubt)
        except OSError as error:
            why = f"no worker process could be started: {error.strerror or error}"
            if doubt is not None:
                self._verified(node, doubt, "unknown", None, why)
            else:
                self._end(node, "broken", error={"type": "WorkerNotStarted", "message": why, "trace": ""})

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
        self._refuse_secret(f"the runbook {scope.runbook.name}", arguments)
        if "profile" in arguments:
            self.scopes.require_profile(str(arguments["profile"]))
        attempt = self.state.step(node.id).attempt + 1
        token = f"{self.facts.run}:{node.id}:{attempt}"
        self._record("step.started", {"step": node.id, "attempt": attempt, "token": token, "with": arguments})
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
        plain = encode([item.plain() if isinstance(item, Namespace) else item for item in items])
        if state.items is None:
            self._record("step.expanded", {"step": node.id, "items": plain})
        elif state.items != json.loads(json.dumps(plain)):
            raise TypeMismatch("the items of foreach are not those that the step began with")
        self.items[node.id] = items
        self._next_item(node)

    def _next_item(self, node: Node) -> None:
        """Go on with the first item that is not over, or end the step: all are, one failed, or the run has."""
        count = len(self.items[node.id])
        results = [self.state.step(f"{node.id}[{index}]") for index in range(count)]
        failed = [each.status for each in results if each.status in FAILED]
        stop = bool(failed) and node.step.on_failure.action != "continue"
        index = next((index for index, each in enumerate(results) if not each.over), None)
        outputs = {"items": [each.outputs for each in results if each.over]}
        if index is None or stop:
            self._end(node, failed[0] if failed else "passed", outputs=outputs)
        elif results[index].unsettled:
            self._settle(self._instance(node, index), results[index])
        elif self.walk.goes_on(node):
            self._begin_item(self._instance(node, index))
        elif self.walk.stopping:
            return
        elif results[index].failure is not None:
            self._give_up(self._instance(node, index), "the run had failed")
        else:
            done = count - sum(not each.over for each in results)
            status = failed[0] if failed else "cancelled"
            self._end(node, status, reason=f"cut short after {done} of {count}: the run had failed", outputs=outputs)

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
            self._could_not_begin(instance, error)

    def _parent(self, instance: Node) -> Node:
        return self.plan.nodes[instance.id.rpartition("[")[0]]

    def _item(self, node: Node) -> Any:
        parent, _, rest = node.id.rpartition("[")
        return self.items[parent][int(rest[:-1])] if node.step.foreach is not None and rest.endswith("]") else None

    # what attempts say

    def _over(self, running: Running, message: Result | Failure | Death) -> None:
        if self._was_stopped(running, message):
            return  # it is left as started: a resume repeats it, or finds out what became of it
        if running.verifying is not None:
            self._verified(running.node, running.verifying, *_verdict(message), running=running)
        elif isinstance(message, Result):
            stopped = message.stopped and self.walk.stopping and not self.walk.is_ending(running.node)
            self._finish(running.node, "passed", message.outputs, running=running, stopped=stopped)
        elif isinstance(message, Failure):
            self._failed(running, message)
        else:
            self._died(running, message)

    def _was_stopped(self, running: Running, message: Result | Failure | Death) -> bool:
        if not self.kill and (not self.walk.stopping or self.walk.is_ending(running.node)):
            return False
        return isinstance(message, Death) and not message.timed_out

    def _failed(self, running: Running, failure: Failure) -> None:
        error = {"type": failure.type, "message": failure.message, "trace": failure.trace}
        if not self._retry(running.node, failure.type, "broken", error):
            self._end(running.node, "broken", error=error, running=running)

    def _died(self, running: Running, death: Death) -> None:
        node = running.node
        status = "timed_out" if death.timed_out else "broken"
        message = (
            f"no end after {node.step.timeout:g} s"
            if death.timed_out and node.step.timeout is not None
            else f"its worker process ended without an answer ({_ending(death.status)})"
        )
        error = {"type": "timeout" if death.timed_out else "WorkerDied", "message": message, "trace": ""}
        if self.functions[str(node.step.uses)].info.repeat == "never":
            self._unknown(node, message, running, status)
        elif not self._retry(node, error["type"], status, error):
            self._end(node, status, error=error, running=running)

    def _retry(self, node: Node, kind: str, status: str, error: dict[str, Any]) -> bool:
        """Arrange another attempt, if the step may have one; only a step that is safe to repeat ever does."""
        retry, state = node.step.retry, self.state.step(node.id)
        safe = self.functions[str(node.step.uses)].info.repeat == "safe"
        if retry is None or not safe or state.tries >= retry.max_attempts or (retry.on and kind not in retry.on):
            return False
        if not self.walk.goes_on(node):
            return False
        delay = retry.wait_before(state.tries + 1)
        self._record(
            "step.retrying",
            {"step": node.id, "attempt": state.attempt, "status": status, "error": error, "delay_s": delay},
        )
        self.retrying[node.id] = (node, self.timers.after(delay, lambda: self._try_again(node)))
        return True

    def _try_again(self, node: Node) -> None:
        del self.retrying[node.id]
        if node.id in self.plan.nodes:
            self.walk.again(node)
        else:
            self.advance.append(self._parent(node))

    # unknown outcomes (engine rule 18)

    def _settle(self, node: Node, state: StepState) -> None:
        """Find out what became of a step that did not come to its end; a safe one simply runs again."""
        why = "it was asked to stop, and ended early" if state.stopped else "the engine ended before the step did"
        function = self.functions[str(node.step.uses)]
        said = state.verified or {}
        if node.id in self.facts.settle:
            self._settled_by_person(node, self.facts.settle[node.id])
        elif said.get("by") not in (None, "verify") and said.get("answer") in ("done", "not_done"):
            self._apply_person(node, said["answer"], str(said["by"]))
        elif function.info.repeat == "never":
            self._unknown(node, why, None, "broken")
        elif self.walk.goes_on(node):
            self._again(node)
        else:
            self._end(node, "cancelled", reason=f"{why}; not repeated, since the run had failed")

    def _again(self, node: Node) -> None:
        try:
            self._attempt(node, self.functions[str(node.step.uses)])
        except (ExpressionError, TypeMismatch) as error:
            self._could_not_begin(node, error)

    def _unknown(self, node: Node, why: str, running: Running | None, status: str) -> None:
        function = self.functions[str(node.step.uses)]
        state = self.state.step(node.id)
        if function.info.verify is not None:
            token = f"{self.facts.run}:{node.id}:{state.attempt}"
            doubt = Doubt(why, status, resumed=running is None)
            self._send(node, function, "verify", token, state.arguments, state.attempt, doubt)
        elif running is None:
            self._ask_what_happened(node, why)
        else:
            self._end(node, "unknown", reason=f"{why}; nobody knows what it did", running=running)

    def _verified(
        self, node: Node, doubt: Doubt, answer: str, outputs: Any, reason: str, running: Running | None = None
    ) -> None:
        self._record_verdict(node, answer, outputs, reason, "verify")
        if answer == "done":
            self._finish(node, "passed", outputs, reason=f"{doubt.why}; verified as done", running=running)
        elif answer == "not_done":
            self._not_done(node, doubt)
        elif doubt.resumed:
            self._ask_what_happened(node, f"{doubt.why}; {reason}")
        else:
            self._end(node, "unknown", reason=f"{doubt.why}; verify could not tell: {reason}", running=running)

    def _not_done(self, node: Node, doubt: Doubt) -> None:
        """Do what certainly was not done: on resume, or as a retry."""
        retry, state = node.step.retry, self.state.step(node.id)
        may_retry = retry is not None and state.tries < retry.max_attempts
        if (doubt.resumed or may_retry) and self.walk.goes_on(node):
            self._again(node)
        else:
            self._end(node, doubt.status, reason=f"{doubt.why}; it was not done")

    def _ask_what_happened(self, node: Node, why: str) -> None:
        self.questions.add(node, Prompt(node.id, f"What {node.step.title!r} has done is unknown: {why}.", settle=True))

    def _record_verdict(self, node: Node, answer: str, outputs: Any, reason: str, by: str) -> None:
        attempt = self.state.step(node.id).attempt
        verdict = {
            "step": node.id,
            "attempt": attempt,
            "answer": answer,
            "outputs": outputs,
            "reason": reason,
            "by": by,
        }
        self._record("step.verified", verdict)

    def _settled_by_person(self, node: Node, answer: str) -> None:
        self._record_verdict(node, answer, None, "a person said so", self.facts.operator)
        self._apply_person(node, answer, self.facts.operator)

    def _apply_person(self, node: Node, answer: str, person: str) -> None:
        if answer == "done":
            self._finish(node, "passed", self.state.step(node.id).outputs, reason=f"settled as done by {person}")
        else:
            self._not_done(node, Doubt(f"settled as not done by {person}", "broken", resumed=True))

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
                self.unanswered.append(node.id)
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
        stopped: bool = False,
    ) -> None:
        """End a step that did its work: its gates decide whether it passed.

        One that ended early because it was `stopped` is put on record as cancelled, and the walk is not told: a resume
        takes it up again.
        """
        error = None
        gates: list[dict[str, Any]] = []
        if outputs is not None and self.masker.holds(json.dumps(outputs)):
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
        if stopped and status == "passed":
            reason = "it was asked to stop, and ended by itself"
            self._record_end(node, "cancelled", reason, outputs, gates, error, running, stopped=True)
            return
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
            self.advance.append(self._parent(node))

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
        stopped: bool = False,
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
                "stopped": stopped,
            },
            sync=sync,
        )


def _artifacts(folder: Path, run: Path) -> list[dict[str, Any]]:
    if not folder.exists():
        return []
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            try:
                with path.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
                    size = os.fstat(file.fileno()).st_size
            except OSError:
                continue  # what the step left running has taken it away
            found.append({"name": str(path.relative_to(run)), "bytes": size, "sha256": digest})
    return found


def _verdict(message: Result | Failure | Death) -> tuple[str, Any, str]:
    """Return answer, outputs and reason of a `verify` function; one that fails knows nothing."""
    if isinstance(message, Result):
        return message.outputs["answer"], message.outputs["outputs"], message.outputs["reason"]
    if isinstance(message, Failure):
        return "unknown", None, f"its verify function failed: {message.type}: {message.message[:500]}"
    why = "did not end in time" if message.timed_out else f"ended without an answer ({_ending(message.status)})"
    return "unknown", None, f"its verify function {why}"


def _ending(status: int | None) -> str:
    if status is None:
        return "no status"
    return f"signal {-status}" if status < 0 else f"exit {status}"


def _undecimal(value: Any, kind: str) -> Any:
    """Return a Decimal that is whole as int where a parameter wants an integer."""
    return int(value) if kind == "integer" and not isinstance(value, int) and value == int(value) else value
