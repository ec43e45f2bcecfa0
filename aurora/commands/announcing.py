"""Puts heads of the ledger into the outbox as runs open and end, and starts whoever sends them, waiting for nothing."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from aurora.alerts.unsent import UnsentAlerts
from aurora.clock import SystemClock, iso
from aurora.engine.profiles import load_profile
from aurora.engine.project import Project
from aurora.engine.records import read_record
from aurora.evidence.ledger import Head
from aurora.evidence.outbox import FOLDER, Announcement, Outbox
from aurora.journal import parse_journal

_SENDER = "from aurora.commands.announcing import keep_trying; keep_trying()"
PAUSES_S = (2, 10, 30, 60, 120)
"""Between the attempts of one sender; then what is left waits for the next run, look of cron, or `announce`."""

_started: list[subprocess.Popen[bytes]] = []
"""Senders outlive this process; kept so that none is taken for forgotten."""


class Announcer:
    """Called with each head: keeps it for a profile whose alerts push, and for the git witness if there is one."""

    def __init__(self, project: Project, say: Callable[[str], object]) -> None:
        self._project = project
        self._say = say

    def __call__(self, what: str, folder: Path, head: Head) -> None:
        """Keep a head for sending, and start the sender. Raises what stands in the way; the run goes on."""
        outbox = Outbox(self._project.runs)
        if what == "opened" and (alarm := outbox.alarm):
            self._say(f"ALARM: {alarm}")
        opened = _opening(folder)
        alert, push = _pushes(self._project, opened), self._project.witness is not None
        if not alert and not push:
            if UnsentAlerts(self._project.root).waiting():
                start_sender(self._project.root)
            return
        word = what if what == "opened" else str(read_record(folder).state.outcome)
        now = iso(SystemClock().now())
        outbox.put(Announcement(now, word, folder.name, opened, head.seq, head.sha256), alert=alert, push=push)
        start_sender(self._project.root)


def start_sender(root: Path) -> None:
    """Start a process that sends what is in the outbox, after this one and beside whatever comes next."""
    null = subprocess.DEVNULL
    words = [sys.executable, "-c", _SENDER]
    process = subprocess.Popen(words, cwd=root, stdin=null, stdout=null, stderr=null, start_new_session=True)
    os.setpriority(os.PRIO_PROCESS, process.pid, 10)  # a run that starts now comes first
    _started.append(process)


def keep_trying() -> None:
    """Announce, and again after each pause while something is left; one process of a project at a time does."""
    from aurora.commands.main import main  # noqa: PLC0415 - it imports this module

    if main(["announce"]) == 0:
        return
    with contextlib.suppress(OSError):
        folder = Path("runs") / FOLDER
        descriptor = os.open(folder / ".trying", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for pause_s in PAUSES_S:
            SystemClock().sleep(pause_s)
            if not folder.is_dir() or main(["announce"]) == 0:
                return


def _opening(folder: Path) -> str:
    """Return the name of the profile that a run was opened with."""
    path = folder / "journal.jsonl"
    with path.open("rb") as file:
        return str(parse_journal(file.readline(), path).events[0].data["profile"]["name"])


def _pushes(project: Project, profile: str) -> bool:
    alerts = load_profile(project, profile).values.get("alerts")
    return bool(alerts and alerts.get("push"))
