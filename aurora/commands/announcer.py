"""Puts heads of the ledger into the outbox, and starts a process that sends them; no run waits for the network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from aurora.clock import SystemClock
from aurora.engine.profiles import load_profile
from aurora.engine.project import Project
from aurora.engine.records import read_record
from aurora.engine.secrets import read_environment
from aurora.evidence.ledger import Head
from aurora.evidence.outbox import Outbox, announcement_of

ADDRESS = "NTFY_URL"
LOG = "logs/announce.log"


class Announcer:
    """Hears of each head that a run of `project` brings about."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def __call__(self, what: str, folder: Path, head: Head) -> None:
        """Announce `head`: the run in `folder` was `opened`, or `sealed`. Raises OSError and AuroraError."""
        pushes = self._has_address() and self._put(what, folder, head)
        if pushes or (self._project.witness and what == "sealed"):
            self._start_sending()

    def _has_address(self) -> bool:
        """Return whether there is an address to push to: most desks that rehearse have none, and pay nothing."""
        root = self._project.root
        return bool(os.environ.get(ADDRESS)) or (
            (root / ".env").is_file() and bool(read_environment(root).get(ADDRESS))
        )

    def _put(self, what: str, folder: Path, head: Head) -> bool:
        """Put the announcement into the outbox, if the run's profile pushes; return whether it does."""
        state = read_record(folder).state
        profile = state.opened["profile"]["name"]
        alerts = load_profile(self._project.root, profile).values.plain().get("alerts")
        if not isinstance(alerts, dict) or alerts.get("push") is not True:
            return False
        about = announcement_of(
            what, head, SystemClock().now(), run=folder.name, runbook=state.opened["runbook"], profile=profile,
            outcome=state.outcome or "",
        )  # fmt: skip
        Outbox(self._project.runs).put(about)
        return True

    def _start_sending(self) -> None:
        log = self._project.root / LOG
        log.parent.mkdir(exist_ok=True)
        with log.open("ab") as said:
            subprocess.Popen(
                [sys.executable, "-m", "aurora", "announce", "--quiet"],
                cwd=self._project.root,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
