"""Questions to a person: one is open at a time, in the same loop as everything else (engine rule 22)."""

from __future__ import annotations

import hashlib
import json
import selectors
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aurora.engine.graph import Node
from aurora.engine.prompts import ELSEWHERE, Answer, Person, Prompt
from aurora.engine.timers import Timer, Timers
from aurora.journal import Event


class Questions:
    """queue → ask → the person, or the clock, or a failure elsewhere decides → `answered(node, prompt, answer)`."""

    def __init__(
        self,
        person: Person,
        selector: selectors.BaseSelector,
        record: Callable[[str, Mapping[str, Any]], Event],
        timers: Timers,
        answered: Callable[[Node, Prompt, Answer], None],
    ) -> None:
        self._person, self._selector = person, selector
        self._record, self._timers, self._tell = record, timers, answered
        self._queue: list[tuple[Node, Prompt]] = []
        self._watched: list[int] = []
        self._timer: Timer | None = None
        self.open: tuple[Node, Prompt] | None = None
        self._opened = 0

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
        ).seq
        self.open = (node, prompt)
        answer = self._person.ask(prompt)
        if answer is not None:
            self._decide(answer)
            return True
        self._watched = list(self._person.descriptors())
        for descriptor in self._watched:
            self._selector.register(descriptor, selectors.EVENT_READ)
        if prompt.timeout is not None:
            self._timer = self._timers.after(prompt.timeout, self._expire)
        return True

    def owns(self, descriptor: int) -> bool:
        """Return whether a readable descriptor is the person's."""
        return descriptor in self._watched

    def hear(self) -> None:
        """Take what the person typed; a loop that was held up may find it beside a timeout, and then it is too late."""
        self._timers.act()
        answer = self._person.read() if self.open is not None else None
        if answer is not None:
            self._decide(answer)

    def why_not(self, opened: object, ticks: object) -> str:
        """Return why an answer from elsewhere does not count: it is too late, or answers something else; or nothing."""
        if self.open is None or opened != self._opened:
            return "that question is not open any more"
        lines = len(self._lines())
        if not isinstance(ticks, list) or not all(isinstance(tick, bool) for tick in ticks):
            return "it is no list of yes and no"
        if len(ticks) > lines or (all(ticks) and len(ticks) < lines):
            return "it does not answer each line of the question"
        return ""

    def take(self, ticks: Sequence[bool], by: str) -> None:
        """Take an answer to the open question that was given elsewhere, and in which nothing is wrong."""
        answers = tuple(zip(self._lines(), ticks, strict=False))
        self._person.close(ELSEWHERE)
        self._decide(Answer(all(ticks), by, "another process", "answered", answers, refused=True))

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
                "answers": [{"line": line, "answer": "yes" if yes else "no"} for line, yes in answer.answers],
            },
        )
        return node, prompt

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for descriptor in self._watched:
            self._selector.unregister(descriptor)
        self._watched = []
