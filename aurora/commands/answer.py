"""`answer RUN`: answer, at this terminal, the question that a run asks at another one; on a live profile, signed."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Mapping, Sequence
from typing import Any

from aurora.clock import SystemClock
from aurora.commands.parser import Invocation
from aurora.consent import answers_of, confirmation
from aurora.engine.console import PlainLines
from aurora.engine.execute import engine_of
from aurora.engine.inbox import send
from aurora.engine.project import Project
from aurora.engine.prompts import Answer, Nobody, Person, Prompt, person_at
from aurora.engine.records import JOURNAL, Record, find_run, read_record
from aurora.errors import UsageError
from aurora.evidence.persons import PersonSignatory
from aurora.journal import hash_of_line

PATIENCE_S = 10.0
LOOK_S = 0.05


def execute(project: Project, invocation: Invocation) -> int:
    """Ask here, hand the answer to the run, and say what became of it: 0 when it counted."""
    out = PlainLines()
    record = read_record(find_run(project, invocation.options.run))
    asked = record.state.asked
    if asked is None or not engine_of(project, record.id):
        raise UsageError(
            f"The run {record.id} asks nothing at the moment.",
            means="there is nothing to answer",
            todo=f"look at it: invoke show {record.id}",
        )
    person = person_at(out.show, os.environ)
    if isinstance(person, Nobody):
        raise UsageError(
            f"Nobody can be asked here: {person.reason}.",
            means="the question stays open where the run goes on",
            todo="type the command at a terminal",
        )
    signatory = PersonSignatory(project.root, project.runs)
    is_live = bool(record.state.opened.get("live"))
    if is_live:
        signatory.ready(record.id, SystemClock().now())  # who can't sign is told before she is asked
    answer = _ask(person, asked)
    if answer.reason != "answered":
        return 5
    ticks = [yes for _, yes in answer.answers]
    signed = _signature(record, asked, ticks, signatory) if is_live and _counts(asked, ticks) else {}
    act = send(record.folder, "answer", {"prompt": asked["seq"], "ticks": ticks, **signed})
    refused = _became(record, act)
    out.line(f"  The run did not take it: {refused}." if refused else "  The run has taken it.")
    return 5 if refused else 0


def _counts(asked: Mapping[str, Any], ticks: Sequence[bool]) -> bool:
    """Return whether something follows from an answer: a plain no is a no, signed or not."""
    return all(ticks) or asked["purpose"] == "settle"


def _signature(
    record: Record, asked: Mapping[str, Any], ticks: Sequence[bool], signatory: PersonSignatory
) -> dict[str, str]:
    answered = {"accepted": all(ticks), "answers": answers_of(asked["checklist"] or [asked["prompt"]], ticks)}
    head = hash_of_line(record.folder / JOURNAL, asked["seq"])
    return {"sshsig": signatory.sign(confirmation(record.id, head, asked, answered)).sshsig}


def _ask(person: Person, asked: Mapping[str, Any]) -> Answer:
    purpose = asked["purpose"]
    answer = person.ask(Prompt(asked["step"], asked["prompt"], tuple(asked["checklist"]), purpose=purpose))
    while answer is None:
        select.select(person.descriptors(), [], [])
        answer = person.read()
    return answer


def _became(record: Record, act: str) -> str:
    """Return why the run refused the act, or nothing when it took it."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        for event in read_record(record.folder).text.events[len(record.text.events) :]:
            if event.type == "act.received" and event.data["id"] == act:
                return str(event.data["refused"])
        time.sleep(LOOK_S)
    return f"it has not said anything for {PATIENCE_S:g} s"
