"""Questions to a person: one is open at a time, in the same loop as everything else (engine rule 22).

On a live profile a yes counts once it is signed (`signatory.Signing`), or its signature, from elsewhere, has held.
"""

from __future__ import annotations

import hashlib
import json
import selectors
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from aurora.consent import Signed, answers_of
from aurora.engine.graph import Node
from aurora.engine.prompts import ELSEWHERE, Answer, Person, Prompt
from aurora.engine.signatory import Signing, Then
from aurora.engine.timers import Timer, Timers
from aurora.journal import Event


class Questions:
    """queue → ask → the person, or the clock, or a failure elsewhere decides → `answered(node, prompt, answer)`.

    signing: signs what is answered, where that is asked for: on a live profile.
    """

    def __init__(
        self,
        person: Person,
        selector: selectors.BaseSelector,
        record: Callable[[str, Mapping[str, Any]], Event],
        timers: Timers,
        answered: Callable[[Node, Prompt, Answer], None],
        signing: Signing | None = None,
    ) -> None:
        self._person, self._selector = person, selector
        self._record, self._timers, self._tell = record, timers, answered
        self._queue: list[tuple[Node, Prompt]] = []
        self._watched: list[int] = []
        self._timer: Timer | None = None
        self.open: tuple[Node, Prompt] | None = None
        self._signing = signing
        self._stop_signing: Callable[[], None] | None = None
        self._opened: Event | None = None
        self._head = ""
        """What stands for all that was on record when the question was put: the hash of its own line."""

    def __len__(self) -> int:
        return len(self._queue) + (self.open is not None)

    def add(self, node: Node, prompt: Prompt) -> None:
        """Ask this after what is asked already."""
        self._queue.append((node, prompt))

    def ask_next(self) -> bool:
        """Ask the next question, if none is open; return whether one was asked."""
        if self.open is not None or not self._queue:
            return False
        node, prompt = self._queue.pop(0)
        digest = hashlib.sha256(json.dumps([prompt.step, prompt.text, prompt.lines]).encode()).hexdigest()
        self._opened = self._record(
            "prompt.opened",
            {
                "step": prompt.step,
                "prompt": prompt.text,
                "checklist": list(prompt.lines),
                "timeout_s": prompt.timeout,
                "purpose": prompt.purpose,
                "digest": digest,
            },
        )
        self._head = "" if self._signing is None else self._signing.head()
        self.open = (node, prompt)
        if prompt.timeout is not None:  # before it is shown: an engine that is stopped in between has not more time
            self._timer = self._timers.after(prompt.timeout, self._expire)
        answer = self._person.ask(prompt)
        if answer is not None:
            self._take(answer)
            return True
        self._watched = list(self._person.descriptors())
        for descriptor in self._watched:
            self._selector.register(descriptor, selectors.EVENT_READ)
        return True

    def owns(self, descriptor: int) -> bool:
        """Return whether a readable descriptor is the person's."""
        return descriptor in self._watched

    def hear(self) -> None:
        """Take what the person typed; a loop that was held up may find it beside a timeout, and then it is too late."""
        self._timers.act()
        answer = self._person.read() if self.open is not None and self._watched else None
        if answer is not None:
            self._take(answer)

    def why_not(self, opened: object, ticks: object, sshsig: object = None) -> str:
        """Return why an answer from elsewhere does not count: it is too late, or answers something else; or nothing."""
        if self.open is None or self._opened is None or opened != self._opened.seq:
            return "that question is not open any more"
        lines = len(self._lines())
        if not isinstance(ticks, list) or not all(isinstance(tick, bool) for tick in ticks):
            return "it is no list of yes and no"
        if len(ticks) > lines or (all(ticks) and len(ticks) < lines):
            return "it does not answer each line of the question"
        if self._wants_signature(accepted=all(ticks)) and not isinstance(sshsig, str) and self._must_sign:
            return "it is not signed, and on a live profile a person signs what she answers"
        return ""

    def check(self, ticks: Sequence[bool], sshsig: object, then: Then) -> bool:
        """Have the signature of an answer from elsewhere checked, if it needs one; return whether `then` will be told.

        What is wrong with the answer otherwise is `why_not`'s to say, before this and when `then` is called.
        """
        is_signed = isinstance(sshsig, str) and self._wants_signature(accepted=all(ticks))
        if self._signing is None or self._opened is None or not is_signed:
            return False
        self._signing.check(self._head, self._opened.data, ticks, str(sshsig), then)
        return True

    def take(self, ticks: Sequence[bool], by: str, signed: Signed | None = None) -> None:
        """Take an answer to the open question that was given elsewhere, and in which nothing is wrong."""
        answers = tuple(zip(self._lines(), ticks, strict=False))
        why = "it was not signed" if signed is None and self._wants_signature(accepted=all(ticks)) else ""
        self._person.close(ELSEWHERE)
        self._decide(Answer(all(ticks), by, "another process", "answered", answers, True, signed, why))

    def _wants_signature(self, *, accepted: bool) -> bool:
        """Return whether an answer has to be signed: each yes, and a no that says that a step has done nothing."""
        settles = self.open is not None and self.open[1].purpose == "settle"
        return self._signing is not None and (accepted or settles)

    @property
    def _must_sign(self) -> bool:
        return self._signing is not None and self._signing.must

    def _take(self, answer: Answer) -> None:
        """Take what the person here says, once she has signed it where that is asked for."""
        if self._signing is None or not self._wants_signature(accepted=answer.accepted) or not _is_word(answer):
            self._decide(answer)
            return
        assert self._opened is not None
        self._unwatch_person()
        ticks = [yes for _, yes in answer.answers]
        decided: list[None] = []

        def then(signed: Signed | None, why: str) -> None:
            decided.append(None)
            self._stop_signing = None
            self._timers.act()
            if self.open is not None:
                self._decide(self._with_signature(answer, signed, why))

        stop = self._signing.sign(self._head, self._opened.data, ticks, then)
        if not decided:
            self._stop_signing = stop

    def _with_signature(self, answer: Answer, signed: Signed | None, why: str) -> Answer:
        if signed is not None:
            return replace(answer, signed=signed)
        if not self._must_sign:
            return replace(answer, unsigned=why)
        return replace(answer, accepted=False, refused=False, reason=f"not signed: {why}")

    def _lines(self) -> tuple[str, ...]:
        assert self.open is not None
        prompt = self.open[1]
        return prompt.lines or (prompt.text,)

    def withdraw(self, node_id: str, reason: str) -> bool:
        """Take back what was asked of a step; return whether the question stood open: then it is a no, on record."""
        self._queue = [(node, prompt) for node, prompt in self._queue if node.id != node_id]
        if self.open is None or self.open[0].id != node_id:
            return False
        self._close(self._person.close(reason))
        return True

    def drop(self, reason: str, keep: Callable[[Node], bool]) -> None:
        """Forget the questions, but for those to `keep`; their steps do not end, so a resumed run asks them again."""
        self._queue = [(node, prompt) for node, prompt in self._queue if keep(node)]
        if self.open is not None and not keep(self.open[0]):
            self._close(self._person.close(reason))

    def _expire(self) -> None:
        if self.open is not None:
            self._decide(self._person.close("timed out"))

    def _decide(self, answer: Answer) -> None:
        node, prompt = self._close(answer)
        self._tell(node, prompt, answer)

    def _close(self, answer: Answer) -> tuple[Node, Prompt]:
        assert self.open is not None
        node, prompt = self.open
        self._unwatch()
        self.open = None
        self._record(
            "prompt.answered",
            {
                "step": prompt.step,
                "accepted": answer.accepted,
                "by": answer.by,
                "source": answer.source,
                "reason": answer.reason,
                "answers": answers_of([line for line, _ in answer.answers], [yes for _, yes in answer.answers]),
                **self._proof(answer),
            },
        )
        return node, prompt

    def _proof(self, answer: Answer) -> dict[str, Any]:
        """Return the signature of an answer, with the line of the question that it speaks of."""
        if answer.signed is None or self._opened is None:
            return {"unsigned": answer.unsigned} if answer.unsigned else {}
        return {"signature": {**answer.signed.plain(), "question": self._opened.seq}}

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._stop_signing is not None:
            self._stop_signing()
            self._stop_signing = None
        self._unwatch_person()

    def _unwatch_person(self) -> None:
        for descriptor in self._watched:
            self._selector.unregister(descriptor)
        self._watched = []


def _is_word(answer: Answer) -> bool:
    """Return whether somebody said something: silence, and what is unclear, is a no that nobody signs."""
    return answer.accepted or answer.refused
