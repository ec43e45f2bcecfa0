"""ssh-keygen beside the engine's loop: what comes of it, and that it ends when it is told to."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from aurora.consent import Signed
from aurora.errors import SigningFailed
from aurora.evidence import signing
from aurora.evidence.errands import Errand
from aurora.evidence.signing import Keygen
from tests.engine.kit import wait_until

DONE = Signed("alice@desk", "SHA256:x", "y")


def fake_keygen(folder: Path, script: str) -> None:
    """Put a program in front of ssh-keygen."""
    folder.mkdir(exist_ok=True)
    (folder / "ssh-keygen").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "ssh-keygen").chmod(0o755)


def asks(keygen: Keygen) -> Signed:
    """Ask ssh-keygen something, and be content."""
    keygen(["-Y", "sign"], b"")
    return DONE


def test_errand_wakes_the_loop_and_tells_what_came_of_it() -> None:
    """The descriptor becomes readable once there is a result, and only then."""
    gate = threading.Event()

    def work(keygen: Keygen) -> Signed:
        gate.wait()
        return DONE

    errand = Errand(work)
    assert select.select([errand.descriptor], [], [], 0)[0] == []
    gate.set()
    assert select.select([errand.descriptor], [], [], 20)[0]
    assert errand.result() == DONE
    assert errand.descriptor == -1


def test_errand_that_fails_says_why() -> None:
    """What went wrong beside the loop is raised where the result is taken."""

    def work(keygen: Keygen) -> Signed:
        raise SigningFailed("no")

    errand = Errand(work)
    select.select([errand.descriptor], [], [])
    with pytest.raises(SigningFailed, match="no"):
        errand.result()


def test_stopped_errand_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither ssh-keygen nor what it has started (a helper that waits for a touch) outlives the question."""
    fake_keygen(tmp_path / "bin", f"echo $$ > {tmp_path}/pid; sleep 600 & echo $! >> {tmp_path}/pid; wait")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(signing, "PATIENCE_S", 600.0)
    errand = Errand(asks)
    pids = wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().split())
    wait_until(lambda: len((tmp_path / "pid").read_text().split()) == 2)
    pids = [int(pid) for pid in (tmp_path / "pid").read_text().split()]
    errand.stop()
    wait_until(lambda: not any(is_alive(pid) for pid in pids))


def is_alive(pid: int) -> bool:
    """Return whether a process is there, and no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_keygen_that_hangs_is_given_up_with_its_helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A helper that holds ssh-keygen's pipes open does not hold whoever waits for it."""
    fake_keygen(tmp_path / "bin", f"sleep 600 & echo $! > {tmp_path}/pid; wait")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(signing, "PATIENCE_S", 0.5)
    with pytest.raises(SigningFailed, match="no answer within"):
        signing.ssh_keygen(["-l"])
    pid = int((tmp_path / "pid").read_text())
    wait_until(lambda: not is_alive(pid))


def test_real_keygen_works_beside_the_loop(tmp_path: Path) -> None:
    """The same ssh-keygen that works in line works in an errand."""
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True, stdin=subprocess.DEVNULL)

    def work(keygen: Keygen) -> Signed:
        return Signed("x", "", signing.sign(b"data", key, "test", keygen=keygen).decode())

    errand = Errand(work)
    select.select([errand.descriptor], [], [])
    assert errand.result().sshsig == signing.sign(b"data", key, "test").decode()
