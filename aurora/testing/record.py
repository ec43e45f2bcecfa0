"""What a rehearsal found: a run's journal, read for assertions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aurora.engine.faults import did_you_mean, listed
from aurora.engine.functions import FunctionTable
from aurora.engine.state import FAILED, RunState, StepState
from aurora.engine.values import decode
from aurora.journal import Event
from aurora.testing.mocks import Call
from aurora.testing.outcomes import RehearsalError


@dataclass(frozen=True)
class GateVerdict:
    """What became of one gate: its text, its verdict, and the values that it saw, as the report shows them."""

    check: str
    verdict: str
    severity: str
    values: Mapping[str, str]
    message: str | None
    error: str | None

    @property
    def passed(self) -> bool:
        """Return whether it held."""
        return self.verdict == "pass"

    @property
    def red(self) -> bool:
        """Return whether it did not hold."""
        return self.verdict == "red"

    @property
    def unknown(self) -> bool:
        """Return whether a dry run could not decide it."""
        return self.verdict == "unknown"


@dataclass(frozen=True)
class Question:
    """A question that was put to a person, and what came of it."""

    step: str
    prompt: str
    checklist: tuple[str, ...]
    accepted: bool
    reason: str


@dataclass(frozen=True)
class RehearsedRun:
    """One rehearsed run, as its journal tells it.

    folder:    the run's folder, with its `journal.jsonl`.
    outcome:   green, amber, red, broken, declined, cancelled; `waiting` or `interrupted` when it has not ended.
    exit_code: what the command would exit with.
    events:    the journal's events, in order.
    """

    runbook: str
    folder: Path
    outcome: str
    exit_code: int
    events: tuple[Event, ...] = field(repr=False)
    all_calls: tuple[Call, ...] = field(repr=False)
    functions: FunctionTable = field(repr=False)

    @property
    def state(self) -> RunState:
        """Return the state that the journal gives."""
        return RunState.of(self.events)

    @property
    def status(self) -> dict[str, str]:
        """Return the status of every step of the plan by id, in the plan's order; items of a `foreach` come last."""
        state = self.state
        planned = [entry["id"] for entry in state.opened["plan"]]
        return {step: state.step(step).status for step in [*planned, *(each for each in state.steps if "[" in each)]}

    @property
    def path(self) -> list[str]:
        """Return the ids of the steps that began, in the order in which they did.

        These are the steps that were started, asked a person, or decided a gate; not the sub-runbooks that hold them,
        and not what was skipped or omitted.
        """
        kinds = {entry["id"]: entry["kind"] for entry in self.state.opened["plan"]}
        begun: dict[str, None] = {}
        for event in self.events:
            step = event.data.get("step", "")
            kind = kinds.get(step, "uses")
            gate = kind == "gate" and event.type == "step.finished" and event.data["status"] in ("passed", "red")
            if gate or (event.type in ("step.started", "prompt.opened") and kind != "runbook"):
                begun.setdefault(step)
        return list(begun)

    @property
    def asked(self) -> list[Question]:
        """Return the questions that were put to a person, in order."""
        answers = {event.data["step"]: event.data for event in self.events if event.type == "prompt.answered"}
        found = []
        for event in self.events:
            if event.type == "prompt.opened":
                step, answer = event.data["step"], answers.get(event.data["step"], {})
                lines = tuple(event.data["checklist"])
                said = (answer.get("accepted", False), answer.get("reason", ""))
                found.append(Question(step, event.data["prompt"], lines, *said))
        return found

    def step(self, step: str) -> StepState:
        """Return all that the journal says of a step. Raises RehearsalError when there is none of that name."""
        state = self.state
        known = self.status
        if step not in known:
            raise RehearsalError(f"{self.runbook} has no step {step!r}; {_hint(step, list(known))}.")
        return state.step(step)

    def end(self, step: str) -> Mapping[str, Any]:
        """Return how a step ended: the data of its `step.finished` (docs/journal.md), empty when it did not."""
        self.step(step)
        ends = [event.data for event in self.events if event.type == "step.finished" and event.data["step"] == step]
        return ends[-1] if ends else {}

    def gates(self, step: str) -> list[GateVerdict]:
        """Return what became of a step's gates; empty when they were not looked at."""
        names = ("check", "verdict", "severity", "values", "message", "error")
        return [GateVerdict(**{name: gate[name] for name in names}) for gate in self.step(step).gates]

    def gate(self, step: str, check: str | int | None = None) -> GateVerdict:
        """Return what became of one gate: `check` is its text or number from 0, needed when the step has several.

        Raises RehearsalError when there is no such gate, or when it was not looked at.
        """
        gates = self.gates(step)
        fitting = [gate for number, gate in enumerate(gates) if check is None or gate.check == check or number == check]
        if len(fitting) == 1:
            return fitting[0]
        if not gates:
            raise RehearsalError(f"No gate of {step!r} was looked at: it was {self.status[step]}.")
        told = listed([repr(gate.check) for gate in gates])
        raise RehearsalError(f"{step!r} has {'several gates' if check is None else f'no gate {check!r}'}: {told}.")

    def outputs(self, step: str) -> Any:
        """Return the outputs of a step as its function's return type, or None."""
        state = self.step(step)
        uses = next((e["uses"] for e in self.state.opened["plan"] if e["id"] == step.partition("[")[0]), None)
        if state.outputs is None or uses is None:
            return None
        returns = self.functions.find(uses).returns
        if state.items is None:
            return decode(state.outputs, returns)
        return [None if each is None else decode(each, returns) for each in state.outputs["items"]]

    def calls(self, step: str) -> list[Call]:
        """Return the attempts of a step, each with the arguments that its function would have been called with."""
        self.step(step)
        return [call for call in self.all_calls if call.step == step]

    def __str__(self) -> str:
        ends = [
            f"{step} {status}{_because(self.end(step))}" for step, status in self.status.items() if status in FAILED
        ]
        return f"{self.runbook}: {self.outcome}, exit {self.exit_code}{''.join(f'; {end}' for end in ends)}"

    __repr__ = __str__


def _hint(step: str, known: Sequence[str]) -> str:
    return did_you_mean(step, known) or f"steps: {listed(known)}"


def _because(end: Mapping[str, Any]) -> str:
    reds = [gate["check"] for gate in end.get("gates", ()) if gate["verdict"] == "red"]
    error = end.get("error")
    text = end.get("reason") or (f"{error['type']}: {error['message']}" if error else "") or "; ".join(reds)
    return f" ({text})" if text else ""
