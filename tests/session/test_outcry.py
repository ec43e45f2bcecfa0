"""What leaves a session when something is wrong, and how it is named."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from aurora.alerts.base import Alert
from aurora.clock import SystemClock
from aurora.market.mode import Mode
from aurora.session.outcry import Outcry
from aurora.session.services import Services
from tests.trading import make_profile


@pytest.mark.parametrize(
    ("mode", "profile", "name"),
    [
        (Mode.LIVE, "sim", "live on simulated"),
        (Mode.LIVE, "live_canary", "live on live"),
        (Mode.SHADOW, "sim", "shadow on simulated"),
    ],
)
def test_alert_names_mode_and_venue(tmp_path: Path, mode: Mode, profile: str, name: str) -> None:
    """Trading rule 1: whoever is woken reads at once whether it was a rehearsal."""
    told: list[Alert] = []
    desk = SimpleNamespace(profile=make_profile(profile), clock=SystemClock(), notify=told.append, project=tmp_path)
    with Outcry(cast(Services, desk), mode, None, "s") as outcry:
        outcry.lock_out("reject of a-1")
        outcry.warn("wide for 5 polls running")
    titles = [f"{name}: look at the session", f"{name}: session locked out"]
    assert sorted(alert.title for alert in told) == titles
