"""Unknown outcomes: a step that must not repeat was begun, and nobody knows what it did (engine rule 18)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from aurora.engine.attempts import Doubt, Running
from aurora.engine.beginnings import Beginnings
from aurora.engine.endings import End, Endings, failure
from aurora.engine.graph import Node
from aurora.engine.prompts import Answer, Prompt
from aurora.engine.questions import Questions
from aurora.engine.run import Run
from aurora.engine.workers import Death, Failure, Result


class Doubts:
    """settle or suspect → the step's `verify` → done, not done (it runs, or ends), or unknown: a person is asked.

    While a run goes on, unknown is the end of the step; after a resume a person is asked first.
    """

    def __init__(self, run: Run, endings: Endings, beginnings: Beginnings, questions: Questions) -> None:
        self._run, self._endings = run, endings
        self._beginnings, self._questions = beginnings, questions
        self.unanswered: list[str] = []
        """Steps that nobody could say anything about: what does not need them goes on, then the run waits."""

    def settle(self, node: Node) -> None:
        """Find out, on resume, what became of a step that did not come to its end; a safe one simply runs again."""
        run, state = self._run, self._run.state.step(node.id)
        why = "it was asked to stop, and ended early" if state.stopped else "the engine ended before the step did"
        said = state.verified or {}
        if node.id in run.facts.settle:
            self._on_word(node, run.facts.settle[node.id])
        elif said.get("by") not in (None, "verify") and said.get("answer") in ("done", "not_done"):
            self._apply_word(node, said["answer"], str(said["by"]))
        elif run.function(node).info.repeat == "never":
            self._look(node, Doubt(why, "broken", resumed=True), None)
        elif run.walk.goes_on(node):
            self._beginnings.again(node)
        else:
            self._endings.end(node, End("cancelled", f"{why}; not repeated, since the run had failed"))

    def suspect(self, running: Running, why: str, status: str) -> None:
        """Find out what a step did whose worker has died, or whose time was up."""
        self._look(running.node, Doubt(why, status, resumed=False), running)

    def _look(self, node: Node, doubt: Doubt, running: Running | None) -> None:
        if self._run.function(node).info.verify is not None:
            why = self._beginnings.send(node, "verify", doubt)
            if why:
                self._conclude(node, doubt, ("unknown", None, why), running)
        elif doubt.resumed:
            self._ask(node, doubt.why)
        else:
            self._endings.end(node, End("unknown", f"{doubt.why}; nobody knows what it did", running=running))

    def verified(self, running: Running, doubt: Doubt, message: Result | Failure | Death) -> None:
        """Take the answer of a `verify` function; one that fails knows nothing."""
        if isinstance(message, Result):
            found = message.outputs
            verdict = (found["answer"], found["outputs"], found["reason"])
        elif isinstance(message, Failure):
            verdict = ("unknown", None, f"its verify function failed: {message.type}: {message.message[:500]}")
        elif message.timed_out:
            verdict = ("unknown", None, "its verify function did not end in time")
        else:
            verdict = ("unknown", None, f"its verify function ended without an answer ({how(message)})")
        self._conclude(running.node, doubt, verdict, running)

    def _conclude(self, node: Node, doubt: Doubt, verdict: tuple[str, Any, str], running: Running | None) -> None:
        answer, outputs, reason = verdict
        self._record(node, answer, outputs, reason, "verify")
        if answer == "done":
            self._endings.finish(node, End("passed", f"{doubt.why}; verified as done", outputs, running=running))
        elif answer == "not_done":
            self._not_done(node, doubt)
        elif doubt.resumed:
            self._ask(node, f"{doubt.why}; {reason}")
        else:
            self._endings.end(node, End("unknown", f"{doubt.why}; verify could not tell: {reason}", running=running))

    def _not_done(self, node: Node, doubt: Doubt) -> None:
        """Do what certainly was not done: on resume, or as a retry."""
        retry, state = node.step.retry, self._run.state.step(node.id)
        may_retry = retry is not None and state.tries < retry.max_attempts
        if (doubt.resumed or may_retry) and self._run.walk.goes_on(node):
            self._beginnings.again(node)
        else:
            self._endings.end(node, End(doubt.status, f"{doubt.why}; it was not done"))

    def _ask(self, node: Node, why: str) -> None:
        text = f"What {node.step.title!r} has done is unknown: {why}."
        self._questions.add(node, Prompt(node.id, text, purpose="settle"))

    def answered(self, node: Node, answer: Answer) -> None:
        """Take what the person at the terminal says; nothing is not a no."""
        if answer.accepted or answer.refused:
            self._on_word(node, "done" if answer.accepted else "not_done")
        else:
            self.unanswered.append(node.id)

    def _on_word(self, node: Node, answer: str) -> None:
        person = self._run.facts.operator
        self._record(node, answer, None, "a person said so", person)
        self._apply_word(node, answer, person)

    def _apply_word(self, node: Node, answer: str, person: str) -> None:
        if answer == "done":
            outputs = self._run.state.step(node.id).outputs
            end = self._endings.decided(node, End("passed", f"settled as done by {person}", outputs))
            if end.status == "red" and outputs is None and self._run.function(node).returns is not None:
                # red would promise outputs to what reads them behind its status
                error = failure("OutputsUnknown", "its gates can't judge it: a person's word has no outputs")
                end = replace(end, status="broken", error=error)
            self._endings.conclude(node, end)
        else:
            self._not_done(node, Doubt(f"settled as not done by {person}", "broken", resumed=True))

    def _record(self, node: Node, answer: str, outputs: Any, reason: str, by: str) -> None:
        attempt = self._run.state.step(node.id).attempt
        verdict = {"answer": answer, "outputs": outputs, "reason": reason, "by": by}
        self._run.record("step.verified", {"step": node.id, "attempt": attempt, **verdict})


def how(death: Death) -> str:
    """Return how a worker process ended, in words."""
    if death.status is None:
        return "no status"
    return f"signal {-death.status}" if death.status < 0 else f"exit {death.status}"
