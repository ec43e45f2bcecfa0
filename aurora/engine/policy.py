"""Policy: what must stand before a step that can open orders, proven over the plan before anything runs (rule 13).

`profiles/policy.yaml` names, for the effect `orders.open`, gates (of step functions), confirms (by their text) and
evidence. A gate or confirm counts as a guard of a step only when it dominates it: every way to the step leads through
a pass of the guard. Stopping (`orders.reduce`) is never guarded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2 import nodes

from aurora.engine.document import Document, read_document
from aurora.engine.expressions import ExpressionError, parse_expression
from aurora.engine.faults import Fault, RunbookError, did_you_mean
from aurora.engine.functions import StepFunction
from aurora.engine.graph import Node, Plan
from aurora.engine.project import Project
from aurora.engine.schema import SchemaPass

FILE = "policy.yaml"
OPENING = "orders.open"

POLICY_SCHEMA = Path(__file__).parent.parent / "schemas" / "policy.schema.json"


@dataclass(frozen=True)
class Guard:
    """One thing that policy demands before orders are opened: a gate of a function, or a confirm by its text."""

    uses: str = ""
    gate: str = ""
    confirm: str = ""

    def __str__(self) -> str:
        return f"the gate {self.gate!r} of {self.uses}" if self.uses else f"the confirm {self.confirm!r}"


@dataclass(frozen=True)
class Policy:
    """The guards and the evidence that `orders.open` asks for."""

    guards: tuple[Guard, ...]
    evidence: tuple[str, ...] = ()


def load_policy(project: Project) -> Policy | None:
    """Read the project's policy; None when it has none. Raises RunbookError with every fault of the file."""
    path = project.profiles / FILE
    if not path.is_file():
        return None
    document = read_document(path, project.shown(path))
    memory = SchemaPass(project.runs / ".cache" / "schema")
    faults = list(document.faults) or memory.faults(document, POLICY_SCHEMA) or list(_gate_faults(document))
    if faults:
        raise RunbookError(faults)
    asked = document.data[OPENING]
    gates = tuple(Guard(uses=each["uses"], gate=each["gate"]) for each in asked.get("gates", ()))
    confirms = tuple(Guard(confirm=text) for text in asked.get("confirms", ()))
    return Policy((*gates, *confirms), tuple(each["runbook"] for each in asked.get("evidence", ())))


def _gate_faults(document: Document) -> Iterator[Fault]:
    for index, each in enumerate(document.data[OPENING].get("gates", ())):
        try:
            parse_expression(each["gate"])
        except ExpressionError as error:
            yield document.fault((OPENING, "gates", index, "gate"), str(error), error.hint)


def prove(plan: Plan, functions: Mapping[str, StepFunction], policy: Policy | None) -> list[Fault]:
    """Return a fault for each step that could open orders on a way that misses a guard; the message shows the way."""
    faults: list[Fault] = []
    for node in plan.nodes.values():
        if not opens_orders(node, functions):
            continue
        if policy is None:
            faults.append(_fault(node, f"{node.step.uses} can open orders, and there is no profiles/{FILE}",
                                 "write which gates, confirms and evidence must come before it"))  # fmt: skip
            continue
        before = list(dominators(plan, node))
        for guard in policy.guards:
            if not any(guards_by(each, guard) == "" for each in before):
                faults.append(_missing(plan, node, before, guard))
        evidence = {each.runbook for each in plan.root.requires if each.outcome == "green"}
        for name in policy.evidence:
            if name not in evidence:
                hint = did_you_mean(name, evidence) or f"add {{runbook: {name}}} to requires: of {plan.root.name}"
                faults.append(_fault(node, f"{way_to(plan, node)} opens orders without evidence of {name}", hint))
    return faults


def guard_steps(plan: Plan, node: Node, policy: Policy) -> dict[Guard, str]:
    """Return the step that guards `node` for each guard of the policy; a guard that nothing meets is left out."""
    found: dict[Guard, str] = {}
    for each in dominators(plan, node):
        for guard in policy.guards:
            if guard not in found and guards_by(each, guard) == "":
                found[guard] = each.id
    return found


def guard_ids(plan: Plan, functions: Mapping[str, StepFunction], policy: Policy) -> frozenset[str]:
    """Return the steps by which the plan meets the policy, for any step of it that opens orders."""
    opening = [node for node in plan.nodes.values() if opens_orders(node, functions)]
    return frozenset(step for node in opening for step in guard_steps(plan, node, policy).values())


def opens_orders(node: Node, functions: Mapping[str, StepFunction]) -> bool:
    """Return whether the function of a step can open orders."""
    function = functions.get(node.step.uses or "")
    return function is not None and OPENING in function.info.effects


def demanded_by(node: Node, policy: Policy) -> Guard | None:
    """Return the guard that policy demands and that `node` is meant to be, whether it counts as one or not."""
    return next((guard for guard in policy.guards if guards_by(node, guard) != "no"), None)


def dominators(plan: Plan, node: Node) -> Iterator[Node]:
    """Yield every step that must be over, in order, before `node` can start, on whatever way.

    A step waits for all of its needs, so these are its ancestors, those of the sub-runbooks around it, and what lies
    inside the sub-runbooks among them. What runs after a failure has the ancestors of the step that failed; what lies
    in a `finally` has only those within it.
    """
    seen: set[str] = set()
    pending: list[str] = []
    current: Node | None = node
    while current is not None:
        pending.extend(current.needs)
        if current.section == "on_failure" and current.guards is not None:
            pending.extend(plan.nodes[current.guards].needs)
        container = current.scope.container
        current = None if container is None else plan.nodes[container]
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        each = plan.nodes[name]
        yield each
        pending.extend(each.needs)
        if each.step.kind == "runbook" and _must_pass(each) == "":
            pending.extend(inner for inner in plan.inner(name).nodes if plan.nodes[inner].section == "steps")


def _must_pass(node: Node) -> str:
    """Return why a step before another need not have passed; the empty string when it must."""
    if node.step.if_ is not None:
        return "it has an 'if' and may be skipped"
    if node.step.on_failure.action == "continue":
        return "it says on_failure: continue"
    if node.step.foreach is not None:
        return "it runs for each item of a list, which may be empty"
    return ""


def guards_by(node: Node, guard: Guard) -> str:
    """Return the empty string when `node` is that guard, `no` when it is something else, or why it does not count."""
    if guard.confirm:
        if node.step.confirm != guard.confirm:
            return "no"
        return _must_pass(node)
    if node.step.uses != guard.uses:
        return "no"
    asked = parse_expression(guard.gate).tree
    severities = [gate.severity for gate in node.step.gates if _holds(gate.check.tree, asked)]
    if not severities:
        return f"its gate does not ask for {guard.gate!r}"
    if "blocking" not in severities:
        return f"its gate {guard.gate!r} is only advisory"
    if node.step.dry_run is not None:
        return "its dry_run is set by the runbook"
    return _must_pass(node)


def _holds(tree: nodes.Node, asked: nodes.Node) -> bool:
    """Return whether a gate's tree is the asked condition, or joins it to others with `and`."""
    if tree == asked:
        return True
    return isinstance(tree, nodes.And) and (_holds(tree.left, asked) or _holds(tree.right, asked))


def way_to(plan: Plan, node: Node) -> str:
    """Return how `node` is reached, written as a trail: `go-live › t0 → live`, `go-live › live ⇢ emergency › buy`."""
    parts: list[str] = []
    current: Node | None = node
    while current is not None:
        trail = [current.step.id]
        step = current
        while step.needs:
            step = plan.nodes[step.needs[-1]]
            trail.append(step.step.id)
        text = " → ".join(reversed(trail))
        if current.section == "on_failure" and current.guards:
            text = f"a failure of {plan.nodes[current.guards].step.id} ⇢ {current.step.runbook}"
        elif current.section == "finally":
            text = f"finally: {text}"
        parts.append(text)
        container = current.scope.container
        current = None if container is None else plan.nodes[container]
    return " › ".join([plan.root.name, *reversed(parts)])


def _missing(plan: Plan, node: Node, before: Iterable[Node], guard: Guard) -> Fault:
    near = [(each, why) for each in before if (why := guards_by(each, guard)) not in ("", "no")]
    elsewhere = [each for each in plan.nodes.values() if guards_by(each, guard) != "no"]
    if near:
        hint = f"{near[0][0].id} does not count: {near[0][1]}"
    elif elsewhere:
        hint = f"{elsewhere[0].id} does not come before it on this way; add it to needs"
    else:
        hint = "add the step and its gate before it"
    return _fault(node, f"{way_to(plan, node)} opens orders without {guard}", hint)


def _fault(node: Node, message: str, hint: str) -> Fault:
    return node.scope.runbook.document.fault((*node.step.key, "uses"), message, hint)
