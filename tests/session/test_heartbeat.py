from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from aurora.errors import OperatorError
from aurora.market.mode import Mode
from aurora.session import heartbeat
from aurora.session.heartbeat import Heartbeat, require_dead_man
from aurora.session.run import Attempt, run_session
from aurora.session.settings import SessionRequest
from tests.push_server import HANG, PushServer
from tests.session.test_loop import Wants
from tests.trading import FakeServices, ScriptedQuotes, make_profile


def services(project: Path, venue: str = "live", address: str = "") -> FakeServices:
    """Return a desk for a venue, with an address to ping."""
    profile = make_profile(venue=venue)
    return FakeServices(project, profile, ScriptedQuotes(), Wants(), {"HEARTBEAT_URL": address} if address else {})


def wait_until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so; a test that waits for ever has failed."""
    ticking = threading.Event()
    while not is_so():
        ticking.wait(0.01)


@pytest.mark.parametrize("address", ["", "nonsense", "http://example.invalid/plain"])
def test_real_money_asks_for_a_dead_man(tmp_path: Path, address: str) -> None:
    """Trading rule 24: a live session on a live account without an address to ping is refused before it begins."""
    desk = services(tmp_path, address=address)
    request = SessionRequest(Mode.LIVE, ("SPY",), "x", steps=3)
    with pytest.raises(OperatorError, match="needs a dead man's switch") as refused:
        run_session(desk, request, Attempt("a", tmp_path / "a"))
    assert "HEARTBEAT_URL" in refused.value.diagnostics()
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(("venue", "mode"), [("live", Mode.SHADOW), ("paper", Mode.LIVE), ("simulated", Mode.LIVE)])
def test_other_sessions_do_not_ask_for_it(tmp_path: Path, venue: str, mode: Mode) -> None:
    """Trading rule 24: where no real money is sent nobody must be saved."""
    require_dead_man(services(tmp_path, venue), mode)


def test_session_pings(tmp_path: Path) -> None:
    """Trading rule 24: a live session pings, at once and then every interval; a simulated one does not."""
    with PushServer() as server:
        for venue, pings in (("simulated", False), ("live", True)):
            desk = services(tmp_path, venue, server.address)
            with Heartbeat(desk, Mode.LIVE, lambda _: None) as beats:
                if pings:
                    wait_until(lambda: beats.pings == 1)
            assert len(server.received) == pings
        assert (server.received[0].method, server.received[0].text) == ("POST", "")


def test_ping_goes_out_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trading rule 24: pings go on as long as the loop beats."""
    monkeypatch.setattr(heartbeat, "EVERY_S", 0.01)
    with PushServer() as server, Heartbeat(services(tmp_path, address=server.address), Mode.LIVE, print) as beats:
        wait_until(lambda: beats.pings >= 3)


def test_silent_loop_is_not_kept_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trading rule 24: a process whose loop hangs does not ping: a thread that lives is no sign of a session."""
    monkeypatch.setattr(heartbeat, "EVERY_S", 0.01)
    monkeypatch.setattr(heartbeat, "SILENT_S", -1.0)
    looks: list[float] = []
    with PushServer() as server, Heartbeat(services(tmp_path, address=server.address), Mode.LIVE, print) as beats:
        monotonic = beats._clock.monotonic

        def look() -> float:
            looks.append(monotonic())
            return looks[-1]

        monkeypatch.setattr(beats._clock, "monotonic", look)
        wait_until(lambda: len(looks) > 5)
        assert server.received == []


def test_ping_that_fails_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ping that is not taken is told once, in words that hold no address, and pinging goes on."""
    monkeypatch.setattr(heartbeat, "EVERY_S", 0.01)
    told: list[str] = []
    with PushServer(500, 500) as server:
        with Heartbeat(services(tmp_path, address=server.address), Mode.LIVE, told.append) as beats:
            wait_until(lambda: beats.pings >= 1)
        assert told == ["the dead man's switch did not take a ping: the server refused it (500)"]


def test_server_that_hangs_does_not_hold_the_session(tmp_path: Path) -> None:
    """The session neither waits for a ping nor for the end of one."""
    with PushServer(HANG) as server:
        desk = services(tmp_path, "paper", server.address)
        result = run_session(desk, SessionRequest(Mode.LIVE, ("SPY",), "x", steps=3), Attempt("a", tmp_path / "a"))
        assert (result.steps, result.flat) == (3, True)
        server.released.set()
