"""The plan: a runbook with its sub-runbooks inlined under path ids, as one flat graph (engine rule 15)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from aurora.engine.collector import without_collector
from aurora.engine.faults import Fault, did_you_mean, listed
from aurora.engine.loader import Loaded, load_file
from aurora.engine.project import Project
from aurora.engine.spec import Runbook, Step
from aurora.errors import UsageError

Section = Literal["steps", "finally", "on_failure"]
MAX_STEPS = 20_000
"""Of a plan: sub-runbooks that run each other twice on each of twenty levels would make a million."""


@dataclass(eq=False, repr=False)
class Scope:
    """One inlined runbook: the root's `container` is None, a sub-runbook's is the id of the step that runs it."""

    runbook: Runbook
    container: str | None = None
    parent: Scope | None = None
    nodes: list[str] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"<scope of {self.runbook.name} at {self.container or 'the root'}>"

    @property
    def prefix(self) -> str:
        """Return what stands before the ids of this scope's steps."""
        return "" if self.container is None else f"{self.container}/"


@dataclass(frozen=True, eq=False)
class Node:
    """A step in the plan. `needs` must be satisfied first; `after` must only be over first (order in `finally`)."""

    id: str
    step: Step
    scope: Scope
    section: Section
    needs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    guards: str | None = None
    """For a failure path: the id of the step whose failure starts it."""


@dataclass
class Plan:
    """All nodes in file order, with the scopes, the files read, and the faults found while inlining."""

    root: Runbook
    nodes: dict[str, Node] = field(default_factory=dict)
    scopes: dict[str, Scope] = field(default_factory=dict)
    loaded: dict[str, Loaded] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    whole: bool = True
    """Whether it is known what comes before what: not with circles, unreadable sub-runbooks or too many steps."""

    def inner(self, node_id: str) -> Scope:
        """Return the scope that the sub-runbook step `node_id` holds."""
        return self.scopes[node_id]

    def locks(self) -> list[str]:
        """Return every lock that the root or an inlined runbook names, sorted (rule 16)."""
        return sorted(
            {loaded.runbook.lock for loaded in self.loaded.values() if loaded.runbook and loaded.runbook.lock}
        )


class Library:
    """The project's runbooks, each read once."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._loaded: dict[str, Loaded] = {}

    def load(self, name: str) -> Loaded:
        """Return the runbook `name` as loaded. Raises UsageError when there is none."""
        if name not in self._loaded:
            self._loaded[name] = load_file(self.project, self.project.path_of(name))
        return self._loaded[name]


@without_collector
def build_plan(library: Library, name: str) -> Plan:
    """Inline the runbook `name`; the faults of every file on the way stand in the plan.

    Raises UsageError for no such runbook.
    """
    loaded = library.load(name)
    if loaded.draft is None:
        return Plan(Runbook(name, name, loaded.document), loaded={name: loaded}, faults=list(loaded.faults))
    plan = Plan(loaded.draft, loaded={name: loaded}, faults=list(loaded.faults))
    _Inliner(library, plan).inline(loaded.draft, None, None, (name,))
    return plan


class _Inliner:
    def __init__(self, library: Library, plan: Plan) -> None:
        self.library = library
        self.plan = plan
        self.full = False

    def inline(self, runbook: Runbook, container: str | None, parent: Scope | None, trail: tuple[str, ...]) -> None:
        scope = Scope(runbook, container, parent)
        self.plan.scopes[container or ""] = scope
        known = {step.id for step in runbook.steps}
        previous: str | None = None
        for step in runbook.steps:
            node = self.node(scope, step, "steps", needs=self.needs(scope, step, known, previous))
            self.add(node, trail)
            previous = step.id
        known = {step.id for step in runbook.finally_}
        previous = None
        for step in runbook.finally_:
            after = (scope.prefix + previous,) if previous and step.needs is None else ()
            needs = () if step.needs is None else self.needs(scope, step, known, None)
            self.add(replace(self.node(scope, step, "finally", needs=needs), after=after), trail)
            previous = step.id
        circles = list(_cycles(runbook))
        self.plan.faults.extend(circles)
        self.plan.whole = self.plan.whole and not circles

    def node(self, scope: Scope, step: Step, section: Section, needs: tuple[str, ...] = ()) -> Node:
        return Node(scope.prefix + step.id, step, scope, section, needs)

    def needs(self, scope: Scope, step: Step, known: set[str], previous: str | None) -> tuple[str, ...]:
        if step.needs is None:
            return (scope.prefix + previous,) if previous else ()
        for index, name in enumerate(step.needs):
            if name not in known:
                if not scope.runbook.incomplete:
                    hint = did_you_mean(name, known) or f"steps here: {listed(sorted(known))}"
                    self.fault(scope.runbook, (*step.key, "needs", index), f"there is no step {name!r}", hint)
            elif name == step.id:
                self.fault(scope.runbook, (*step.key, "needs", index), f"the step {name!r} needs itself")
        return tuple(scope.prefix + name for name in step.needs if name in known and name != step.id)

    def add(self, node: Node, trail: tuple[str, ...]) -> None:
        if node.id in self.plan.nodes or self.full:
            return  # a fault already: the id stands twice, or there are too many steps
        if len(self.plan.nodes) >= MAX_STEPS:
            self.full = True
            self.plan.whole = False
            self.fault(self.plan.root, (), f"with its sub-runbooks it has more than {MAX_STEPS:,} steps", "split it")
            return
        self.plan.nodes[node.id] = node
        node.scope.nodes.append(node.id)
        if node.step.kind == "runbook" and node.step.runbook:
            key = (
                (*node.step.key, "on_failure", "runbook")
                if node.section == "on_failure"
                else (*node.step.key, "runbook")
            )
            self.sub(node, node.step.runbook, key, trail)
            self.plan.whole = self.plan.whole and node.id in self.plan.scopes
        failure = node.step.on_failure
        if failure.action == "runbook" and node.section != "on_failure":
            step = Step(
                "on_failure",
                "runbook",
                node.step.key,
                f"After a failure of {node.step.title}",
                runbook=failure.runbook,
                with_=failure.with_,
            )
            path = Node(f"{node.id}/on_failure", step, node.scope, "on_failure", guards=node.id)
            self.add(path, trail)

    def sub(self, node: Node, name: str, key: Any, trail: tuple[str, ...]) -> None:
        if name in trail:
            self.fault(
                node.scope.runbook, key, f"the runbooks run each other in a circle: {' → '.join([*trail, name])}"
            )
            return
        try:
            loaded = self.library.load(name)
        except UsageError:
            known = self.library.project.names()
            hint = did_you_mean(name, known) or f"there are: {listed(known)}"
            self.fault(node.scope.runbook, key, f"there is no runbook {name!r}", hint)
            return
        if name not in self.plan.loaded:
            self.plan.faults.extend(loaded.faults)
        self.plan.loaded[name] = loaded
        if loaded.draft is not None:
            self.inline(loaded.draft, node.id, node.scope, (*trail, name))

    def fault(self, runbook: Runbook, key: Any, message: str, hint: str = "") -> None:
        self.plan.faults.append(runbook.document.fault(key, message, hint))


def _cycles(runbook: Runbook) -> Iterator[Fault]:
    """Yield one fault a circle of `needs`, with the circle written out."""
    for steps in (runbook.steps, runbook.finally_):
        needs: dict[str, tuple[str, ...]] = {}
        previous: str | None = None
        for step in steps:
            needs[step.id] = step.needs if step.needs is not None else ((previous,) if previous else ())
            previous = step.id
        done: set[str] = set()
        for start in needs:
            circle = _circle_from(start, needs, done)
            if circle:
                step = next(step for step in steps if step.id == circle[0])
                key = (*step.key, "needs") if step.needs is not None else (*step.key, "id")
                yield runbook.document.fault(key, f"the steps need each other in a circle: {' → '.join(circle)}")


def _circle_from(start: str, needs: dict[str, tuple[str, ...]], done: set[str]) -> list[str]:
    """Walk depth-first without recursion (10,000 steps in a row are fine); return the first circle met."""
    if start in done:
        return []
    trail: list[str] = [start]
    iterators = [iter(needs.get(start, ()))]
    on_trail = {start}
    while trail:
        for name in iterators[-1]:
            if name in on_trail and name != trail[-1]:
                circle = trail[trail.index(name) :]
                done.update(trail)
                return [*circle, name]
            if name not in done and name in needs and name not in on_trail:
                trail.append(name)
                on_trail.add(name)
                iterators.append(iter(needs[name]))
                break
        else:
            finished = trail.pop()
            on_trail.discard(finished)
            done.add(finished)
            iterators.pop()
    return []
