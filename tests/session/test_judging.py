from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from aurora.market.link import LinkState
from aurora.market.mode import Mode
from aurora.market.quote import Quote
from tests.session.test_loop import broken_from, run
from tests.trading import FakeServices, ScriptedQuotes, make_quote


class Linked(ScriptedQuotes):
    """A market behind a line that tells its state."""

    state = LinkState()

    def link_state(self) -> LinkState:
        return self.state


def test_line_down_for_15_seconds_locks_out(tmp_path: Path) -> None:
    """Trading rule 11: a line that is down for 15 s locks the session out, also while quotes still come."""
    source = Linked()

    def cut(number: int, _: FakeServices) -> None:
        if number == 14:
            source.state = LinkState(down="market data farm usfarm")

    ran = run(tmp_path, source=source, on_poll=cut, steps=100)
    assert ran.result.anomalies == ["down for 15.0 s, limit 15 s: market data farm usfarm"]
    assert (ran.result.polls, ran.result.flat) == (18, True)


def test_delayed_data_locks_out(tmp_path: Path) -> None:
    """Trading rule 11: delayed data locks the session out at its first poll."""
    source = Linked()
    source.state = LinkState(delayed="SPY")
    ran = run(tmp_path, source=source)
    assert (ran.result.anomalies, ran.result.polls) == (["delayed data: SPY"], 1)


def test_loop_that_stands_still_locks_out(tmp_path: Path) -> None:
    """A loop that does not look for more than three intervals locks the session out."""
    source = ScriptedQuotes()

    def stall(number: int, _: FakeServices) -> None:
        if number == 14:
            source.clock.sleep(16)

    ran = run(tmp_path, source=source, on_poll=stall, steps=100)
    assert ran.result.anomalies == ["the loop stood still for 16.0 s, limit 15 s (3 polls of 5 s, at least 5 s)"]
    assert ran.result.flat


def test_halt_holds_for_a_minute_after_its_end(tmp_path: Path) -> None:
    """Trading rule 13: a halted symbol is held for 60 s of two-sided quotes more, which is no anomaly."""
    halt = broken_from(60, lambda symbol, now: make_quote(at=now, halted=True), 70)
    ran = run(tmp_path, halt, symbols=("SPY", "TSLA"), steps=60)
    held = [line["n"] for line in ran.polls if "SPY" in line["holds"]]
    assert held == list(range(13, 27))  # two polls of the halt, then from 70 s until before 130 s
    assert ran.result.anomalies == []


def test_halt_between_two_polls_counts(tmp_path: Path) -> None:
    """Trading rule 13: a halt that came and went between two polls holds the symbol, too."""

    def flicker(symbol: str, elapsed: float, now: datetime) -> Quote:
        return make_quote(symbol=symbol, at=now, halted=symbol == "SPY" and 55.2 < elapsed < 55.3)

    ran = run(tmp_path, flicker, symbols=("SPY", "TSLA"), steps=40)
    reasons = [hold["reason"] for line in ran.polls for hold in line["holds"].get("SPY", [])]
    assert reasons[0] == "SPY: two-sided quotes for 0.0 s since its halt, limit 60 s"
    assert len(reasons) == 12


def test_quote_from_the_future_is_held(tmp_path: Path) -> None:
    """Trading rule 11: a quote from the future means that a clock is off: the symbol is held."""
    future = broken_from(60, lambda symbol, now: make_quote(at=now + timedelta(seconds=2)), 61)
    ran = run(tmp_path, future, symbols=("SPY", "TSLA"))
    (held,) = [line["holds"] for line in ran.polls if line["holds"]]
    assert held == {"SPY": [{"kind": "future", "reason": "SPY: quote 2.000 s in the future, limit 1.5 s"}]}


def restarting(minutes: int) -> dict[str, dict[str, dict[str, str]]]:
    """Return a profile's change: the venue restarts at 09:36 in New York, for so many minutes."""
    return {"session": {"venue_restart": {"from": "09:36", "to": f"09:{36 + minutes}"}}}


def gone(source: Linked, symbol: str, elapsed: float, now: datetime, back_s: float) -> Quote | None:
    """Tell no quote from the second minute to `back_s`, with the line down meanwhile."""
    is_gone = 60 <= elapsed < back_s
    source.state = LinkState(down="the connection was lost") if is_gone else LinkState()
    return None if is_gone else make_quote(symbol=symbol, at=now)


def test_link_that_the_nightly_restart_takes_is_no_anomaly(tmp_path: Path) -> None:
    """In the profile's restart window a lost link holds every symbol and alarms nobody; after it, trading goes on."""
    source = Linked()
    source.script = lambda symbol, elapsed, now: gone(source, symbol, elapsed, now, 170)
    ran = run(tmp_path, source=source, steps=40, profile=restarting(2), mode=Mode.SHADOW)
    assert (ran.result.anomalies, ran.result.locked_out) == ([], False)
    assert ran.result.holds >= 20


def test_link_that_stays_away_after_the_restart_is_an_anomaly(tmp_path: Path) -> None:
    """The same loss outlasting the window locks out 15 s after its end, and one outside of it as always."""
    source = Linked()
    source.script = lambda symbol, elapsed, now: gone(source, symbol, elapsed, now, 1000)
    ran = run(tmp_path, source=source, steps=40, profile=restarting(2), mode=Mode.SHADOW)
    assert "down for 15" in ran.result.anomalies[0]
    assert ran.result.polls == (180 + 15) / 5 + 1
