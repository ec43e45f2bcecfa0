"""Draws a session's or a period's figures as SVG: equal series, equal bytes.

    Series → Drawing (slippage, loop latency, equity and drawdown, limits used) → SVG files of a run

Text is drawn as outlines of the font that matplotlib brings, so a figure looks alike everywhere and holds no text of a
record. Colours are those of the report, light and dark.
"""

from __future__ import annotations

import functools
import html
import io
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from aurora.analytics.series import Series
from aurora.evidence.harmless import line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.ticker import Locator

INK, SOFT, GRID, LINE, FILL, WARN = "#1d2126", "#59616b", "#e2e0da", "#31519f", "#b9c6e6", "#a8231b"
_DARK = {INK: "#e6e6e3", SOFT: "#a2a8b0", GRID: "#30343b", LINE: "#9db8f2", FILL: "#3b4d78", WARN: "#f28b82"}
_STYLE: Mapping[Any, Any] = {
    "svg.hashsalt": "aurora",  # names of parts would be random
    "svg.fonttype": "path",
    "font.family": ["DejaVu Sans"],
    "font.size": 10,
    "text.parse_math": False,  # a symbol with a dollar sign is no formula
    "axes.edgecolor": GRID,
    "axes.labelcolor": SOFT,
    "axes.titlecolor": INK,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "timezone": "UTC",
}
_INCHES = (5.6, 3.3)
_MOST_BINS = 40


@dataclass(frozen=True)
class Limits:
    """What lines and bars are compared with; None where there is no such limit."""

    slippage_bps: float | None
    loop_p95_ms: float | None


@dataclass(frozen=True)
class Drawing:
    """A figure: its file's name, what it shows in one sentence, and its SVG; without one, `says` why there is none."""

    name: str
    says: str
    svg: bytes | None


def draw(series: Series, limits: Limits) -> list[Drawing]:
    """Return the four figures of `series`; what has nothing to show is said in words."""
    return [
        _slippage(series, limits.slippage_bps),
        _latency(series, limits.loop_p95_ms),
        _equity(series),
        _used(series),
    ]


def _slippage(series: Series, expected: float | None) -> Drawing:
    values = series.slippage_bps
    if not values:
        return Drawing("slippage", f"Slippage of {series.subject}: there is no fill, nothing to draw.", None)
    median = sorted(values)[(len(values) - 1) // 2]
    fills = f"{len(values)} fill{'' if len(values) == 1 else 's'}"
    says = (
        f"Slippage of {fills}, {series.subject}: {min(values):.2f} to {max(values):.2f} bps, median {median:.2f} bps"
        f"{'' if expected is None else f', {expected:g} bps expected'}."
    )

    def fill(axes: Axes) -> None:
        bins = min(_MOST_BINS, max(8, len(values) // 2))
        counts, *_ = axes.hist(values, bins=bins, color=FILL, edgecolor=LINE, linewidth=0.8)
        axes.set_ylim(0, float(max(counts)) * 1.3)  # room for the legend
        axes.axvline(median, color=LINE, linewidth=1.6, label=f"median {median:.2f}")
        if expected is not None:
            axes.axvline(expected, color=WARN, linewidth=1.6, linestyle="--", label=f"expected {expected:g}")
        axes.set_xlabel("lost against the mid at the decision, bps")
        axes.set_ylabel("fills")
        axes.yaxis.set_major_locator(_whole_numbers())
        axes.legend()

    return Drawing("slippage", says, _svg(says, "Slippage", fill))


def _latency(series: Series, limit: float | None) -> Drawing:
    points = [(point.at, point.loop_ms) for point in series.points if point.loop_ms is not None]
    if not points:
        return Drawing("loop_latency", f"Loop latency of {series.subject}: there is no loop, nothing to draw.", None)
    worst = max(loop for _, loop in points)
    says = (
        f"Loop latency ({series.loops}), {series.subject}: {worst:.1f} ms at the most"
        f"{'' if limit is None else f', limit {limit:g} ms for its p95'}."
    )

    def fill(axes: Axes) -> None:
        loops = [loop for _, loop in points]
        axes.plot(
            _days([at for at, _ in points]),
            loops,
            color=LINE,
            linewidth=1.1,
            marker="o" if len(points) < 40 else "",
            markersize=3,
        )
        axes.set_ylim(0, worst * 1.15 or 1)
        if limit is not None and limit <= worst * 4:
            axes.axhline(limit, color=WARN, linewidth=1.4, linestyle="--", label=f"limit of the p95, {limit:g}")
            axes.set_ylim(0, max(worst, limit) * 1.15)
            axes.legend()
        axes.set_ylabel(f"own time, {series.loops}, ms")
        _time_axis(axes)

    return Drawing("loop_latency", says, _svg(says, "Loop latency", fill))


def _equity(series: Series) -> Drawing:
    points = [(point.at, point.equity_usd) for point in series.points if point.equity_usd is not None]
    if len(points) < 2:
        why = f"Equity of {series.subject}: fewer than two {series.equities}s have one that is known, nothing to draw."
        return Drawing("equity", why, None)
    begun = 0.0 if series.equities == "session" else points[0][1]
    gains = [equity - begun for _, equity in points]
    falls, peak = [], max(0.0, gains[0])
    for gain in gains:
        peak = max(peak, gain)
        falls.append(gain - peak)
    says = (
        f"Equity by {series.equities} of {series.subject}: {gains[-1]:+,.2f} USD since the beginning, "
        f"drawdown {abs(min(falls)):,.2f} USD at the deepest."
    )

    def fill(axes: Axes) -> None:
        times = _days([at for at, _ in points])
        axes.plot(
            times, gains, color=LINE, linewidth=1.4, label="P&L", marker="o" if len(points) < 40 else "", markersize=3
        )
        axes.fill_between(times, falls, 0, color=WARN, alpha=0.25, linewidth=0, label="below the peak")
        axes.axhline(0, color=SOFT, linewidth=0.8)
        if max(gains) - min(gains) < 1:  # cents would look like a fall
            axes.set_ylim(min(gains) - 1, max(gains) + 1)
        axes.set_ylabel("since the beginning, USD")
        axes.legend()
        _time_axis(axes)

    return Drawing("equity", says, _svg(says, "Equity and drawdown", fill))


def _used(series: Series) -> Drawing:
    known = {name: share for name, share in series.used_pct.items() if share is not None}
    unknown = [name for name in series.used_pct if name not in known]
    untold = f"; not known: {', '.join(unknown)}" if unknown else ""
    if not known:
        return Drawing("limits_used", f"Limits used of {series.subject}: none is known, nothing to draw.", None)
    shares = ", ".join(f"{name} {share:.1f} %" for name, share in known.items())
    says = f"Limits used at the most, {series.subject}: {shares}{untold}."

    def fill(axes: Axes) -> None:
        values = list(reversed(known.values()))
        names = [f"{name}, {share:.1f} %" for name, share in reversed(known.items())]
        colours = [WARN if value > 100 else FILL for value in values]
        axes.barh(names, values, color=colours, edgecolor=LINE, linewidth=0.8, height=0.6)
        axes.axvline(100, color=WARN, linewidth=1.4, linestyle="--")
        axes.set_ylim(-0.7, max(len(values), 4) - 0.3)
        axes.set_xlim(0, max(110, *(value * 1.05 for value in values)))
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("used at the most, % of the limit")

    return Drawing("limits_used", says, _svg(says, "Limits used", fill))


def _time_axis(axes: Axes) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter  # noqa: PLC0415 - as in `_svg`

    locator = AutoDateLocator(minticks=3, maxticks=6)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.set_xlabel("UTC")
    axes.margins(x=0.02)


def _days(times: list[datetime]) -> list[float]:
    from matplotlib.dates import date2num  # noqa: PLC0415 - as in `_svg`

    return [float(day) for day in date2num(times)]  # type: ignore[no-untyped-call]


def _whole_numbers() -> Locator:
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415 - as in `_svg`

    return MaxNLocator(nbins=6, integer=True)


def _svg(says: str, title: str, fill: Callable[[Axes], None]) -> bytes:
    """Draw one figure. Equal arguments give equal bytes, whatever the machine's own settings of matplotlib are."""
    import matplotlib  # noqa: PLC0415 - half a second and 60 MB that only the drawing of figures needs
    from matplotlib.figure import Figure  # noqa: PLC0415 - the same

    file = io.StringIO()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        figure = Figure(figsize=_INCHES, layout="constrained")
        axes = figure.subplots()
        axes.set_title(title)
        fill(axes)
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(file, format="svg", transparent=True, metadata=nothing)
    return _dressed(file.getvalue(), says).encode()


def _dressed(svg: str, says: str) -> str:
    """Return the SVG with a title, the report's dark colours, and without what names other documents."""
    svg = re.sub(r"<!DOCTYPE[^>]*>\s*|<!--.*?-->\s*|<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    head = f' role="img"><title>{html.escape(line(says, 400))}</title><style>{_dark_style()}</style>'
    return re.sub(r"(<svg\b[^>]*)>", lambda found: found[1] + head, svg, count=1)


@functools.cache
def _dark_style() -> str:
    return f"@media (prefers-color-scheme: dark) {{{''.join(_dark_rules())}}}"


def _dark_rules() -> Iterator[str]:
    for light, dark in _DARK.items():
        for what in ("fill", "stroke"):
            yield f'[style*="{what}: {light}"]{{{what}:{dark}!important}}'
