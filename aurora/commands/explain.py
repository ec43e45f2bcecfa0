"""`explain NAME`: a runbook with all that it inlines, as a tree, or as a Mermaid graph."""

from __future__ import annotations

import sys

from aurora.commands.parser import Invocation
from aurora.engine.faults import visible
from aurora.engine.functions import FunctionTable
from aurora.engine.graph import Library, Node, Plan, build_plan
from aurora.engine.lint import lint_plan, require_sound
from aurora.engine.project import Project
from aurora.engine.values import shown


def execute(project: Project, invocation: Invocation) -> int:
    """Print it. Raises RunbookError when the runbook has faults."""
    plan = build_plan(Library(project), invocation.options.name)
    table = FunctionTable(project.root)
    require_sound(lint_plan(project, plan, table))
    if invocation.options.format == "mermaid":
        sys.stdout.write(mermaid(plan))
    else:
        _print_tree(plan, table)
    return 0


def _print_tree(plan: Plan, table: FunctionTable) -> None:
    from rich.console import Console  # noqa: PLC0415 - slow to import
    from rich.text import Text  # noqa: PLC0415 - the same
    from rich.tree import Tree  # noqa: PLC0415 - the same

    def text(words: str, style: str = "") -> Text:
        return Text(visible(words.strip()), style)

    tree = Tree(text(f"{plan.root.name}: {plan.root.title}", "bold"))
    for param in plan.root.params.values():
        default = "required" if param.required else f"default {shown(param.default)}"
        tree.add(text(f"{param.flag}  {param.type}, {default}  {param.help}", "dim"))
    for each in plan.root.requires:
        within = f"within {each.within}" if each.within else ""
        tree.add(text(f"requires {each.runbook} {each.outcome} {within}", "yellow"))
    branches = {"": tree}
    for node in plan.nodes.values():
        branch = branches[node.guards or node.scope.container or ""].add(text(_line(node, table)))
        branches[node.id] = branch
        for gate in node.step.gates:
            kind, style = ("gate", "green") if gate.severity == "blocking" else ("gate (advisory)", "yellow")
            branch.add(text(f"{kind}: {gate.check.text}", style))
        for line in node.step.checklist:
            branch.add(text(f"☐ {line}", "cyan"))
    console = Console(highlight=False)
    console.print(tree, soft_wrap=not console.is_terminal)


def _line(node: Node, table: FunctionTable) -> str:
    step = node.step
    what = {"uses": f"uses {step.uses}", "runbook": f"runbook {step.runbook}", "confirm": "confirm", "gate": "gate"}[
        step.kind
    ]
    parts = [f"{node.id.rpartition('/')[2]}  {step.title}  [{what}]"]
    if node.section != "steps":
        parts.append({"finally": "always, at the end", "on_failure": "only after a failure"}[node.section])
    if step.needs is not None:
        parts.append(f"needs {', '.join(step.needs) or 'nothing'}")
    if step.if_ is not None:
        parts.append(f"if {step.if_.text}")
    if step.kind == "uses":
        info = table.find(str(step.uses)).info
        parts += [f"effects {', '.join(info.effects)}"] if info.effects else []
        parts += ["runs once only"] if info.repeat == "never" else []
    if step.timeout is not None:
        parts.append(f"timeout {step.timeout:g} s")
    if step.on_failure.action != "abort":
        parts.append(
            "on failure: go on" if step.on_failure.action == "continue" else f"on failure: {step.on_failure.runbook}"
        )
    return " · ".join(parts)


_SHAPES = {"confirm": ("{{", "}}"), "gate": ("{", "}"), "runbook": ("[[", "]]"), "uses": ("[", "]")}
_ENTITIES = {"#": "#35;", "&": "#amp;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "`": "#96;"}


def mermaid(plan: Plan) -> str:
    """Return the plan as a Mermaid flowchart."""
    number = {node_id: f"n{index}" for index, node_id in enumerate(plan.nodes)}
    lines = ["flowchart TD"]
    for node in plan.nodes.values():
        words = visible(f"{node.id}: {node.step.title}".replace("\n", " "))
        text = "".join(_ENTITIES.get(character, character) for character in words)
        left, right = _SHAPES[node.step.kind]
        lines.append(f'  {number[node.id]}{left}"{text}"{right}')
        for before in (*node.needs, *node.after):
            lines.append(f"  {number[before]} --> {number[node.id]}")
        if node.guards:
            lines.append(f"  {number[node.guards]} -. failure .-> {number[node.id]}")
        elif node.scope.container and not node.needs and not node.after:
            lines.append(f"  {number[node.scope.container]} -.-> {number[node.id]}")
    return "\n".join(lines) + "\n"
