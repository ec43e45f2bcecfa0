"""Where the boxes of a step graph stand: in layers, with few crossings, or one below the other on a narrow page.

The method is Sugiyama's (K. Sugiyama et al., 1981): layer the boxes, put a dummy on each layer that a long edge
crosses, order each layer by the barycentre of its neighbours, then move boxes towards their neighbours' middle
without changing the order. A graph that is higher than wanted is broken into columns, as a newspaper is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

GAP_X = 18.0
GAP_Y = 34.0
GUTTER = 44.0
GAP_STACK = 22.0
LANE = 9.0
MAX_LANES = 8
_PORT = 17.0
_DUMMY = 10.0
_ROUND = 6.0


@dataclass(frozen=True)
class Box:
    """Something to be placed: a key and a size."""

    key: str
    width: float
    height: float


@dataclass(frozen=True)
class Arrangement:
    """A drawing's size, the top left corner of each box, and each edge: from, to, its line and its tip as SVG paths."""

    width: float
    height: float
    places: Mapping[str, tuple[float, float]]
    edges: tuple[tuple[str, str, str, str], ...]


@dataclass
class _Cell:
    """A box, or an edge's dummy, in a layer. `x` is its centre."""

    width: float
    height: float
    order: float
    box: Box | None = None
    x: float = 0.0
    above: list[_Cell] | None = None
    below: list[_Cell] | None = None
    top: float = 0.0
    column: int = 0

    def neighbours(self, down: bool) -> list[_Cell]:
        return (self.above if down else self.below) or []


def arrange(
    boxes: Sequence[Box], edges: Iterable[tuple[str, str]], *, columns: int = 1, row_width: float = 900.0
) -> Arrangement:
    """Place `boxes` so that each edge (from, to) goes down; at most `columns` columns, rows about `row_width` wide.

    Edges that close a circle, or name no box, are left out; so are those that others imply.
    """
    if not boxes:
        return Arrangement(0.0, 0.0, {}, ())
    kept = _reduced(_acyclic([box.key for box in boxes], edges))
    layers = _layers(boxes, kept, row_width)
    chains = _chains(layers, kept)
    _order(layers)
    _align(layers)
    return _placed(layers, chains, columns)


def stack(boxes: Sequence[Box], edges: Iterable[tuple[str, str]]) -> Arrangement:
    """Place `boxes` one below the other in the order given; edges to the next go down, others through lanes beside."""
    if not boxes:
        return Arrangement(0.0, 0.0, {}, ())
    rank = {box.key: index for index, box in enumerate(boxes)}
    kept = _reduced(_acyclic([box.key for box in boxes], edges))
    links = [(source, target) for target, sources in kept.items() for source in sources]
    far = sorted((link for link in links if rank[link[1]] != rank[link[0]] + 1), key=lambda link: _span(rank, link))
    lanes = _lanes(rank, far)
    left = (max(lanes.values(), default=-1) + 1) * LANE + (LANE / 2 if far else 0.0)
    width = max(box.width for box in boxes)
    tops: dict[str, float] = {}
    top = 0.0
    for box in boxes:
        tops[box.key] = top
        top += box.height + GAP_STACK
    drawn = []
    for source, target in links:
        box = boxes[rank[source]]
        if (source, target) in lanes:
            y1, y2 = tops[source] + min(box.height, _PORT * 3) - _PORT, tops[target] + _PORT
            x = left - LANE / 2 - (lanes[source, target] + 0.5) * LANE
            drawn.append((source, target, _beside(left, x, y1, y2), _right(left, y2)))
        else:
            middle = left + min(each.width for each in boxes) / 2
            line = f"M{_n(middle)} {_n(tops[source] + box.height)}V{_n(tops[target])}"
            drawn.append((source, target, line, _down(middle, tops[target])))
    places = {box.key: (left, tops[box.key]) for box in boxes}
    return Arrangement(left + width, top - GAP_STACK, places, tuple(drawn))


def _span(rank: Mapping[str, int], link: tuple[str, str]) -> int:
    return abs(rank[link[1]] - rank[link[0]])


def _lanes(rank: Mapping[str, int], links: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """Give each link the nearest lane that is free all the way; past a number of lanes, they share the last."""
    taken: list[list[tuple[int, int]]] = []
    lanes: dict[tuple[str, str], int] = {}
    for link in links:
        low, high = sorted((rank[link[0]], rank[link[1]]))
        free = (lane for lane, spans in enumerate(taken) if all(high <= a or b <= low for a, b in spans))
        lane = next(free, min(len(taken), MAX_LANES - 1))
        if lane == len(taken):
            taken.append([])
        taken[lane].append((low, high))
        lanes[link] = lane
    return lanes


def _beside(left: float, x: float, y1: float, y2: float) -> str:
    r = _ROUND if y2 > y1 else -_ROUND
    return (
        f"M{_n(left)} {_n(y1)}H{_n(x + _ROUND)}Q{_n(x)} {_n(y1)} {_n(x)} {_n(y1 + r)}"
        f"V{_n(y2 - r)}Q{_n(x)} {_n(y2)} {_n(x + _ROUND)} {_n(y2)}H{_n(left)}"
    )


def _down(x: float, y: float) -> str:
    return f"M{_n(x - 4)} {_n(y - 6)}L{_n(x)} {_n(y - 0.5)}L{_n(x + 4)} {_n(y - 6)}"


def _right(x: float, y: float) -> str:
    return f"M{_n(x - 6)} {_n(y - 4)}L{_n(x - 0.5)} {_n(y)}L{_n(x - 6)} {_n(y + 4)}"


def _acyclic(keys: Sequence[str], edges: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return each key's predecessors, in an order in which they come first; what closes a circle is dropped."""
    wanted: dict[str, list[str]] = {key: [] for key in keys}
    for source, target in edges:
        if source in wanted and target in wanted and source != target and source not in wanted[target]:
            wanted[target].append(source)
    followers: dict[str, list[str]] = {key: [] for key in keys}
    for target, sources in wanted.items():
        for source in sources:
            followers[source].append(target)
    left = {key: len(sources) for key, sources in wanted.items()}
    done: dict[str, list[str]] = {}
    waiting = iter(keys)
    ready = [key for key in reversed(keys) if not left[key]]
    while len(done) < len(wanted):
        key = ready.pop() if ready else next(each for each in waiting if each not in done)
        if key in done:
            continue
        done[key] = [source for source in wanted[key] if source in done]
        for target in reversed(followers[key]):
            left[target] -= 1
            if left[target] == 0:
                ready.append(target)
    return done


def _reduced(sources: dict[str, list[str]]) -> dict[str, list[str]]:
    """Drop each edge that a longer way implies (transitive reduction); sets of ancestors are bit masks."""
    bit = {key: 1 << index for index, key in enumerate(sources)}
    ancestors: dict[str, int] = {}
    kept: dict[str, list[str]] = {}
    for key, above in sources.items():
        beyond = 0
        for source in above:
            beyond |= ancestors[source]
        kept[key] = [source for source in above if not beyond & bit[source]]
        ancestors[key] = beyond
        for source in above:
            ancestors[key] |= bit[source]
    return kept


def _layers(boxes: Sequence[Box], sources: dict[str, list[str]], row_width: float) -> list[list[_Cell]]:
    depth: dict[str, int] = {}
    for key, above in sources.items():
        depth[key] = max((depth[source] + 1 for source in above), default=0)
    rows: list[list[_Cell]] = [[] for _ in range(max(depth.values()) + 1)]
    for index, box in enumerate(boxes):
        rows[depth[box.key]].append(_Cell(box.width, box.height, float(index), box))
    layers: list[list[_Cell]] = []
    for row in rows:
        layers.append([])
        used = 0.0
        for cell in row:
            if layers[-1] and used + cell.width > row_width:
                layers.append([])
                used = 0.0
            layers[-1].append(cell)
            used += cell.width + GAP_X
    return layers


def _chains(layers: list[list[_Cell]], sources: dict[str, list[str]]) -> list[tuple[str, str, list[_Cell]]]:
    """Link neighbouring layers, with dummies for edges that span more; return each edge as its chain of cells."""
    at = {cell.box.key: (index, cell) for index, layer in enumerate(layers) for cell in layer if cell.box is not None}
    chains = []
    for target, above in sources.items():
        for source in above:
            (first, start), (last, end) = at[source], at[target]
            chain = [start]
            for index in range(first + 1, last):
                dummy = _Cell(_DUMMY, 0.0, start.order)
                layers[index].append(dummy)
                chain.append(dummy)
            chain.append(end)
            for upper, lower in pairwise(chain):
                upper.below = [*(upper.below or []), lower]
                lower.above = [*(lower.above or []), upper]
            chains.append((source, target, chain))
    return chains


def _order(layers: list[list[_Cell]]) -> None:
    for sweep in range(4):
        down = sweep % 2 == 0
        for layer in layers if down else reversed(layers):
            for cell in layer:
                near = cell.neighbours(down)
                if near:
                    cell.order = sum(other.order for other in near) / len(near)
            layer.sort(key=lambda cell: cell.order)
            for index, cell in enumerate(layer):
                cell.order = index - len(layer) / 2


def _align(layers: list[list[_Cell]]) -> None:
    for layer in layers:
        edge = 0.0
        for cell in layer:
            cell.x = edge + cell.width / 2
            edge += cell.width + GAP_X
        for cell in layer:
            cell.x -= (edge - GAP_X) / 2
    for sweep in range(6):
        down = sweep % 2 == 0
        for layer in layers if down else reversed(layers):
            _settle(layer, [_middle(cell, down) for cell in layer])


def _middle(cell: _Cell, down: bool) -> float:
    near = cell.neighbours(down)
    return sum(other.x for other in near) / len(near) if near else cell.x


def _settle(layer: list[_Cell], wanted: list[float]) -> None:
    """Move cells as near to where they want to be as their order and gaps allow (pool adjacent violators)."""
    offsets = [0.0]
    for left, right in pairwise(layer):
        offsets.append(offsets[-1] + (left.width + right.width) / 2 + GAP_X)
    pools: list[tuple[float, int]] = []
    for want, offset in zip(wanted, offsets, strict=True):
        total, count = want - offset, 1
        while pools and pools[-1][0] / pools[-1][1] > total / count:
            before = pools.pop()
            total, count = total + before[0], count + before[1]
        pools.append((total, count))
    index = 0
    for total, count in pools:
        for _ in range(count):
            layer[index].x = total / count + offsets[index]
            index += 1


def _placed(layers: list[list[_Cell]], chains: list[tuple[str, str, list[_Cell]]], columns: int) -> Arrangement:
    heights = [max(cell.height for cell in layer) for layer in layers]
    width = total = 0.0
    for column, (first, last) in enumerate(_columns(heights, columns)):
        cells = [cell for layer in layers[first:last] for cell in layer]
        left = min(cell.x - cell.width / 2 for cell in cells)
        start = width + (GUTTER if column else 0.0)
        top = 0.0 if last == len(layers) and not column else GAP_Y / 2
        for layer, height in zip(layers[first:last], heights[first:last], strict=True):
            for cell in layer:
                cell.x += start - left
                cell.top, cell.column = top, column
                cell.height = cell.height or height
            top += height + GAP_Y
        width = max(cell.x + cell.width / 2 for cell in cells)
        total = max(total, top - GAP_Y + (0.0 if last == len(layers) and not column else GAP_Y / 2))
    places = {cell.box.key: (cell.x - cell.width / 2, cell.top) for layer in layers for cell in layer if cell.box}
    starts = _column_starts(layers)
    paths = []
    for source, target, chain in chains:
        end = chain[-1]
        paths.append((source, target, _path(chain, total, starts), _down(end.x, end.top)))
    return Arrangement(width, total, places, tuple(paths))


def _column_starts(layers: list[list[_Cell]]) -> dict[int, float]:
    starts: dict[int, float] = {}
    for layer in layers:
        for cell in layer:
            starts[cell.column] = min(starts.get(cell.column, cell.x), cell.x - cell.width / 2)
    return starts


def _columns(heights: Sequence[float], columns: int) -> list[tuple[int, int]]:
    """Break rows into at most `columns` runs so that the highest is as low as can be (bisection on its height)."""
    low, high = max(heights), sum(heights) + GAP_Y * len(heights)
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if len(_broken(heights, middle)) <= columns else (middle, high)
    return _broken(heights, high)


def _broken(heights: Sequence[float], limit: float) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    first, used = 0, 0.0
    for index, height in enumerate(heights):
        if index > first and used + height > limit:
            runs.append((first, index))
            first, used = index, 0.0
        used += height + GAP_Y
    return [*runs, (first, len(heights))]


def _path(chain: Sequence[_Cell], bottom: float, starts: Mapping[int, float]) -> str:
    start = chain[0]
    parts = [f"M{_n(start.x)} {_n(start.top + start.height)}"]
    for upper, lower in pairwise(chain):
        y1, y2 = upper.top + upper.height, lower.top
        if upper.box is None:
            parts.append(f"V{_n(y1)}")
        if upper.column != lower.column:
            parts.append(_over(upper.x, lower.x, y2, bottom, starts[lower.column] - GUTTER / 2))
        elif abs(upper.x - lower.x) < 0.5:
            parts.append(f"V{_n(y2)}")
        else:
            middle = y2 - min(GAP_Y, y2 - y1) / 2
            parts.append(
                f"V{_n(2 * middle - y2)}C{_n(upper.x)} {_n(middle)} {_n(lower.x)} {_n(middle)} {_n(lower.x)} {_n(y2)}"
            )
    return "".join(parts)


def _over(x1: float, x2: float, y2: float, bottom: float, gutter: float) -> str:
    """Return the way from the foot of one column to the head of the next, through the gutter, with round corners."""
    low, high, r = bottom - _ROUND / 2, y2 - GAP_Y / 2 + _ROUND / 2, _ROUND
    return (
        f"V{_n(low - r)}Q{_n(x1)} {_n(low)} {_n(x1 + r)} {_n(low)}H{_n(gutter - r)}"
        f"Q{_n(gutter)} {_n(low)} {_n(gutter)} {_n(low - r)}V{_n(high + r)}"
        f"Q{_n(gutter)} {_n(high)} {_n(gutter + r)} {_n(high)}H{_n(x2 - r)}"
        f"Q{_n(x2)} {_n(high)} {_n(x2)} {_n(high + r)}V{_n(y2)}"
    )


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
