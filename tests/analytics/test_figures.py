from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from aurora.analytics.figures import Drawing, Limits, draw
from aurora.analytics.series import Point, Series
from aurora.evidence.pictures import picture
from tests.trading import ROOT

START = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
LIMITS = Limits(1.5, 250.0)
SESSION = Series(
    "live session, SPY",
    "each poll",
    "poll",
    [Point(START + timedelta(seconds=5 * n), 1.0 + n % 7, 100_000.0 - n, 100_000.0 - n) for n in range(50)],
    [0.5, 1.0, -0.3, 2.0],
    {"largest trade": 99.4, "notional": 120.0, "fees": None},
)
NAMES = ["slippage", "loop_latency", "equity", "limits_used"]
SVG = "{http://www.w3.org/2000/svg}"


def drawn(series: Series, limits: Limits = LIMITS) -> dict[str, Drawing]:
    """Return the figures by name."""
    return {drawing.name: drawing for drawing in draw(series, limits)}


def test_four_figures_with_titles_and_sizes() -> None:
    """Each figure is well-formed SVG with a size, a title that says what it shows in numbers, and a dark dress."""
    found = drawn(SESSION)
    assert list(found) == NAMES
    for drawing in found.values():
        assert drawing.svg is not None
        root = ET.fromstring(drawing.svg)
        assert (root.tag, root.get("role")) == (f"{SVG}svg", "img")
        assert root.findtext(f"{SVG}title") == drawing.says
        assert "prefers-color-scheme: dark" in str(root.findtext(f"{SVG}style"))
    assert found["slippage"].says == (
        "Slippage of 4 fills, live session, SPY: -0.30 to 2.00 bps, median 0.50 bps, 1.5 bps expected."
    )
    assert "limit 250 ms for its p95" in found["loop_latency"].says
    assert "-49.00 USD since the beginning, drawdown 49.00 USD" in found["equity"].says
    assert "largest trade 99.4 %, notional 120.0 %; not known: fees." in found["limits_used"].says


def test_every_figure_is_one_that_a_report_shows() -> None:
    """What is drawn here passes what a report asks of an SVG that it does not trust."""
    for name, drawing in drawn(SESSION).items():
        assert drawing.svg is not None
        address, title, hidden = picture(f"artifacts/f/1/{name}.svg", "digest", {"digest": drawing.svg})
        assert address.startswith("data:image/svg+xml;base64,")
        assert (title, hidden) == (drawing.says, "")


@pytest.mark.parametrize("home", ["plain", "set otherwise"])
def test_equal_series_give_equal_bytes_in_any_process(tmp_path: Path, home: str) -> None:
    """No clock, no hash seed, no setting of the machine's own matplotlib changes a byte."""
    if home == "set otherwise":
        (tmp_path / "matplotlibrc").write_text("font.size: 30\nxtick.direction: in\naxes.facecolor: pink\nsvg.id: x\n")
    script = (
        "import hashlib, sys; from tests.analytics.test_figures import SESSION, LIMITS, draw\n"
        "sys.stdout.write(' '.join(hashlib.sha256(each.svg).hexdigest() for each in draw(SESSION, LIMITS)))"
    )
    environment = {**os.environ, "MPLCONFIGDIR": str(tmp_path), "TZ": "Asia/Tokyo", "PYTHONPATH": str(ROOT)}
    told = [
        subprocess.run([sys.executable, "-c", script], cwd=ROOT, env={**environment, "PYTHONHASHSEED": seed},
                       capture_output=True, text=True, check=True).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert told[0] == told[1]
    from hashlib import sha256  # noqa: PLC0415 - beside the script that does the same

    here = " ".join(sha256(drawing.svg or b"").hexdigest() for drawing in draw(SESSION, LIMITS))
    assert told[0] == here


def test_nothing_to_show_is_said_in_words() -> None:
    """Without fills, loops, equity or limits there is no figure, and a sentence says so for each."""
    empty = Series("paper session, SPY", "each poll", "poll", [], [], {"notional": None})
    for drawing in draw(empty, LIMITS):
        assert drawing.svg is None
        assert drawing.says.endswith("nothing to draw.")


@pytest.mark.parametrize(
    "series",
    [
        replace(SESSION, slippage_bps=[0.0]),
        replace(SESSION, slippage_bps=[1.0] * 5),
        replace(SESSION, slippage_bps=[-1e9, 1e9]),
        replace(SESSION, points=SESSION.points[:2]),
        replace(SESSION, points=[replace(point, loop_ms=0.0, equity_usd=1.0) for point in SESSION.points]),
        replace(SESSION, points=[replace(SESSION.points[0], at=START)] * 3),
        replace(SESSION, equities="session"),
        replace(SESSION, used_pct={"notional": 0.0}),
        replace(SESSION, used_pct={"notional": 1e7}),
    ],
    ids=["one fill", "equal fills", "wild fills", "two points", "all zero", "one instant", "sessions", "0 %", "10^7 %"],
)
def test_odd_series_are_drawn(series: Series) -> None:
    """One value, equal values, none but zero, or wild ones: a figure, and no warning."""
    assert all(drawing.svg for drawing in draw(series, LIMITS))


def test_without_a_limit_no_line_is_drawn_for_it() -> None:
    """A profile that promises nothing has no line, and the title does not speak of it."""
    found = drawn(SESSION, Limits(None, None))
    assert "expected" not in found["slippage"].says
    assert "limit" not in found["loop_latency"].says
    assert found["slippage"].svg != drawn(SESSION)["slippage"].svg


@pytest.mark.parametrize(
    "symbol", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "$\\frac{", "\x00\u202e\ud800", "]]>-->"]
)
def test_a_hostile_symbol_is_only_text(symbol: str) -> None:
    """A symbol with markup, a formula or control characters ends up escaped in the title, and nowhere else."""
    for drawing in draw(replace(SESSION, subject=f"live session, {symbol}"), LIMITS):
        assert drawing.svg is not None
        root = ET.fromstring(drawing.svg)
        assert [each.tag for each in root.iter() if each.tag in (f"{SVG}script", f"{SVG}img")] == []
        assert b"<script" not in drawing.svg
        assert b"\x00" not in drawing.svg
