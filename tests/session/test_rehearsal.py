from __future__ import annotations

from pathlib import Path

import pytest

from aurora.errors import SafetyStop, VenueRefusal
from aurora.risk.kill_switch import KillSwitch
from aurora.session.loop import Session
from aurora.session.rehearsal import rehearse_kill_switch
from aurora.session.result import KillRehearsal
from aurora.session.run import Attempt
from tests.trading import FakeServices, ScriptedQuotes


def rehearse(project: Path, services: FakeServices | None = None, quotes: str = "dummy") -> KillRehearsal:
    """Rehearse in `project`."""
    return rehearse_kill_switch(services or FakeServices(project), ("SPY",), quotes, Attempt("r", project / "records"))


def test_flag_halts_the_session_and_is_removed(tmp_path: Path) -> None:
    """The real flag halts a running session before its next poll, nothing opens under it, and it is taken away."""
    services = FakeServices(tmp_path)
    found = rehearse(tmp_path, services)
    assert (found.halted, found.opening_refused, found.flag_removed, found.polls_after_flag) == (True, True, True, 0)
    assert found.notified
    assert len(services.notices) == 1
    assert not services.kill_switch.is_set
    assert (tmp_path / found.recording).is_file()


def test_flag_of_a_person_is_left_alone(tmp_path: Path) -> None:
    """Engine rule 30: under a flag that is there already the rehearsal stops, and the flag stays."""
    (tmp_path / "kill.flag").write_text("stop")
    with pytest.raises(SafetyStop):
        rehearse(tmp_path)
    assert (tmp_path / "kill.flag").read_text() == "stop"


def test_flag_set_during_the_rehearsal_stays(tmp_path: Path) -> None:
    """Engine rule 30: a flag that a person sets during the rehearsal is not the rehearsal's, and stays."""
    services = FakeServices(tmp_path)

    def replace_flag(*_: object) -> None:
        flag = services.kill_switch.flag
        if flag.exists():
            flag.unlink()
            flag.write_text("mine")

    attempt = Attempt("r", tmp_path / "records")
    original = Session._leave

    def leave(self: Session) -> None:
        replace_flag()
        original(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "_leave", leave)
        found = rehearse_kill_switch(services, ("SPY",), "dummy", attempt)
    assert (found.halted, found.flag_removed) == (True, False)
    assert services.kill_switch.flag.read_text() == "mine"


def test_session_that_ignores_the_flag_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill switch that does not work makes the rehearsal say so, and the flag is still taken away."""
    services = FakeServices(tmp_path)
    monkeypatch.setattr(KillSwitch, "is_set", property(lambda self: False))
    found = rehearse(tmp_path, services)
    assert (found.halted, found.opening_refused) == (False, False)
    assert found.polls_after_flag > 0
    assert found.flag_removed
    assert not services.kill_switch.flag.exists()


def test_flag_is_removed_when_the_session_breaks(tmp_path: Path) -> None:
    """A rehearsal that breaks after it set the flag takes it away all the same."""

    class Breaks(ScriptedQuotes):
        polls = 0

        @property
        def exhausted(self) -> bool:
            self.polls += 1
            if (tmp_path / "kill.flag").exists():
                raise RuntimeError("a bug")
            return False

    services = FakeServices(tmp_path, source=Breaks())
    services.kill_switch = Blind(tmp_path)
    with pytest.raises(RuntimeError, match="a bug"):
        rehearse(tmp_path, services)
    assert not (tmp_path / "kill.flag").exists()


class Blind(KillSwitch):
    """A switch that never sees its flag."""

    is_set = property(lambda self: False)


def test_rehearsal_on_quotes_that_are_not_there_is_refused(tmp_path: Path) -> None:
    """A rehearsal that can't run writes no flag."""
    with pytest.raises(VenueRefusal):
        rehearse(tmp_path, quotes="ibkr")
    assert not (tmp_path / "kill.flag").exists()
