from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from aurora.clock import ManualClock
from aurora.errors import JournalDamaged, OperatorError, RecordError, SafetyStop
from aurora.journal import read_journal
from aurora.risk.lockout import Lockout
from tests.trading import ROOT, START


@pytest.fixture
def lockout(tmp_path: Path) -> Lockout:
    """Return live's lockout in an empty project."""
    return Lockout(tmp_path, "live")


def lift(lockout: Lockout, root_cause: str = "the feed was down") -> None:
    """Lift it as a person would."""
    lockout.lift(root_cause, 12, "ada", ManualClock(START))


def test_lock_stands_until_it_is_lifted(lockout: Lockout) -> None:
    """Trading rule 23: a lockout outlives whoever set it, and only `lift` takes it away."""
    lockout.require_none()
    lockout.set("reject of a-1", "s", START)
    assert Lockout(lockout.path.parent.parent, "live").stands
    lift(lockout)
    lockout.require_none()


def test_standing_lock_stops_with_its_first_reason(lockout: Lockout) -> None:
    """A locked-out mode is a safety stop (exit 3) that says since when, why, and what to type."""
    for reason in ("reject of a-1", "no tick on any symbol"):
        lockout.set(reason, "s", START)
    with pytest.raises(SafetyStop, match=r"live is locked out since 2026-01-05T14:35.*: reject of a-1") as caught:
        lockout.require_none()
    assert caught.value.exit_code == 3
    assert "invoke unlock --root-cause" in caught.value.todo
    assert [anomaly.reason for anomaly in lockout.anomalies()] == ["reject of a-1", "no tick on any symbol"]


def test_modes_are_locked_out_apart(lockout: Lockout, tmp_path: Path) -> None:
    """Trading rule 23: lockouts are per mode."""
    lockout.set("reject", "s", START)
    assert not Lockout(tmp_path, "shadow").stands


def test_unlock_is_on_record_with_its_root_cause(lockout: Lockout, tmp_path: Path) -> None:
    """Trading rule 11: who lifted what, why, and which issue tells more, stand in a chained record."""
    lockout.set("reject of a-1", "s", START)
    lift(lockout)
    (event,) = read_journal(tmp_path / "runlocks/record.jsonl").events
    assert (event.type, event.data["by"], event.data["root_cause"], event.data["issue"]) == (
        "unlocked", "ada", "the feed was down", 12,
    )  # fmt: skip
    assert event.data["anomalies"][0]["reason"] == "reject of a-1"
    assert lockout.last_unlock() == event.ts
    assert Lockout(tmp_path, "shadow").last_unlock() == ""


def test_lock_stays_when_the_record_cannot_be_written(lockout: Lockout, tmp_path: Path) -> None:
    """A lockout is not lifted without its root cause on disk."""
    lockout.set("reject", "s", START)
    (tmp_path / "runlocks/record.jsonl").write_text('{"seq": 1}\nnonsense\n')
    with pytest.raises(JournalDamaged):
        lift(lockout)
    assert lockout.stands


def test_nothing_to_lift_is_said(lockout: Lockout) -> None:
    """Lifting what is not there is an operator's mistake, and leaves no record."""
    with pytest.raises(OperatorError, match="live is not locked out"):
        lift(lockout)
    assert lockout.last_unlock() == ""


def test_what_cannot_be_read_stands(lockout: Lockout, tmp_path: Path) -> None:
    """An empty or strange lock, or a folder that is a file, locks out: what can't be checked is not safe."""
    (tmp_path / "runlocks").mkdir()
    lockout.path.touch()
    with pytest.raises(SafetyStop, match="nothing is written in it"):
        lockout.require_none()
    lockout.path.write_text("stop\n[1]\n")
    assert [anomaly.reason for anomaly in lockout.anomalies()] == ["stop", "[1]"]
    elsewhere = Lockout(tmp_path / "other", "live")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/runlocks").touch()
    assert elsewhere.stands
    with pytest.raises(SafetyStop, match="can't be read"):
        elsewhere.require_none()


def test_anomaly_that_comes_while_a_person_lifts_is_kept(lockout: Lockout, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody has read is not lifted: an anomaly that comes in that very moment makes a new lock."""
    lockout.set("first", "s", START)
    setter = threading.Thread(target=Lockout(lockout.path.parent.parent, "live").set, args=("second", "s", START))
    unlink = Path.unlink

    def meanwhile(path: Path, missing_ok: bool = False) -> None:
        setter.start()
        setter.join(0.2)  # it waits for the lock file, which is held
        assert setter.is_alive()
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", meanwhile)
    found = lockout.lift("the feed", None, "ada", ManualClock(START))
    setter.join()
    assert [anomaly.reason for anomaly in found] == ["first"]
    assert [anomaly.reason for anomaly in lockout.anomalies()] == ["second"]


def test_lock_is_on_disk_when_the_process_is_killed(tmp_path: Path) -> None:
    """A process that is killed right after an anomaly leaves the mode locked out."""
    code = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom aurora.risk.lockout import Lockout\n"
        "from tests.trading import START\n"
        "Lockout(Path(sys.argv[1]), 'live').set('drift', 's', START)\nos.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    (line,) = (tmp_path / "runlocks/live.lock").read_text().splitlines()
    assert json.loads(line)["reason"] == "drift"
    with pytest.raises(SafetyStop):
        Lockout(tmp_path, "live").require_none()


def test_record_error_is_no_unlock(lockout: Lockout, tmp_path: Path) -> None:
    """A folder in place of the record keeps the lock standing, too."""
    lockout.set("reject", "s", START)
    (tmp_path / "runlocks/record.jsonl").mkdir()
    with pytest.raises(RecordError):
        lift(lockout)
    assert lockout.stands


@pytest.mark.parametrize(
    ("venues", "rehearsed"),
    [([], False), (["simulated"], True), (["simulated", ""], False), (["live"], False), (["simulated", "live"], False)],
)
def test_only_what_simulated_venues_locked_is_rehearsed(lockout: Lockout, venues: list[str], rehearsed: bool) -> None:
    """Real money may hang on a lock that is empty, older than venues in it, or of any venue but a simulated one."""
    lockout.path.parent.mkdir()
    lockout.path.write_text("")
    for venue in venues:
        lockout.set("a", "s", START, venue)
    assert lockout.is_rehearsed is rehearsed


def test_lock_that_nobody_can_read_is_no_rehearsals(lockout: Lockout) -> None:
    """No lock, or one that holds something else, is none that simulated venues have set."""
    assert not Lockout(lockout.path.parent.parent, "paper").is_rehearsed
    lockout.path.parent.mkdir()
    lockout.path.write_text("nonsense\n")
    assert not lockout.is_rehearsed
