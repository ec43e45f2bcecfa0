from __future__ import annotations

import os
from pathlib import Path

import pytest

from aurora.errors import SafetyStop
from aurora.risk.kill_switch import FLAG, KillSwitch, RehearsalFlag


@pytest.fixture
def switch(tmp_path: Path) -> KillSwitch:
    """Return the switch of an empty project."""
    return KillSwitch(tmp_path)


def test_flag_is_a_file_at_the_root(switch: KillSwitch, tmp_path: Path) -> None:
    """`touch kill.flag` sets the switch, removing it clears it."""
    looks = [switch.is_set]
    (tmp_path / "kill.flag").touch()
    looks.append(switch.is_set)
    (tmp_path / "kill.flag").unlink()
    assert [*looks, switch.is_set] == [False, True, False]


def test_anything_of_that_name_is_a_flag(tmp_path: Path) -> None:
    """A folder or a dangling link named kill.flag stops trading, too: who made it meant it."""
    for number, make in enumerate((Path.mkdir, lambda path: path.symlink_to("nowhere"))):
        project = tmp_path / str(number)
        project.mkdir()
        make(project / FLAG)
        assert KillSwitch(project).is_set
        with pytest.raises(SafetyStop, match="kill flag is set"):
            KillSwitch(project).require_clear()


@pytest.mark.skipif(os.geteuid() == 0, reason="root looks into every folder")
def test_folder_that_cannot_be_looked_into_counts_as_killed(tmp_path: Path) -> None:
    """What can't be checked is not safe."""
    (tmp_path / "locked").mkdir()
    (tmp_path / "locked").chmod(0)
    try:
        assert KillSwitch(tmp_path / "locked").is_set
    finally:
        (tmp_path / "locked").chmod(0o700)


def test_file_in_place_of_the_project_counts_as_killed(tmp_path: Path) -> None:
    """A root that is no folder can't be looked into."""
    (tmp_path / "file").touch()
    assert KillSwitch(tmp_path / "file").is_set


def test_set_flag_stops_with_a_reason(switch: KillSwitch) -> None:
    """A set flag is a safety stop (exit 3) that says what to do; a clear one is nothing."""
    switch.require_clear()
    switch.flag.touch()
    with pytest.raises(SafetyStop) as caught:
        switch.require_clear()
    assert caught.value.exit_code == 3
    assert "somebody stopped trading" in caught.value.diagnostics()


def test_rehearsal_removes_the_flag_it_wrote(switch: KillSwitch) -> None:
    """Engine rule 30: a rehearsal takes away the very flag that it wrote."""
    own = switch.write_rehearsal_flag()
    looks = [switch.is_set]
    assert switch.remove_rehearsal_flag(own)
    assert [*looks, switch.is_set] == [True, False]
    assert list(switch.flag.parent.iterdir()) == []


def test_rehearsal_does_not_write_over_a_flag(switch: KillSwitch) -> None:
    """A flag that is there already was set by a person: a rehearsal stops, and leaves it."""
    switch.flag.write_text("stop")
    with pytest.raises(SafetyStop):
        switch.write_rehearsal_flag()
    assert switch.flag.read_text() == "stop"


def test_killed_rehearsal_is_told_as_such(switch: KillSwitch) -> None:
    """A flag that a rehearsal left behind is told as that, so that nobody looks for a breach."""
    switch.write_rehearsal_flag()
    with pytest.raises(SafetyStop, match="kill flag is set") as caught:
        switch.require_clear()
    assert "a rehearsal that did not end set it" in caught.value.means


def test_replaced_flag_stays(switch: KillSwitch) -> None:
    """Engine rule 30: a flag with another inode is somebody else's and stays."""
    own = switch.write_rehearsal_flag()
    stand_in = switch.flag.with_name("other")
    stand_in.write_text("mine")
    stand_in.rename(switch.flag)
    assert not switch.remove_rehearsal_flag(own)
    assert switch.flag.read_text() == "mine"


def test_touched_flag_stays(switch: KillSwitch) -> None:
    """Engine rule 30: `touch kill.flag` during a rehearsal means it: the flag has another mtime and stays."""
    own = switch.write_rehearsal_flag()
    os.utime(switch.flag, ns=(0, own.mtime_ns + 1))
    assert not switch.remove_rehearsal_flag(own)
    assert switch.is_set


def test_removed_flag_is_no_error(switch: KillSwitch) -> None:
    """A flag that a person removed meanwhile is simply gone."""
    own = switch.write_rehearsal_flag()
    switch.flag.unlink()
    assert not switch.remove_rehearsal_flag(own)


class Racing(KillSwitch):
    """A switch whose first look is fooled: somebody replaces the flag between the look and the renaming."""

    also_new_flag = False

    def _is_own(self, path: Path, own: RehearsalFlag) -> bool:  # type: ignore[override]
        if path == self.flag:
            other = path.with_name("other")
            other.write_text("theirs")
            other.rename(path)
            return True
        if self.also_new_flag:
            self.flag.write_text("newer")
        return KillSwitch._is_own(path, own)


@pytest.mark.parametrize(("also_new_flag", "left"), [(False, "theirs"), (True, "newer")])
def test_flag_set_in_the_very_moment_is_put_back(tmp_path: Path, also_new_flag: bool, left: str) -> None:
    """Engine rule 30: renamed aside, looked at, put back: never over a flag that was set meanwhile."""
    switch = Racing(tmp_path)
    switch.also_new_flag = also_new_flag
    own = switch.write_rehearsal_flag()
    assert not switch.remove_rehearsal_flag(own)
    assert switch.flag.read_text() == left
    assert [path.name for path in tmp_path.iterdir()] == [FLAG]


def test_flag_gone_between_look_and_renaming(tmp_path: Path) -> None:
    """A flag that goes away between the look and the renaming is no error."""

    class Gone(KillSwitch):
        def _is_own(self, path: Path, own: RehearsalFlag) -> bool:  # type: ignore[override]
            path.unlink()
            return True

    switch = Gone(tmp_path)
    assert not switch.remove_rehearsal_flag(switch.write_rehearsal_flag())


def test_flag_in_a_folder_that_is_gone(tmp_path: Path) -> None:
    """A switch whose project vanished is clear: there is no flag, and nothing to trade for."""
    switch = KillSwitch(tmp_path / "gone")
    assert not switch.is_set
