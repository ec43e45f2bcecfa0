"""What a journal says of a run so far: a fold over its events, the same for a first run and a resumed one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aurora.journal import Event

OVER = frozenset(
    ["passed", "red", "broken", "timed_out", "skipped", "omitted", "waived", "declined", "unknown", "cancelled"]
)
FAILED = frozenset(["red", "broken", "timed_out", "declined", "unknown", "cancelled"])
_WORST = ("green", "amber", "cancelled", "declined", "red", "broken")
_OF_STATUS = {
    "red": "red",
    "broken": "broken",
    "timed_out": "broken",
    "unknown": "broken",
    "declined": "declined",
    "cancelled": "cancelled",
    "waived": "amber",
}


@dataclass
class StepState:
    """One step's state. `outputs` is encoded; `unsettled` means started, and nobody knows how it ended.

    attempt:  the number of the latest attempt; `spent` of them count for nothing (a `finally` that runs once more).
    failure:  what the latest attempt failed of (`step.retrying`, `step.polling`), while another is due.
    stopped:  it ended early because it was asked to, by itself; a resume takes it up again.
    """

    status: str = "pending"
    attempt: int = 0
    spent: int = 0
    failure: Mapping[str, Any] | None = None
    stopped: bool = False
    outputs: Any = None
    gates: list[Mapping[str, Any]] = field(default_factory=list)
    items: list[Any] | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    simulated: bool = False
    verified: Mapping[str, Any] | None = None
    ended_at: str = ""

    @property
    def over(self) -> bool:
        """Return whether the step has ended."""
        return self.status in OVER

    @property
    def unsettled(self) -> bool:
        """Return whether the step was started and its end is not on record."""
        return self.status == "running"

    @property
    def doubtful(self) -> bool:
        """Return whether a resume has to find out what became of the step."""
        return (self.unsettled and self.items is None) or (self.stopped and self.status == "cancelled")

    @property
    def tries(self) -> int:
        """Return how many attempts count against `retry`."""
        return self.attempt - self.spent

    @property
    def amber(self) -> bool:
        """Return whether an advisory gate was red, or a gate could not be decided in a dry run."""
        return any(gate["verdict"] != "pass" for gate in self.gates) or (self.simulated and self.status == "skipped")


@dataclass
class RunState:
    """All steps by id, what the run was opened with, and how it ended (None while it has not)."""

    opened: Mapping[str, Any] = field(default_factory=dict)
    opened_at: str = ""
    steps: dict[str, StepState] = field(default_factory=dict)
    outcome: str | None = None
    exit_code: int | None = None
    interrupted: bool = False
    cancelled: str = ""
    """Why the run is being cancelled: then it goes on to its end only."""
    asked: Mapping[str, Any] | None = None
    """The question that is open, with the number of its line as `seq`."""
    acts: set[str] = field(default_factory=set)
    """The ids of the acts of other processes that are on record."""

    @classmethod
    def of(cls, events: Iterable[Event]) -> RunState:
        """Return the state after `events`."""
        state = cls()
        for event in events:
            state.apply(event)
        return state

    def step(self, step_id: str) -> StepState:
        """Return the state of a step; a step that no event names is pending."""
        return self.steps.setdefault(step_id, StepState())

    def apply(self, event: Event) -> None:
        """Take one event into account; events that only inform change nothing."""
        handler = getattr(self, "_on_" + event.type.replace(".", "_"), None)
        if handler is not None:
            handler(event.data, event)

    def _on_run_opened(self, data: Mapping[str, Any], event: Event) -> None:
        self.opened, self.opened_at = data, event.ts

    def _on_run_resumed(self, data: Mapping[str, Any], event: Event) -> None:
        self.interrupted, self.outcome, self.exit_code, self.asked = False, None, None, None
        if data.get("cancel"):
            self.cancelled = data["cancel"]
            return  # nothing comes after what `finally` did
        for step in self.steps.values():
            if step.stopped and step.status == "cancelled":
                step.status = "running"
        if data.get("waivers"):
            self._waive([waiver["step"] for waiver in data["waivers"]])
        self._begin_anew(data.get("repeat", ()))
        self._begin_anew(stale_finally(self.opened["plan"], self.steps))

    def _waive(self, waived: Sequence[str]) -> None:
        """Let the run go on past steps that failed: what they kept from running, or cut short, is to be done again."""
        for step_id in waived:
            self.step(step_id).status = "waived"
        left = [step_id for step_id, step in self.steps.items() if step.status in ("omitted", "cancelled")]
        books = {entry["id"] for entry in self.opened["plan"] if entry["kind"] == "runbook"}
        for step_id in left:
            step = self.steps[step_id]
            begun = step.items is not None or (step_id in books and step.attempt > 0)
            step.status = "running" if begun else "pending"
        self._reopen([*waived, *left])

    def _begin_anew(self, step_ids: Collection[str]) -> None:
        """Forget the ends of steps, and of their items; the numbers of their attempts go on."""
        again = {step_id: step for step_id, step in self.steps.items() if step_id.partition("[")[0] in step_ids}
        for step_id, step in again.items():
            self.steps[step_id] = StepState(attempt=step.attempt, spent=step.attempt)
        self._reopen(step_id for step_id, step in again.items() if step.status != "pending")

    def _reopen(self, step_ids: Iterable[str]) -> None:
        """Take back the ends of the sub-runbooks around these steps."""
        entries = {entry["id"]: entry for entry in self.opened["plan"]}
        for step_id in step_ids:
            entry = entries.get(step_id.partition("[")[0])
            while entry is not None:
                above = entries.get(entry["parent"])
                if entry["section"] != "on_failure" and above is not None and self.step(above["id"]).over:
                    self.step(above["id"]).status = "running"
                entry = above

    def _on_prompt_opened(self, data: Mapping[str, Any], event: Event) -> None:
        self.asked = {**data, "seq": event.seq}

    def _on_prompt_answered(self, data: Mapping[str, Any], event: Event) -> None:
        self.asked = None

    def _on_act_received(self, data: Mapping[str, Any], event: Event) -> None:
        self.acts.add(data["id"])
        if data["kind"] == "cancel" and not data["refused"]:
            self.cancelled = f"cancelled by {data['by']}: {data['asks'].get('reason', '')}"

    def _on_run_interrupted(self, data: Mapping[str, Any], event: Event) -> None:
        self.interrupted = True

    def _on_run_finished(self, data: Mapping[str, Any], event: Event) -> None:
        self.outcome, self.exit_code = data["outcome"], data["exit_code"]

    def _on_step_expanded(self, data: Mapping[str, Any], event: Event) -> None:
        step = self.step(data["step"])
        step.status, step.items = "running", list(data["items"])

    def _on_step_started(self, data: Mapping[str, Any], event: Event) -> None:
        step = self.step(data["step"])
        step.status, step.attempt, step.arguments = "running", data["attempt"], data["with"]
        step.verified, step.failure, step.stopped = None, None, False
        step.outputs, step.gates = None, []

    def _on_step_retrying(self, data: Mapping[str, Any], event: Event) -> None:
        step = self.step(data["step"])
        step.status, step.failure = "pending", data

    def _on_step_polling(self, data: Mapping[str, Any], event: Event) -> None:
        self._on_step_retrying(data, event)
        self.step(data["step"]).spent = data["attempt"]  # it did not fail: none of it counts against `retry`

    def _on_step_verified(self, data: Mapping[str, Any], event: Event) -> None:
        self.step(data["step"]).verified = data

    def _on_step_finished(self, data: Mapping[str, Any], event: Event) -> None:
        step = self.step(data["step"])
        step.status, step.outputs, step.gates = data["status"], data["outputs"], list(data["gates"])
        step.attempt, step.simulated = data["attempt"], data.get("simulated", False)
        step.stopped, step.ended_at = data.get("stopped", False), event.ts


def stale_finally(plan: Sequence[Mapping[str, Any]], steps: Mapping[str, StepState]) -> frozenset[str]:
    """Return the ids in a `finally` that ran early: the run was stopped, and there is work left that it must follow.

    A `finally` whose runbook has come to its end is not among them, however the run was stopped.
    """
    ends = {entry["id"] for entry in plan if entry["section"] == "finally"}
    busy: set[str] = set()
    for entry in plan:
        state = steps.get(entry["id"], StepState())
        scope = entry["id"].rpartition("/")[0]
        if entry["section"] == "on_failure" and entry["parent"] not in ends and _failed(steps, entry["parent"]):
            scope = entry["parent"].rpartition("/")[0]
        elif entry["section"] != "steps":
            continue
        if not state.over:
            busy.add(scope)
    found: set[str] = set()
    for entry in plan:  # a container stands before what it holds
        above = entry["id"].rpartition("/")[0]
        if above in found or (entry["id"] in ends and above in busy):
            found.add(entry["id"])
    return frozenset(found)


def _failed(steps: Mapping[str, StepState], step_id: str) -> bool:
    return step_id in steps and steps[step_id].status in FAILED


def outcome_of(steps: Iterable[StepState], at_least: str = "green") -> str:
    """Return the outcome of steps: the worst of them; amber for advisory reds, waivers and undecided gates."""
    worst = at_least
    for step in steps:
        outcome = _OF_STATUS.get(step.status, "amber" if step.amber else "green")
        worst = max(worst, outcome, key=_WORST.index)
    return worst
