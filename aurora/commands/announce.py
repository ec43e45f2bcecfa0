"""`announce`: send the heads of the ledger that the outbox still holds, and push to the git witness."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from aurora.alerts.base import Alert, Delivery, Priority
from aurora.clock import Clock, SystemClock
from aurora.commands.parser import Invocation
from aurora.engine.faults import visible
from aurora.engine.profiles import load_profile
from aurora.engine.project import Project
from aurora.engine.secrets import read_environment
from aurora.errors import AuroraError
from aurora.evidence.git_witness import GitWitness, HistoryDiffers
from aurora.evidence.outbox import Announcement, Outbox
from aurora.evidence.witness import SKEW, announcement

LOUD = {"": Priority.MIN, "green": Priority.LOW, "amber": Priority.DEFAULT}
"""How loud the end of a run is told; one that is not here is as loud as a failure."""
POLITE = 10


def execute(project: Project, invocation: Invocation) -> int:
    """Send all that can be sent; 0 when nothing is left, 1 when something is, 8 when the histories differ."""
    if invocation.options.quiet:
        os.nice(POLITE)  # a run is at work beside it
    with Outbox(project.runs).sending() as mine:
        if not mine:
            sys.stdout.write("Another process is sending now.\n")
            return 0
        return Sender(project, SystemClock()).send_all()


class Sender:
    """Empties the outbox: send_all = (alert of each announcement)* → push to the git witness."""

    def __init__(self, project: Project, clock: Clock) -> None:
        self._project = project
        self._clock = clock
        self._outbox = Outbox(project.runs)
        self._left: set[str] = set()

    def send_all(self) -> int:
        """Send what there is, and what is put meanwhile; return the exit code."""
        while waiting := [each for each in self._outbox.unsent() if each[0].name not in self._left]:
            for path, found in waiting:
                if not self._send(path, found):
                    self._left.add(path.name)
        code = self._push() if self._project.witness else 0
        if not self._left and not code:
            _say("nothing is left to announce")
        return code or (1 if self._left else 0)

    def _send(self, path: Path, found: Announcement | None) -> bool:
        if found is None:
            _say(f"{path.name} is no announcement that can be read; take it away: rm {path}")
            return False
        try:
            delivery = self._tell(found)
            if delivery.delivered:
                path.unlink()
        except (AuroraError, OSError) as error:
            delivery = Delivery(False, str(error))
        _say(f"{found.seq}:{found.sha256} ({found.run} {found.what}): {delivery.detail}")
        return delivery.delivered

    def _tell(self, found: Announcement) -> Delivery:
        from aurora.desk import tell_by  # noqa: PLC0415 - the desk builds notifiers, and nothing else is asked of it

        root = self._project.root
        alert = alert_of(found, self._project.desk, self._clock.now())
        return tell_by(root, load_profile(root, found.profile), read_environment(root), alert)

    def _push(self) -> int:
        """Push to the git witness; one that has another history is an alarm."""
        witness = GitWitness(self._project.runs, self._project.witness, self._project.desk)
        try:
            head = witness.push()
        except HistoryDiffers as error:
            _say(error.diagnostics())
            self._alarm(error)
            return error.exit_code
        except AuroraError as error:
            _say(error.diagnostics())
            return 1
        _say(f"{head.seq}:{head.sha256} is at the git witness, branch {witness.branch}")
        if witness.refuses_rewinding() is False:
            _say("! the git witness can be rewound: git config receive.denyNonFastForwards true   in its repository")
        return 0

    def _alarm(self, error: HistoryDiffers) -> None:
        """Tell whoever the alerts of the newest announcement's profile reach; without one, only the log says it."""
        profiles = [found.profile for _, found in self._outbox.unsent() if found is not None]
        try:
            from aurora.desk import notify_of  # noqa: PLC0415 - only a witness that differs pays for it

            for profile in dict.fromkeys(profiles):
                _say(notify_of(self._project.root, profile, "The ledger was rewritten", error.what).detail)
        except (AuroraError, OSError) as failed:
            _say(f"no alert went out: {failed}")


def alert_of(found: Announcement, desk: str, now: datetime) -> Alert:
    """Return the alert that announces a head."""
    at = datetime.fromisoformat(found.at)
    late = f"\nannounced late: it is of {found.at}" if now - at > SKEW else ""
    said = "was opened" if found.what == "opened" else f"ended {found.outcome}, and is sealed"
    title = f"{found.runbook}: {found.outcome or 'begun'}"
    text = f"{found.run} {said}.\n{announcement(desk, found.head)}{late}"
    return Alert(title, text, LOUD.get(found.outcome, Priority.HIGH), ("ledger",), at.astimezone(UTC))


def _say(line: str) -> None:
    sys.stdout.write("\n".join(visible(part) for part in line.split("\n")) + "\n")
    sys.stdout.flush()
