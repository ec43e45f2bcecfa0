"""How steps begin: `if`, `with`, what a dry run makes of them, and the request to a worker."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from aurora.engine.attempts import Attempts, Doubt
from aurora.engine.endings import End, Endings, failure
from aurora.engine.expressions import ExpressionError
from aurora.engine.graph import Node
from aurora.engine.loader import value_problem_of
from aurora.engine.prompts import Prompt
from aurora.engine.questions import Questions
from aurora.engine.run import Run
from aurora.engine.scopes import encoded_arguments, evaluate
from aurora.engine.values import Namespace, TypeMismatch, convert, encode, shown
from aurora.engine.workers import Request


class SecretInArguments(TypeMismatch):
    """A step would be given a secret, which the journal must not hold."""


class Beginnings:
    """begin: `if` → by kind: an attempt, a sub-runbook, a question, or only a gate."""

    def __init__(self, run: Run, endings: Endings, attempts: Attempts, questions: Questions) -> None:
        self._run, self._endings = run, endings
        self._attempts, self._questions = attempts, questions

    def begin(self, node: Node) -> None:
        """Begin a step, or skip it."""
        kinds = {"uses": self.perform, "runbook": self._open, "confirm": self._ask, "gate": self._decide}
        self.guarded(node, lambda: kinds[node.step.kind](node) if self.applies(node) else None)

    def asks_first(self, node: Node, agreed: Collection[str]) -> bool:
        """Ask whether a step may begin, when the run goes step by step; False for one that needs no question.

        What runs after a failure, or in a `finally`, is never asked for: stopping must not wait for a person.
        """
        if node.step.kind != "uses" or node.id in agreed or not self._run.walk.is_ordinary(node):
            return False
        self.guarded(node, lambda: self._ask_first(node) if self.applies(node) else None)
        return True

    def _ask_first(self, node: Node) -> None:
        step = node.step
        given = {} if step.foreach is not None else evaluate(step.with_, self._run.names(node))
        arguments = ", ".join(f"{name}={shown(value, 200)}" for name, value in given.items())
        text = f"Next: {step.title}   {step.uses}({arguments})"
        self._questions.add(node, Prompt(node.id, self._run.masker.text(text), purpose="begin"))

    def guarded(self, node: Node, act: Callable[[], None]) -> None:
        """Do what may find that an expression has no value, or one of the wrong type: that is the step's end."""
        try:
            act()
        except (ExpressionError, TypeMismatch) as error:
            if self._run.facts.dry_run and not isinstance(error, SecretInArguments):
                self._endings.end(node, End("skipped", f"a dry run can't know: {error}", simulated=True))
            else:
                self._endings.break_(node, error)

    def applies(self, node: Node) -> bool:
        """Return whether the `if` of a step holds; end the step as skipped when it does not."""
        condition = node.step.if_
        if condition is None:
            return True
        value = condition.evaluate(self._run.names(node))
        if value is not True and value is not False:
            raise ExpressionError(f"if: {condition.text} yielded {value!r}, not true or false")
        if not value:
            self._endings.end(node, End("skipped", f"if: {condition.text} is false"))
        return value

    def perform(self, node: Node) -> None:
        """Call the function of a step, or of an item; a dry run may skip it or take its sample outputs."""
        info = self._run.function(node).info
        action = (node.step.dry_run or info.dry_run) if self._run.facts.dry_run else "run"
        if action == "skip":
            self._endings.end(node, End("skipped", "dry run", gates=_undecided(node), simulated=True))
        elif action == "simulate":
            sample = encode(info.sample)
            self._endings.finish(node, End("passed", "dry run: sample outputs", sample, simulated=True))
        else:
            self._attempt(node)

    def again(self, node: Node) -> None:
        """Start another attempt of a step that certainly has not acted, or may act twice."""
        self.guarded(node, lambda: self._attempt(node))

    def _attempt(self, node: Node) -> None:
        run, function = self._run, self._run.function(node)
        arguments = encoded_arguments(evaluate(node.step.with_, run.names(node)), function)
        self._started(node, function.uses, arguments)
        why = self.send(node, "run")
        if why:
            self._endings.end(node, End("broken", error=failure("WorkerNotStarted", why)))

    def _started(self, node: Node, what: str, arguments: Mapping[str, Any]) -> None:
        run = self._run
        if run.masker.holds_in(arguments):
            raise SecretInArguments(f"an argument of {what} holds a secret; a step reads secrets from its environment")
        attempt = run.state.step(node.id).attempt + 1
        token = run.token(node, attempt)
        run.record("step.started", {"step": node.id, "attempt": attempt, "token": token, "with": arguments})

    def send(self, node: Node, op: str, doubt: Doubt | None = None) -> str:
        """Send the attempt that is on record to a worker; return why that could not be done, or nothing."""
        run, state = self._run, self._run.state.step(node.id)
        function = run.function(node)
        profile = run.scopes.profile(node.scope)
        token = run.token(node, state.attempt)
        request = Request(
            op,
            token,
            function.uses,
            state.arguments,
            run.facts.run,
            node.id,
            state.attempt,
            run.artifacts(node, state.attempt),
            run.facts.working,
            profile,
            run.facts.dry_run,
            run.grant(node, token, profile) if op == "run" else None,
        )
        try:
            self._attempts.start(node, function, request, doubt)
        except OSError as error:
            return f"no worker process could be started: {error.strerror or error}"
        return ""

    def _open(self, node: Node) -> None:
        """Start a sub-runbook, with its own parameters and profile (engine rule 15)."""
        scope = self._run.plan.scopes[node.id]
        arguments = {}
        for name, value in evaluate(node.step.with_, self._run.names(node)).items():
            param = scope.runbook.params[name]
            plain = _undecimal(value.plain() if isinstance(value, Namespace) else value, param.type)
            problem = value_problem_of(plain, param.schema)
            if problem:
                raise TypeMismatch(f"{name!r} of the runbook {scope.runbook.name} {problem}")
            arguments[name] = encode(convert(plain, param.python_type))
        if "profile" in arguments:
            self._run.scopes.require_profile(str(arguments["profile"]))
        self._started(node, f"the runbook {scope.runbook.name}", arguments)
        self._run.walk.open_scope(node.id)

    def _ask(self, node: Node) -> None:
        step = node.step
        if self._run.facts.dry_run:
            self._endings.end(node, End("skipped", "dry run: nobody is asked", simulated=True))
        else:
            self._questions.add(node, Prompt(node.id, str(step.confirm), step.checklist, step.timeout))

    def _decide(self, node: Node) -> None:
        self._endings.finish(node, End("passed"))


def _undecided(node: Node) -> list[dict[str, Any]]:
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


def _undecimal(value: Any, kind: str) -> Any:
    """Return a Decimal that is whole as int where a parameter wants an integer."""
    return int(value) if kind == "integer" and not isinstance(value, int) and value == int(value) else value
