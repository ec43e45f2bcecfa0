from __future__ import annotations

from pathlib import Path

import pytest

from tests.steps.support import call


def test_machine_steps_answer_in_any_project(tmp_path: Path) -> None:
    """Each look at the machine answers, whatever it finds."""
    assert call("machine.utc", tmp_path).name
    assert call("machine.disk", tmp_path).free_mb > 0
    assert call("machine.secrets", tmp_path).problems == []
    assert isinstance(call("machine.code", tmp_path).dirty, bool)
    assert isinstance(call("machine.clock_sync", tmp_path).known, bool)
    assert call("machine.port", tmp_path, host="127.0.0.1", port=1).address == "127.0.0.1:1"


def test_environment_is_what_the_profile_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without names of its own, the step looks for the variables and secrets that the profile names."""
    for name in ("BROKER", "IB_HOST", "IB_PORT", "IB_CLIENT_ID", "IB_ACCOUNT", "NTFY_URL", "HEARTBEAT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("IB_HOST", "127.0.0.1")
    found = call("machine.environment", tmp_path, "live_canary")
    assert found.present == ["IB_HOST"]
    assert found.missing == ["BROKER", "HEARTBEAT_URL", "IB_ACCOUNT", "IB_CLIENT_ID", "IB_PORT", "NTFY_URL"]
    assert call("machine.environment", tmp_path, names=["IB_HOST"]).missing == []


def test_kill_flag_is_seen(tmp_path: Path) -> None:
    """A flag at the project's root is seen, and stays."""
    assert call("machine.kill_flag", tmp_path).absent
    (tmp_path / "kill.flag").touch()
    found = call("machine.kill_flag", tmp_path)
    assert (found.absent, found.path) == (False, "kill.flag")
    assert (tmp_path / "kill.flag").exists()
