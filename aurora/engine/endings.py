"""How steps end: gates decide, the end goes on record, the walk goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aurora.engine.artifacts import collect
from aurora.engine.attempts import Running
from aurora.engine.graph import Node
from aurora.engine.run import Run
from aurora.engine.scopes import decide
from aurora.engine.state import outcome_of
from aurora.engine.values import TypeMismatch


@dataclass(frozen=True)
class End:
    """The end of a step. `stopped`: it ended early because it was asked to, and a resume takes it up again."""

    status: str
    reason: str = ""
    outputs: Any = None
    gates: Sequence[dict[str, Any]] = ()
    error: dict[str, str] | None = None
    running: Running | None = None
    simulated: bool = False
    stopped: bool = False


def failure(type_: str, message: str, trace: str = "") -> dict[str, str]:
    """Return an error as `step.finished` keeps it."""
    return {"type": type_, "message": message, "trace": trace}


class Endings:
    """finish: secrets → gates → end. end: record → the walk. close: a sub-runbook ends as its steps did."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def finish(self, node: Node, end: End) -> None:
        """End a step that did its work: its gates decide whether it passed."""
        self.conclude(node, self.decided(node, end))

    def conclude(self, node: Node, decided: End) -> None:
        """End a step whose gates have been decided."""
        if decided.stopped and decided.status == "passed":
            reason = "it was asked to stop, and ended by itself"
            self.record(node, replace(decided, status="cancelled", reason=reason))
        else:
            self.end(node, replace(decided, stopped=False))

    def decided(self, node: Node, end: End) -> End:
        """Return the end of a step that did its work, with the verdicts of its gates."""
        run = self._run
        if end.outputs is not None and run.masker.holds_in(end.outputs):
            error = failure("SecretInOutput", "the step's outputs hold a secret; they were thrown away")
            return replace(end, status="broken", outputs=None, error=error)
        if not node.step.gates or end.status not in ("passed", "red"):
            return end
        try:
            names = run.names(node, self._own_names(node, end))
        except TypeMismatch as mismatch:  # the step's code has changed since, and a person accepted that
            return replace(end, status="broken", error=failure("TypeMismatch", str(mismatch)))
        gates = [decide(gate, names, dry_run=run.facts.dry_run) for gate in node.step.gates]
        is_red = any(gate["verdict"] == "red" and gate["severity"] == "blocking" for gate in gates)
        return replace(end, status="red" if is_red else end.status, gates=gates)

    def _own_names(self, node: Node, end: End) -> dict[str, Any]:
        if node.step.kind == "runbook":
            return {**self._run.scopes.outputs(node.id), "status": end.status}
        return {**self._run.scopes.decoded(node, end.outputs), "status": end.status}

    def end(self, node: Node, end: End) -> None:
        """Record the end of a step and go on."""
        self.record(node, end)
        self._run.ended(node)

    def break_(self, node: Node, error: Exception) -> None:
        """End a step that could not begin, because of what its `if`, `with` or `foreach` came to."""
        self.end(node, End("broken", error=failure(type(error).__name__, str(error))))

    def close(self, container: Node) -> None:
        """End a sub-runbook whose steps are over; one that was cut short has not passed."""
        run = self._run
        nodes = [run.plan.nodes[node_id] for node_id in run.plan.scopes[container.id].nodes]
        outcome = outcome_of(run.state.step(node.id) for node in nodes)
        steps = [node.id for node in nodes if node.section == "steps"]
        left_out = next((step for step in steps if run.state.step(step).status == "omitted"), None)
        if outcome not in ("green", "amber"):
            self.finish(container, End(outcome))
        elif left_out is not None:
            self.finish(container, End("cancelled", f"cut short: {left_out} was left out"))
        else:
            self.finish(container, End("passed"))

    def record(self, node: Node, end: End) -> None:
        """Put the end of a step on record. What was left out is synced with the event that follows."""
        run, running = self._run, end.running
        attempt = run.state.step(node.id).attempt
        artifacts = collect(run.artifacts(node, attempt), run.facts.folder, run.masker)
        end = _without_secrets(end, artifacts)
        run.record(
            "step.finished",
            {
                "step": node.id,
                "attempt": attempt,
                "status": end.status,
                "reason": end.reason,
                "outputs": end.outputs,
                "gates": end.gates,
                "error": end.error,
                "elapsed_s": 0.0 if running is None else round(run.facts.clock.monotonic() - running.started, 6),
                "log": [] if running is None else running.log,
                "artifacts": artifacts,
                "simulated": end.simulated,
                "stopped": end.stopped,
            },
            sync=end.status != "omitted",
        )

    def cancel_rest(self, reason: str) -> None:
        """Record what a cancelled run never came to, and what it began that must not repeat: nobody knows its end."""
        run = self._run
        for node in run.plan.nodes.values():
            state = run.state.step(node.id)
            if state.over or (not state.unsettled and self._is_idle_path(node)):
                continue
            function = run.functions.get(node.step.uses or "")
            lost = "unknown" if function is not None and function.info.repeat == "never" else "cancelled"
            for index in range(len(state.items or ())):
                if run.state.step(f"{node.id}[{index}]").unsettled:
                    self.record(run.instance(node, index), End(lost, reason))
            begun = state.unsettled and state.items is None
            self.record(node, End(lost if begun else "cancelled", reason))

    def _is_idle_path(self, node: Node) -> bool:
        """Return whether `node` is, or lies in, a failure path that never began."""
        while node.section != "on_failure":
            if node.scope.container is None:
                return False
            node = self._run.plan.nodes[node.scope.container]
        return self._run.state.step(node.id).status == "pending"


def _without_secrets(end: End, artifacts: Sequence[Mapping[str, Any]]) -> End:
    """Return the end of a step whose artifacts are these: one that left a secret behind has not passed."""
    taken = [f"{each['name']} (now {each['quarantined']})" for each in artifacts if "quarantined" in each]
    if not taken:
        return end
    error = failure("SecretInArtifact", f"artifacts hold a secret and were taken out of the record: {', '.join(taken)}")
    return replace(end, status="red" if end.status == "passed" else end.status, error=end.error or error)
