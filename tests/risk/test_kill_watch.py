from __future__ import annotations

from pathlib import Path

import pytest

from aurora.risk.kill_switch import KillSwitch
from aurora.risk.kill_watch import KillWatch

LONG_S = 30.0


def test_flag_wakes_whoever_waits(tmp_path: Path) -> None:
    """Engine rule 30: the kernel tells of the flag; a wait of half a minute is over long before."""
    with KillWatch(KillSwitch(tmp_path)) as watch:
        assert not watch.wait(0.2)
        (tmp_path / "kill.flag").touch()
        assert watch.wait(LONG_S)
        assert watch.wait(LONG_S)


def test_flag_that_is_there_already_is_seen(tmp_path: Path) -> None:
    """Engine rule 30: it looks once at the start."""
    (tmp_path / "kill.flag").touch()
    with KillWatch(KillSwitch(tmp_path)) as watch:
        assert watch.wait(LONG_S)


@pytest.mark.parametrize("other", ["runs/kill.flag", "other", ".kill.flag.swp"])
def test_other_files_wake_nobody(tmp_path: Path, other: str) -> None:
    """Engine rule 30: the folder is watched, not what is below it, and only the flag counts."""
    (tmp_path / "runs").mkdir()
    with KillWatch(KillSwitch(tmp_path)) as watch:
        assert not watch.wait(0.1)
        (tmp_path / other).touch()
        assert not watch.wait(0.3)


def test_flag_that_is_renamed_into_place_is_heard(tmp_path: Path) -> None:
    """However the flag comes (a link, a rename), it is a flag."""
    (tmp_path / "elsewhere").touch()
    with KillWatch(KillSwitch(tmp_path)) as watch:
        assert not watch.wait(0.1)
        (tmp_path / "elsewhere").rename(tmp_path / "kill.flag")
        assert watch.wait(LONG_S)


def test_folder_that_cannot_be_watched_is_said(tmp_path: Path) -> None:
    """Where the kernel can't be asked the wait lasts its time, the watch says why, and the looks at the flag remain."""
    with KillWatch(KillSwitch(tmp_path / "gone")) as watch:
        assert not watch.wait(0.2)
    assert "gone" in watch.failed
