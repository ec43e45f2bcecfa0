"""The picture of a session: nothing in it acts on a terminal, nothing that matters is off a small one."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from aurora.commands.session_pane import SessionTerminal
from aurora.commands.session_picture import picture
from aurora.commands.session_summary import KILL_HINT, headline
from aurora.journal import Event
from aurora.session.sight import Sight
from tests.engine.test_harmless_terminal import EVIL, assert_harmless
from tests.session.test_sight import run

AT = "2026-01-05T14:36:00.000000Z"


def header(**changes: Any) -> dict[str, Any]:
    """Return a record's first line."""
    limits = dict.fromkeys(
        ("notional_daily_cap_usd", "daily_fee_cap_usd", "daily_loss_limit_usd", "max_drawdown_usd"), "100"
    )
    base = {
        "type": "session.opened", "mode": "live", "venue": "simulated", "quotes": "dummy", "model": "m", "orders": "o",
        "profile": {"name": "sim"}, "symbols": ["SPY"], "settings": {"steps": 9}, "limits": limits,
    }  # fmt: skip
    return {**base, **changes}


def poll(symbols: list[str], **changes: Any) -> dict[str, Any]:
    """Return a poll's line."""
    quote = {"at": AT, "bid": "168.00", "ask": "168.01", "bid_size": 1, "ask_size": 1, "halted": False}
    base = {
        "type": "poll", "n": 1, "step": 1, "at": AT, "quotes": dict.fromkeys(symbols, quote), "holds": {}, "notes": {},
        "weights": {}, "decisions": [], "fills": [], "positions": {}, "cash": "5", "anomalies": [],
        "phase_times_ms": {"quotes": 1.0},
    }  # fmt: skip
    return {**base, **changes}


def shown(*lines: Mapping[str, Any], columns: int = 120, rows: int = 30) -> str:
    """Return the picture of a session that wrote `lines`."""
    sight = Sight()
    for line in lines:
        sight.take(line)
    console = Console(file=io.StringIO(), width=columns, height=rows, force_terminal=True, highlight=False)
    console.print(picture(sight, rows=rows, silent_s=0.1))
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize(
    ("mode", "venue", "said"),
    [
        ("paper", "simulated", "PAPER on SIMULATED"),
        ("live", "simulated", "LIVE on SIMULATED"),
        ("live", "paper", "LIVE on PAPER ACCOUNT"),
        ("shadow", "live", "SHADOW on LIVE VENUE, REAL MONEY"),
        ("live", "live", "LIVE on LIVE VENUE, REAL MONEY"),
    ],
)
def test_no_two_kinds_of_session_look_alike(mode: str, venue: str, said: str) -> None:
    """Trading rule 1: mode and venue are said together, and real money is called that."""
    assert headline({"mode": mode, "venue": venue}) == said
    assert said in shown(header(mode=mode, venue=venue), poll(["SPY"]))


def test_text_of_others_does_nothing_to_the_terminal() -> None:
    """What a venue, a model or a quote source says is text: nothing in it acts, and it stays on its line."""
    decision = {"ref": "r", "symbol": EVIL, "side": EVIL, "quantity": 1, "limit": EVIL, "stage": EVIL, "reason": EVIL}
    line = poll(
        [EVIL], n=EVIL, notes={EVIL: [EVIL]}, anomalies=[EVIL], decisions=[decision],
        holds={EVIL: [{"kind": EVIL, "reason": EVIL}]},
    )  # fmt: skip
    screen = shown(header(quotes=EVIL, model=EVIL, profile={"name": EVIL}, venue=EVIL, mode=EVIL), line)
    assert_harmless(screen.replace("\n", "\r\n"))


def test_small_terminal_shows_what_matters_first() -> None:
    """Of a hundred symbols on few rows, those held and those on HOLD are seen, and how to stop it."""
    symbols = [f"S{number:02d}" for number in range(100)]
    line = poll(symbols, positions={"S77": 5}, holds={"S88": [{"kind": "stale", "reason": "S88: quote age 3 s"}]})
    screen = shown(header(), line, rows=16)
    for words in ("S77", "HOLD S88: quote age 3 s", "more", KILL_HINT):
        assert words in screen
    assert screen.count("\n") <= 16


@pytest.mark.parametrize("columns", [1, 5, 20, 400])
def test_any_width_is_drawn(columns: int) -> None:
    """No width makes the picture fail."""
    assert shown(header(), poll(["SPY"], quotes={"SPY": None, "TSLA": None}), columns=columns)


def test_limits_used_are_seen_from_afar() -> None:
    """An anomaly stands in the picture, and a limit that is 0 is used up, not divided by."""
    screen = shown(header(limits=dict.fromkeys(header()["limits"], "0")), poll(["SPY"], anomalies=["reject of a-1"]))
    assert "ANOMALY, locked out: reject of a-1" in screen
    assert "100 %" in screen


# ── In a run's live terminal ─────────────────────────────────────────────────────────────────────────────────────────
def terminal(project: Path, monkeypatch: pytest.MonkeyPatch) -> SessionTerminal:
    """Return a live terminal of the project's runs, in which the run R runs its step s/live."""
    monkeypatch.setattr("aurora.commands.session_pane.DRAW_S", 0.0)
    live = SessionTerminal(project / "runs")
    live._run = "R"
    live.on_event(Event(1, AT, "step.started", {"step": "s/live", "attempt": 1}))
    return live


def drawn(live: SessionTerminal) -> str:
    """Return what is drawn below the lines."""
    console = Console(file=io.StringIO(), width=120, height=40)
    console.print(live.drawn(1.0))
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_a_runs_terminal_shows_its_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The session that a step runs is drawn below it until the step ends; a step without one has no picture."""
    live = terminal(tmp_path, monkeypatch)
    assert "SIMULATED" not in drawn(live)
    run(tmp_path, steps=5)
    folder = tmp_path / "runs/R/artifacts/s.live/1"
    folder.parent.mkdir(parents=True)
    (tmp_path / "a").rename(folder)
    assert "PAPER on SIMULATED" in drawn(live)
    live._panes.clear()
    assert "PAPER on SIMULATED" not in drawn(live)


@pytest.mark.parametrize(
    "text", ["damage\n", "[]\n", '{"type":"poll"}\n', json.dumps(header(mode=None)) + "\n", "\xff\n"]
)
def test_a_record_that_cannot_be_shown_touches_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """Whatever stands in a session's record, the run's terminal goes on without its picture."""
    live = terminal(tmp_path, monkeypatch)
    folder = tmp_path / "runs/R/artifacts/s.live/1"
    folder.mkdir(parents=True)
    (folder / "session.jsonl").write_text(text, encoding="latin-1")
    assert "s/live" in drawn(live)
    assert "s/live" in drawn(live)
