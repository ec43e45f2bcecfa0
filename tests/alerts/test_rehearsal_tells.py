"""The kill switch's rehearsal through the desk's own notifiers: what `notified` means."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aurora.alerts.base import Alert, Priority
from aurora.alerts.log import LOG
from aurora.desk import Desk
from aurora.session.rehearsal import rehearse_kill_switch
from aurora.session.result import KillRehearsal
from aurora.session.run import Attempt
from tests.push_server import TOPIC, PushServer, free_port
from tests.trading import START, give_models, make_profile


def rehearse(root: Path, environment: dict[str, str], **alerts: Any) -> KillRehearsal:
    """Rehearse in `root` under sim with `alerts` laid over it."""
    desk = Desk(give_models(root), make_profile("sim", secrets=["NTFY_URL"], alerts=alerts), environment)
    return rehearse_kill_switch(desk, ("SPY",), "dummy", Attempt("rehearsal", root))


def logged(root: Path) -> list[dict[str, Any]]:
    """Return the lines of the alerts' log."""
    return [json.loads(line) for line in (root / LOG).read_text().splitlines()]


def test_accepted_push_is_notified(tmp_path: Path) -> None:
    """The server gets exactly one message, the log one line, and the rehearsal says that somebody was told."""
    with PushServer() as server:
        result = rehearse(tmp_path, {"NTFY_URL": server.address}, push=True)
    assert (result.halted, result.notified, result.flag_removed) == (True, True, True)
    (got,) = server.received
    assert got.title == "Rehearsal of the kill switch"
    assert got.priority == "high"
    assert "halted a session" in got.text
    assert [line["title"] for line in logged(tmp_path)] == ["Rehearsal of the kill switch"]
    assert TOPIC not in result.notice


def test_server_that_refuses_is_not_notified(tmp_path: Path) -> None:
    """A push that nobody took is not a person told, though the log has its line."""
    with PushServer(403) as server:
        result = rehearse(tmp_path, {"NTFY_URL": server.address}, push=True)
    assert (result.halted, result.notified) == (True, False)
    assert "refused it (403)" in result.notice
    assert len(logged(tmp_path)) == 1


@pytest.mark.parametrize("environment", [{}, {"NTFY_URL": f"http://127.0.0.1:{free_port()}/{TOPIC}"}])
def test_nobody_there_is_not_notified(tmp_path: Path, environment: dict[str, str]) -> None:
    """No address and no server are told as such, and the rehearsal still ends by itself."""
    result = rehearse(tmp_path, environment, push=True)
    assert (result.halted, result.notified) == (True, False)
    assert "push: " in result.notice
    assert TOPIC not in result.notice


def test_log_alone_is_not_notified(tmp_path: Path) -> None:
    """Under sim nothing is pushed, even where an address is set; the notice says that nobody is told."""
    with PushServer() as server:
        result = rehearse(tmp_path, {"NTFY_URL": server.address})
    assert (result.notified, server.received) == (False, [])
    assert "nobody is told" in result.notice
    assert len(logged(tmp_path)) == 1


def test_secrets_are_masked_before_they_are_sent(tmp_path: Path) -> None:
    """A secret of the profile inside an alert is masked in the log and on the wire."""
    with PushServer() as server:
        profile = make_profile("sim", secrets=["NTFY_URL"], alerts={"push": True})
        desk = Desk(tmp_path, profile, {"NTFY_URL": server.address})
        alert = Alert(f"at {server.address}", f"posted to {server.address}", Priority.LOW, (), START)
        assert desk.notify(alert).delivered
    assert server.received[0].text == "posted to ***"
    assert server.received[0].title == "at ***"
    assert TOPIC not in (tmp_path / LOG).read_text()
