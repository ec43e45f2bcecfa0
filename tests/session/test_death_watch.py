"""Who tells of a session whose own process can't: real processes, killed with SIGKILL or left without a beat."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aurora.session.death_watch import DeathWatch
from tests.engine.kit import wait_until
from tests.push_server import PushServer
from tests.trading import ROOT

SLOW = ("--quotes", "dummy:gaps_per_hour=0,speed=25", "--poll-sec", "1", "--minutes", "300")


def writing(path: Path) -> list[str]:
    """Return the program that tells by a file."""
    return [sys.executable, "-c", "import sys; open(sys.argv[1], 'a').write('told\\n')", str(path)]


def watch_in(folder: Path, silent_s: int = 90) -> DeathWatch:
    """Return a watch that tells by the files `died` and `hung` in `folder`."""
    return DeathWatch(writing(folder / "died"), writing(folder / "hung"), os.environ, folder, silent_s)


def test_killed_session_is_told_at_once(tmp_path: Path) -> None:
    """A session that is killed with SIGKILL is pushed to the phone, urgently, though nothing of it runs any more."""
    shutil.copytree(ROOT / "profiles", tmp_path / "profiles")
    (tmp_path / "profiles/phone.yaml").write_text("extends: sim\nsecrets: [NTFY_URL]\nalerts: {push: true}\n")
    (tmp_path / "runbooks").mkdir()
    with PushServer() as phone:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "NTFY_URL": phone.address}
        command = [sys.executable, "-m", "aurora", "session", "--json", "--profile", "phone", "--shadow", *SLOW]
        with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL) as session:
            wait_until(
                lambda: any(b'"poll"' in path.read_bytes() for path in tmp_path.glob("sessions/*/session.jsonl")),
                what="a poll on record",
            )
            session.kill()
        wait_until(lambda: phone.received, what="the alert")
        (told,) = phone.received
    assert (told.title, told.priority) == ("shadow on simulated: session died", "urgent")
    assert next(tmp_path.glob("sessions/*")).name in told.text


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), 9)", "os._exit(0)", "raise ValueError"])
def test_however_it_ends_it_is_told(tmp_path: Path, end: str) -> None:
    """A process that did not say that the session is over is told as dead, whatever its exit code."""
    leave(tmp_path, end)
    wait_until((tmp_path / "died").exists, what="the alert")
    assert not (tmp_path / "hung").exists()


def test_who_says_goodbye_is_not_mourned(tmp_path: Path) -> None:
    """A session that left says so before its process ends, and nothing is told."""
    leave(tmp_path, "watch.__exit__(); watch._watcher.wait()")
    assert list(tmp_path.iterdir()) == []


def leave(folder: Path, end: str) -> None:
    """Run a process that watches over itself, and ends as `end` says."""
    died, hung = writing(folder / "died"), writing(folder / "hung")
    code = f"import os; from aurora.session.death_watch import DeathWatch as Watch; died, hung = {died!r}, {hung!r}\n"
    code += f"watch = Watch(died, hung, os.environ, {str(folder)!r}).__enter__(); {end}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], env=environment, stderr=subprocess.DEVNULL, check=False)


def test_silence_is_told_once_and_a_beat_is_none(tmp_path: Path) -> None:
    """A loop that gives no beat for too long is told as hung, once; that it leaves after all is no death."""
    watch = watch_in(tmp_path, silent_s=0)
    with watch:
        assert watch.beating(lambda: True)() is True
        wait_until((tmp_path / "hung").exists, what="the alert")
        time.sleep(0.5)  # in which a second one would be told
    assert watch._watcher is not None
    watch._watcher.wait()
    assert (tmp_path / "hung").read_text() == "told\n"
    assert not (tmp_path / "died").exists()


def test_watcher_is_in_nobodys_group(tmp_path: Path) -> None:
    """What kills the session's process group does not kill the one that tells of it."""
    with watch_in(tmp_path) as watch:
        assert watch._watcher is not None
        assert os.getpgid(watch._watcher.pid) != os.getpgid(0)
        os.kill(watch._watcher.pid, signal.SIGKILL)  # nor does its own death end the session
        watch._watcher.wait()
        assert watch.beating(bool)() is False


def test_watcher_that_cant_be_started_is_said(tmp_path: Path) -> None:
    """A session goes on without its watcher, and a person hears that nobody would tell."""
    watch = DeathWatch(writing(tmp_path / "died"), [], os.environ, tmp_path / "nowhere")
    with watch:
        assert "nobody would tell" in watch.trouble
