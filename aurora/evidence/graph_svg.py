"""The step graph as SVG: a box a step, a frame a sub-runbook, coloured by how it ended; a grid for very many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape

from aurora.evidence.graph_layout import Box, arrange, stack
from aurora.evidence.model import LOOKS, Look, Step, walk

MAX_BOXES = 120
MAX_EDGES = 1_500
MAX_CELLS = 4_000
MAX_ITEM_CELLS = 70
_WIDTH, _HEIGHT = 208.0, 58.0
_PAD, _HEAD = 12.0, 32.0
_CELL, _STEP = 22.0, 26.0
_WIDE = 1_020.0

_MARKS = {  # drawn in a square of 12 around the middle of a disc: no font decides what a tick looks like
    "tick": "M-4 .5L-1.2 3.4L4.2 -3",
    "cross": "M-3.2 -3.2L3.2 3.2M3.2 -3.2L-3.2 3.2",
    "dash": "M-3.6 0H3.6",
    "alert": "M0 -4.2V1M0 3.6V3.9",
    "query": "M-2.4 -2.2C-2.2 -5 2.6 -4.8 2.3 -1.9C2.1 -.2 0 -.2 0 1.4M0 3.8V4.1",
    "dots": "M-3.8 0H-3.7M-.05 0H.05M3.7 0H3.8",
}


@dataclass(frozen=True)
class _Drawing:
    """A piece of SVG in its own coordinates, and its size."""

    width: float
    height: float
    svg: str


def graph_svg(steps: Sequence[Step], *, narrow: bool = False) -> str:
    """Return the graph of `steps` as an SVG element; `narrow` fits a phone. "" when there are no steps."""
    if not steps:
        return ""
    boxes = list(_boxes(steps))
    if len(boxes) > MAX_BOXES or sum(len(step.needs) for step in boxes) > MAX_EDGES:
        drawing = _grid(steps, narrow=narrow)
    elif narrow:
        drawing = _scope(steps, columns=0)
    else:
        tries = (_scope(steps, columns=columns) for columns in (4, 3, 2))
        drawing = next((each for each in tries if each.width <= _WIDE), None) or _scope(steps, columns=1)
    width, height = drawing.width + 2, drawing.height + 2
    kind = "narrow" if narrow else "wide"
    return (
        f'<svg class="graph {kind}" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="-1 -1 {width:.0f} {height:.0f}" role="group" aria-label="Step graph">'
        f"{drawing.svg}</svg>"
    )


def _boxes(steps: Sequence[Step]) -> Iterator[Step]:
    """Yield what is drawn as a box or a frame; items of a `foreach` are squares in one."""
    for step in steps:
        yield step
        yield from _boxes(step.inner("on_failure") if step.each else step.children)


def mark_svg(look: Look) -> str:
    """Return the sign of a look as a small SVG disc, for text that says the same in words beside it."""
    size = 'viewBox="-9 -9 18 18" width="18" height="18"'
    return f'<svg class="mark {look.tone}" {size} aria-hidden="true">{_disc(look)}</svg>'


def _disc(look: Look) -> str:
    return f'<circle r="9"/><path d="{_MARKS[look.mark]}"/>'


def _scope(steps: Sequence[Step], *, columns: int, row_width: float = _WIDE) -> _Drawing:
    """Draw the steps of one runbook, their failure paths, and `finally` below all; no columns: one box a row."""
    main = [step for step in steps if step.section != "finally"]
    ending = [step for step in steps if step.section == "finally"]
    inside = min(columns, max(1, columns // 2))
    drawings: dict[str, _Drawing] = {}
    edges: list[tuple[str, str]] = []
    sinks = {step.anchor for step in main}
    for step in main:
        drawings[step.anchor] = _one(step, columns=inside, row_width=row_width)
        edges.extend((need, step.anchor) for need in step.needs)
        sinks.difference_update(step.needs)
        for path in step.inner("on_failure"):
            drawings[path.anchor] = _failure_path(path, columns=inside, row_width=row_width)
            edges.append((step.anchor, path.anchor))
    if ending and main:
        inner = _scope(_in_file_order(ending), columns=inside, row_width=row_width)
        drawings["finally"] = _frame("finally", "", "Finally", "whatever happened", inner)
        edges.extend((sink, "finally") for sink in sinks)
    elif ending:
        return _scope(_in_file_order(ending), columns=columns, row_width=row_width)
    boxes = [Box(key, drawing.width, drawing.height) for key, drawing in drawings.items()]
    placed = arrange(boxes, edges, columns=columns, row_width=row_width) if columns else stack(boxes, edges)
    dashed = {"finally"} | {path.anchor for step in main for path in step.inner("on_failure")}
    parts = []
    for _, target, line, tip in placed.edges:
        kind = "edge dashed" if target in dashed else "edge"
        parts.append(f'<path class="{kind}" d="{line}"/><path class="tip" d="{tip}"/>')
    for key, (left, top) in placed.places.items():
        parts.append(f'<g transform="translate({left:.1f} {top:.1f})">{drawings[key].svg}</g>')
    return _Drawing(placed.width, placed.height, "".join(parts))


def _in_file_order(steps: Sequence[Step]) -> list[Step]:
    """Return `finally` steps as ordinary ones, each after the one before it: that is how they run."""
    ordered: list[Step] = []
    for step in steps:
        needs = step.needs or ((ordered[-1].anchor,) if ordered else ())
        ordered.append(replace(step, section="steps", needs=needs))
    return ordered


def _one(step: Step, *, columns: int, row_width: float) -> _Drawing:
    inner = [child for child in step.children if child.section != "on_failure"]
    if not inner:
        return _box(step)
    if step.each:
        content = _cells(inner, 7, MAX_ITEM_CELLS)
    else:
        content = _scope(inner, columns=columns, row_width=max(_WIDTH, row_width - 2 * _PAD))
    return _frame(step.look.tone, step.anchor, step.title, _caption(step), content, step.look)


def _failure_path(path: Step, *, columns: int, row_width: float) -> _Drawing:
    if path.look is LOOKS["standby"] or path.look is LOOKS["pending"]:
        return _box(path)
    return _one(path, columns=columns, row_width=row_width)


def _caption(step: Step) -> str:
    return f"{step.look.word} · {step.elapsed}" if step.elapsed else step.look.word


def _box(step: Step) -> _Drawing:
    lines = _wrapped(step.title, _WIDTH - 48, 12.5, 2)
    top = 24.0 if len(lines) == 1 else 18.0
    texts = "".join(
        f'<text class="t" x="36" y="{top + 15 * index:.0f}">{escape(text)}</text>' for index, text in enumerate(lines)
    )
    caption = _wrapped(_caption(step), _WIDTH - 48, 11, 1)[0]
    below = top + 15 * len(lines) + 1
    return _Drawing(
        _WIDTH,
        _HEIGHT,
        f'<a href="#{step.anchor}" class="n {step.look.tone}{" sim" if step.simulated else ""}">'
        f"<title>{escape(step.id)}: {escape(step.title)} ({escape(_caption(step))})</title>"
        f'<rect class="box" width="{_WIDTH:.0f}" height="{_HEIGHT:.0f}" rx="8"/>'
        f'<g class="mark {step.look.tone}" transform="translate(19 {_HEIGHT / 2:.0f})">{_disc(step.look)}</g>'
        f'{texts}<text class="s" x="36" y="{below:.0f}">{escape(caption)}</text></a>',
    )


def _frame(tone: str, anchor: str, title: str, caption: str, inner: _Drawing, look: Look | None = None) -> _Drawing:
    width = max(inner.width, _WIDTH - 2 * _PAD) + 2 * _PAD
    height = inner.height + _HEAD + _PAD
    left = 30.0 if look else 12.0
    room = width - left - 12
    short = caption.removeprefix("passed · ").replace("passed", "")
    said = _wrapped(short, room * 0.5, 11, 1)[0]
    head = _wrapped(title, room - _measure(said, 11) - 14 * bool(said), 12.5, 1)[0]
    sign = f'<g class="mark {tone}" transform="translate(17 17) scale(.8)">{_disc(look)}</g>' if look else ""
    label = (
        f'{sign}<text class="t" x="{left:.0f}" y="21">{escape(head)}</text>'
        f'<text class="s" x="{width - 12:.1f}" y="21" text-anchor="end">{escape(said)}</text>'
    )
    if anchor:
        label = f'<a href="#{anchor}"><title>{escape(title)} ({escape(caption)})</title>{label}</a>'
    offset = (width - inner.width) / 2
    return _Drawing(
        width,
        height,
        f'<g class="f {tone}"><rect class="frame" width="{width:.1f}" height="{height:.1f}" rx="10"/>{label}</g>'
        f'<g transform="translate({offset:.1f} {_HEAD:.0f})">{inner.svg}</g>',
    )


def _cells(steps: Sequence[Step], per_row: int, limit: int = MAX_CELLS) -> _Drawing:
    """Draw steps as small squares, row by row."""
    parts = []
    shown = steps[:limit]
    for index, step in enumerate(shown):
        x, y = (index % per_row) * _STEP, (index // per_row) * _STEP
        half = f"{_CELL / 2:.0f}"
        sign = f'transform="translate({half} {half})" d="{_MARKS[step.look.mark]}"'
        parts.append(
            f'<a href="#{step.anchor}" class="n {step.look.tone}" transform="translate({x:.0f} {y:.0f})">'
            f"<title>{escape(step.title)} ({escape(_caption(step))})</title>"
            f'<rect class="cell" width="{_CELL:.0f}" height="{_CELL:.0f}" rx="5"/>'
            f'<path class="sign {step.look.tone}" {sign}/></a>'
        )
    rows = -(-len(shown) // per_row)
    height = rows * _STEP
    if len(steps) > len(shown):
        height += 16
        parts.append(f'<text class="s" x="0" y="{height - 4:.0f}">and {len(steps) - len(shown):,} more</text>')
    return _Drawing(min(len(shown), per_row) * _STEP, height, "".join(parts))


def _grid(steps: Sequence[Step], *, narrow: bool) -> _Drawing:
    """Draw very many steps as squares: a frame for each group at the top, the rest in plan order."""
    per_row = 11 if narrow else 36
    pieces: list[_Drawing] = []
    loose: list[Step] = []
    left = MAX_CELLS

    def flush() -> None:
        if loose:
            pieces.append(_cells(loose, per_row))
            loose.clear()

    for step in steps:
        leaves = [each for each in walk((step,)) if not each.is_group]
        left -= len(leaves)
        if left < 0:
            break
        if step.is_group and len(leaves) > 3:
            flush()
            pieces.append(
                _frame(step.look.tone, step.anchor, step.title, _caption(step), _cells(leaves, per_row), step.look)
            )
        else:
            loose.extend(leaves)
    flush()
    width = top = 0.0
    parts = []
    for piece in pieces:
        parts.append(f'<g transform="translate(0 {top:.0f})">{piece.svg}</g>')
        width, top = max(width, piece.width), top + piece.height + 14
    if left < 0:
        top += 16
        parts.append(
            f'<text class="s" x="0" y="{top - 4:.0f}">More steps than can be drawn; the checklist has them all.</text>'
        )
        width = max(width, 320.0)
    return _Drawing(width, max(top - 14, 1.0), "".join(parts))


def _measure(text: str, size: float) -> float:
    """Estimate a line's width in a common sans-serif; on the wide side, so that text stays in its box."""
    total = 0.0
    for char in text:
        if char in "iljtfr.,:;'|!()[] -":
            total += 0.34
        elif char in "mwMW@%":
            total += 0.9
        elif char > "\u2e7f":
            total += 1.05
        elif char.isupper():
            total += 0.7
        else:
            total += 0.57
    return total * size


def _wrapped(text: str, room: float, size: float, lines: int) -> list[str]:
    """Break `text` into at most `lines` lines of `room` pixels; what does not fit ends in an ellipsis."""
    found: list[str] = []
    rest = text.split()
    while rest and len(found) < lines:
        taken = rest.pop(0)
        while rest and _measure(f"{taken} {rest[0]}", size) <= room:
            taken += f" {rest.pop(0)}"
        last = len(found) == lines - 1
        if _measure(taken, size) > room or (last and rest):
            while taken and _measure(f"{taken}…", size) > room:
                taken = taken[:-1]
            taken += "…"
        found.append(taken)
    return found or [""]
