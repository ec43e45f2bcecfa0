"""The runner: walks a plan from whatever its journal says, and writes down each thing before it does it."""

from __future__ import annotations

import selectors
from typing import Protocol

from aurora.consent import Signed
from aurora.engine.attempts import Attempts, Running
from aurora.engine.beginnings import Beginnings
from aurora.engine.doubts import Doubts, how
from aurora.engine.endings import End, Endings, failure
from aurora.engine.exits import INTERRUPTED, WAITING, exit_code
from aurora.engine.foreach import Items
from aurora.engine.graph import Node
from aurora.engine.inbox import Act, Inbox
from aurora.engine.prompts import Answer, Person, Prompt
from aurora.engine.questions import Questions
from aurora.engine.retries import Retries
from aurora.engine.run import Run
from aurora.engine.signatory import Signatory, Signing
from aurora.engine.state import RunState, outcome_of
from aurora.engine.timers import Timers
from aurora.engine.unrecorded import NO_JOURNAL, only_reduces
from aurora.engine.workers import Death, Failure, Result, Workers
from aurora.errors import InternalError, JournalWriteError

MAX_CONCURRENT = 4
TICK_S = 0.1
INBOX_S = 0.25
ONE_STOP_S = 0.25
"""Signals that come this close together are one wish to stop: `timeout` and closing terminals send two at once."""
FAILED_MEANWHILE = "the run had failed meanwhile"


class Stop(Protocol):
    """Signals as the runner sees them."""

    descriptor: int

    def read(self) -> list[str]:
        """Return the names of the signals that came since the last call."""


class Runner:
    """run → start what is ready → wait for workers, people, timers and signals → finish steps → … → close.

    A step's attempt ends in one of these ways, and each has one place: its function returned (`Endings.finish`); it
    raised, or its worker died or timed out (`_failed`, `_died`: another attempt, an end, or, for a step that must not
    repeat, a doubt); a person answered (`_answered`); it never started, because its `if` or `with` say so
    (`Beginnings`), or what it needs did not pass (`_leave_out`).
    """

    def __init__(
        self,
        run: Run,
        workers: Workers,
        person: Person,
        stop: Stop | None = None,
        signatory: Signatory | None = None,
    ) -> None:
        self._run, self._walk, self._facts, self._signals = run, run.walk, run.facts, stop
        self._inbox = Inbox(run.facts.folder, run.state.acts)
        self._looked_at = 0.0
        self._agreed: set[str] = set()
        self._selector = selectors.DefaultSelector()
        self._timers = Timers(run.facts.clock)
        self._attempts = Attempts(workers, self._selector, run.listener, run.facts.clock, run.masker)
        self._signing: Signing | None = None
        if run.facts.live:
            must = not run.facts.only_reduces
            tell = run.listener.on_log
            self._signing = Signing(signatory, self._selector, run.facts.run, run.head, must=must, say=tell)
        self._questions = Questions(person, self._selector, run.record, self._timers, self._answered, self._signing)
        self._examined: set[str] = set()
        """The acts whose signatures are being checked."""
        self._endings = Endings(run)
        self._retries = Retries(run, self._endings, self._timers)
        self._beginnings = Beginnings(run, self._endings, self._attempts, self._questions)
        self._doubts = Doubts(run, self._endings, self._beginnings, self._questions)
        self._items = Items(run, self._endings, self._beginnings, self._retries, self._doubts)
        self._stopped_at: float | None = None
        self._killed = False
        self._cancelled = ""
        self.done_unrecorded: list[str] = []
        """The steps that came to their end after the journal was lost."""
        self._start = run.facts.clock.monotonic()
        if stop is not None:
            self._selector.register(stop.descriptor, selectors.EVENT_READ)

    @property
    def state(self) -> RunState:
        """Return the run's state, as far as it is on record."""
        return self._run.state

    def fail(self, because: str) -> None:
        """Let the run fail: only failure paths and `finally` still begin."""
        self._walk.fail(because)

    @property
    def unanswered(self) -> list[str]:
        """Return the steps that a person has to settle before the run can go on."""
        return self._doubts.unanswered

    def cancel(self, reason: str) -> None:
        """End the run instead of going on: its `finally` runs, nothing else, and it is recorded as cancelled."""
        self._cancelled = reason
        self._walk.stop()

    def run(self) -> tuple[str, int]:
        """Walk to the end. Return outcome and exit code: a final one, or `interrupted`, 7, or `waiting`, 4."""
        try:
            self._hear_others()
            while True:
                self._settle_ends()
                if self._start_ready() or self._questions.ask_next():
                    continue
                if self._walk.done or self._killed:
                    return self._close()
                if self._attempts or self._questions.open is not None or self._timers:
                    self._wait()
                elif self._walk.stopping:
                    if not self._walk.next_finally():
                        return self._close()
                elif self.unanswered:
                    return "waiting", WAITING
                else:
                    raise InternalError(f"The run {self._facts.run} has nothing to do and is not done.")
        except JournalWriteError:
            self._wind_down()
            raise
        finally:
            if self._signing is not None:
                self._signing.close()
            self._selector.close()

    def _wind_down(self) -> None:
        """Ask what is under way to end, but for what only reduces, and wait for it; nothing is written any more."""
        functions = self._run.functions
        self._attempts.stop(keep=lambda node: only_reduces(node, functions))
        while self._attempts:
            for key, _ in self._selector.select():
                ended = self._attempts.hear(key.fd) if self._attempts.owns(key.fd) else None
                if ended is not None and isinstance(ended[1], Result) and not ended[1].stopped:
                    self.done_unrecorded.append(ended[0].node.id)
                elif self._signals is not None and key.fd == self._signals.descriptor and self._signals.read():
                    self._attempts.kill()

    def _close(self) -> tuple[str, int]:
        run = self._run
        if self._cancelled and not self._killed:
            self._endings.cancel_rest(self._cancelled)
        elif not self._walk.done:
            reason = "killed by a second signal" if self._killed else "stopped by a signal"
            run.record("run.interrupted", {"reason": reason, "unfinished": sorted(self._attempts.running)})
            return "interrupted", INTERRUPTED
        outcome = outcome_of(run.state.steps.values(), at_least="cancelled" if self._cancelled else "green")
        code = exit_code(run.plan, run.state, outcome)
        elapsed = round(self._facts.clock.monotonic() - self._start, 3)
        run.record("run.finished", {"outcome": outcome, "exit_code": code, "elapsed_s": elapsed})
        return outcome, code

    # going on

    def _settle_ends(self) -> None:
        """Write down what a failure leaves out, go on with `foreach` steps, end containers whose scope has closed."""
        run, walk = self._run, self._walk
        while True:
            if walk.to_omit:
                node_id, reason = walk.to_omit.pop(0)
                if not run.state.step(node_id).over:
                    self._leave_out(run.plan.nodes[node_id], reason)
            elif run.advanced:
                self._items.advance(run.advanced.pop(0))
            elif walk.to_close:
                self._endings.close(run.plan.nodes[walk.to_close.pop(0)])
            elif not self._retries.give_up_doomed():  # one at a time: what it ends may end others
                return

    def _leave_out(self, node: Node, reason: str) -> None:
        if self._run.state.step(node.id).failure is not None:
            self._retries.give_up(node, reason)
        elif self._questions.withdraw(node.id, FAILED_MEANWHILE):
            self._endings.end(node, End("cancelled", f"nobody had answered when the run failed: {reason}"))
        else:
            self._endings.end(node, End("omitted", reason))

    def _start_ready(self) -> bool:
        """Start the next step that may start, and return whether there was one."""
        node = self._walk.take() if self._has_room() else None
        if node is None:
            return False
        unsettled = self._run.state.step(node.id).unsettled
        if self._facts.unrecorded and node.step.kind != "runbook" and not only_reduces(node, self._run.functions):
            self._endings.end(node, End("skipped", NO_JOURNAL))
        elif self._facts.step_by_step and not unsettled and self._beginnings.asks_first(node, self._agreed):
            pass
        elif node.step.foreach is not None:
            self._items.begin(node)
        elif not unsettled:
            self._beginnings.begin(node)
        elif node.step.kind == "uses":
            self._doubts.settle(node)
        return True  # a sub-runbook that is under way goes on by its own steps

    def _has_room(self) -> bool:
        """Return whether one more step may begin: step by step only when nothing is under way or asked."""
        if self._facts.step_by_step:
            return not self._attempts and not self._questions
        return len(self._attempts) < MAX_CONCURRENT

    # waiting

    def _wait(self) -> None:
        live = self._run.listener.live
        patience = self._timers.patience()
        longest = TICK_S if live else INBOX_S
        patience = longest if patience is None else min(patience, longest)
        ready = [key.fd for key, _ in self._selector.select(patience)]
        if self._signals is not None and self._signals.descriptor in ready:
            self._signalled(self._signals.read())  # first: a lost terminal ends the input, too, which would be a no
        for descriptor in ready:
            if self._attempts.owns(descriptor):
                ended = self._attempts.hear(descriptor)
                if ended is not None:
                    self._over(*ended)
            elif self._questions.owns(descriptor):
                self._questions.hear()
            elif self._signing is not None and self._signing.owns(descriptor):
                self._signing.hear(descriptor)
        self._timers.act()
        self._hear_others()
        if live:
            self._run.listener.tick()

    def _signalled(self, names: list[str]) -> None:
        """Stop at the first signal, kill at the second (engine rule 10)."""
        now = self._facts.clock.monotonic()
        if names and self._stopped_at is None:
            self._stop(names[0])
        elif names and self._stopped_at is not None and now - self._stopped_at > ONE_STOP_S:
            self._killed = True
            self._attempts.kill()

    def _stop(self, reason: str) -> None:
        self._stopped_at = self._facts.clock.monotonic()
        self._run.record("run.stopping", {"reason": reason})
        self._walk.stop()
        self._questions.drop("stopped", keep=self._walk.is_ending)
        self._attempts.stop(keep=self._walk.is_ending)
        self._retries.drop(keep=self._walk.is_ending)

    # acts of other processes

    def _hear_others(self) -> None:
        """Look into the inbox, not more often than four times a second."""
        now = self._facts.clock.monotonic()
        if self._facts.unrecorded or (self._looked_at and now - self._looked_at < INBOX_S):
            return
        self._looked_at = now
        for act in self._inbox.read():
            if act.id not in self._examined and not self._is_examined(act):
                self._receive(act, self._fault_of(act))

    def _fault_of(self, act: Act) -> str:
        if act.fault or act.kind != "answer":
            return act.fault
        return self._questions.why_not(act.data.get("prompt"), act.data.get("ticks"), act.data.get("sshsig"))

    def _is_examined(self, act: Act) -> bool:
        """Return whether the signature of an answer has to be looked at first; the question may be closed meanwhile."""
        if act.kind != "answer" or self._fault_of(act):
            return False
        self._examined.add(act.id)

        def then(signed: Signed | None, why: str) -> None:
            self._examined.discard(act.id)
            self._receive(act, self._fault_of(act) or why, signed)

        if not self._questions.check(act.data["ticks"], act.data.get("sshsig"), then):
            self._examined.discard(act.id)
            return False
        return True

    def _receive(self, act: Act, fault: str, signed: Signed | None = None) -> None:
        data = {"id": act.id, "kind": act.kind, "by": act.by, "refused": fault, "asks": dict(act.data)}
        self._run.record("act.received", data)
        self._inbox.done(act)
        if not fault:
            self._follow(act, signed)

    def _follow(self, act: Act, signed: Signed | None) -> None:
        if act.kind == "answer":
            self._questions.take(act.data["ticks"], act.by, signed)
        else:
            self._cancelled = self._run.state.cancelled
            if self._stopped_at is None:
                self._stop(f"cancelled by {act.by}")

    # what attempts and people say

    def _over(self, running: Running, message: Result | Failure | Death) -> None:
        node = running.node
        stopped = self._killed or (self._walk.stopping and not self._walk.is_ending(node))
        if stopped and isinstance(message, Death) and not message.timed_out:
            return  # it is left as started: a resume repeats it, or finds out what became of it
        if running.verifying is not None:
            self._doubts.verified(running, running.verifying, message)
        elif isinstance(message, Result):
            cut_short = message.stopped and stopped
            done = End("passed", outputs=message.outputs, running=running, stopped=cut_short)
            decided = self._endings.decided(node, done)
            if not self._retries.poll(node, decided.gates):
                self._endings.conclude(node, decided)
        elif isinstance(message, Failure):
            self._failed(running, message)
        else:
            self._died(running, message)

    def _failed(self, running: Running, message: Failure) -> None:
        error = failure(message.type, message.message, message.trace)
        if not self._retries.arrange(running.node, message.type, "broken", error):
            self._endings.end(running.node, End("broken", error=error, running=running))

    def _died(self, running: Running, death: Death) -> None:
        node, limit = running.node, running.node.step.timeout
        if death.timed_out and limit is not None:
            status, error = "timed_out", failure("timeout", f"no end after {limit:g} s")
        else:
            why = f"its worker process ended without an answer ({how(death)})"
            status, error = "broken", failure("WorkerDied", why)
        if running.function.info.repeat == "never":
            self._doubts.suspect(running, error["message"], status)
        elif not self._retries.arrange(node, error["type"], status, error):
            self._endings.end(node, End(status, error=error, running=running))

    def _answered(self, node: Node, prompt: Prompt, answer: Answer) -> None:
        if prompt.purpose == "settle":
            self._doubts.answered(node, answer)
        elif answer.accepted and prompt.purpose == "begin":
            self._agreed.add(node.id)
            self._walk.again(node)
        elif answer.accepted:
            by = answer.by if answer.signed is None else f"{answer.by}, signed by {answer.signed.principal}"
            self._endings.finish(node, End("passed", f"confirmed by {by}"))
        else:
            said = f"no from {answer.by}" if answer.reason == "answered" else f"no answer: {answer.reason}"
            self._endings.end(node, End("declined", said))
