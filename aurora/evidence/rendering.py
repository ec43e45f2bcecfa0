"""A report's two forms. Both escape everything by default; only what is marked as safe here reaches a page as it is."""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from aurora.evidence.graph_svg import graph_svg, mark_svg
from aurora.evidence.model import LOOKS, Look, Report, Step
from aurora.evidence.pictures import linked

_TEMPLATES = Path(__file__).parent / "templates"
_MAX_MERMAID = 80
_MARKDOWN_SIGNS = re.compile(r"([\\`*\[\]~$])|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_LINE_START = re.compile(r"^(\s*(?:[0-9]{1,9}(?=[.)](?:\s|$)))?)([-+#=.)])(?=\s|[-+#=]|$)")


class Safe(str):
    """Markdown that was made here: it passes as it is."""

    __slots__ = ()


def html(report: Report) -> str:
    """Return the report as one HTML page."""
    environment = _environment(is_html=True)
    style = (_TEMPLATES / "report.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return environment.get_template("report.html.j2").render(
        report=report,
        style=Markup(style),  # noqa: S704 - our own file  # nosec B704
        style_digest=digest,
        wide=Markup(graph_svg(report.steps)),  # noqa: S704 - escapes every text itself  # nosec B704
        narrow=Markup(graph_svg(report.steps, narrow=True)),  # noqa: S704 - escapes every text itself  # nosec B704
    )


def markdown(report: Report) -> str:
    """Return the report as Markdown."""
    text = _environment(is_html=False).get_template("report.md.j2").render(report=report, mermaid=mermaid(report.steps))
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n") + "\n"


@functools.cache
def _environment(*, is_html: bool) -> Environment:
    environment = Environment(  # nosec B701
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=is_html,  # noqa: S701 - Markdown is escaped by _finalize, all of it
        finalize=None if is_html else _finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals["LOOKS"] = LOOKS
    environment.filters["mark"] = lambda look: Markup(mark_svg(look))  # noqa: S704 - made of our own parts only  # nosec B704
    environment.filters.update(
        code=code, cell=cell, fence=fence, safe_markdown=Safe, linked=lambda name: Safe(linked(name))
    )
    return environment


def _finalize(value: object) -> str:
    """Escape whatever a Markdown template prints, unless it was made safe before."""
    return value if isinstance(value, Safe) else escape_markdown(str(value))


def escape_markdown(text: str) -> Safe:
    """Return one line of text so that Markdown shows it as it is: no emphasis, link, tag, table cell or heading."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = _MARKDOWN_SIGNS.sub(lambda match: f"\\{match[0]}", text).replace("|", "&#124;")
    text = text.replace("://", ":\\//").replace("www.", "www\\.")
    return Safe(_LINE_START.sub(lambda match: f"{match[1]}\\{match[2]}", text))


def code(text: str) -> Safe:
    """Return one line of text as code, in a fence longer than any inside."""
    if not text.strip():
        return Safe("")
    ticks = "`" * (_longest_ticks(text) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return Safe(f"{ticks}{pad}{text}{pad}{ticks}")


def cell(text: str) -> Safe:
    """Return one line of text as code in a table, where a pipe would end the cell, fence or not."""
    return Safe(f"<code>{escape_markdown(text)}</code>") if "|" in text else code(text)


def _longest_ticks(text: str) -> int:
    return max((len(run) for run in re.findall(r"`+", text)), default=0)


def fence(text: str) -> Safe:
    """Return lines of text as a fenced block."""
    ticks = "`" * max(3, _longest_ticks(text) + 1)
    return Safe(f"{ticks}text\n{text}\n{ticks}")


def mermaid(steps: Sequence[Step]) -> Safe:
    """Return the step graph in Mermaid's language; "" when there is nothing to draw, or too much."""
    lines = ["flowchart TD"]
    edges: list[str] = []
    _mermaid_scope(steps, lines, edges, 1)
    if not steps or len(lines) > _MAX_MERMAID:
        return Safe("")
    tones = {
        "good": "stroke:#1f7a4d",
        "bad": "stroke:#b3261e,stroke-width:3px",
        "warn": "stroke:#9a6700,stroke-width:2px",
        "busy": "stroke:#3557b7,stroke-width:2px",
        "off": "stroke:#8a9099,stroke-dasharray:4 3",
    }
    lines += edges
    lines += [f"  classDef {tone} {style}" for tone, style in tones.items()]
    return Safe("\n".join(lines))


def _mermaid_scope(steps: Sequence[Step], lines: list[str], edges: list[str], depth: int) -> None:
    pad = "  " * depth
    before: str | None = None
    for step in steps:
        inner = () if step.each else tuple(child for child in step.children if child.section != "on_failure")
        if inner:
            lines.append(f'{pad}subgraph {step.anchor}["{_mermaid_label(step.look, step.name)}"]')
            _mermaid_scope(inner, lines, edges, depth + 1)
            lines.append(f"{pad}end")
        else:
            lines.append(f'{pad}{step.anchor}["{_mermaid_label(step.look, step.name)}"]:::{step.look.tone}')
        edges += [f"  {need} --> {step.anchor}" for need in step.needs]
        if step.section == "finally" and before and not step.needs:
            edges.append(f"  {before} -.-> {step.anchor}")
        for path in step.inner("on_failure"):
            lines.append(f'{pad}{path.anchor}["{_mermaid_label(path.look, path.name)}"]:::{path.look.tone}')
            edges.append(f"  {step.anchor} -. on failure .-> {path.anchor}")
        before = step.anchor


def _mermaid_label(look: Look, name: str) -> str:
    return f"{look.sign} {re.sub(r'[^A-Za-z0-9 ./_-]', '·', name)[:60]}"
