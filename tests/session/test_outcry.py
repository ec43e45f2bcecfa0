"""What leaves a session when something is wrong, and how it is named."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from aurora.alerts.base import Alert
from aurora.clock import SystemClock
from aurora.errors import RecordError, UsageError
from aurora.market.mode import Mode
from aurora.session.outcry import Outcry
from aurora.session.services import Services
from tests.trading import make_profile


def desk(project: Path, profile: str, told: list[Alert]) -> Services:
    """Return services that only tell."""
    more = {"telling": lambda *_: [], "environment": {}, "project": project}
    made = SimpleNamespace(profile=make_profile(profile), clock=SystemClock(), notify=told.append, **more)
    return cast(Services, made)


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
    with Outcry(desk(tmp_path, profile, told), mode, None, "s") as outcry:
        outcry.lock_out("reject of a-1")
        outcry.warn("wide for 5 polls running")
    titles = [f"{name}: look at the session", f"{name}: session locked out"]
    assert sorted(alert.title for alert in told) == titles


@pytest.mark.parametrize(
    ("error", "titles"),
    [
        (ZeroDivisionError("a fault of ours"), ["live on simulated: session died"]),
        (RecordError("The disk is full."), ["live on simulated: session died"]),
        (UsageError("There is no trading to be had."), []),
    ],
)
def test_session_that_an_error_ends_is_told(tmp_path: Path, error: Exception, titles: list[str]) -> None:
    """A session that breaks on the way is told urgently with why; one that refused to begin is nobody's alarm."""
    told: list[Alert] = []
    with pytest.raises(type(error)), Outcry(desk(tmp_path, "sim", told), Mode.LIVE, None, "s"):
        raise error
    assert [alert.title for alert in told] == titles
    assert all(str(error) in alert.text and alert.priority == "urgent" for alert in told)
