"""What leaves a session when something is wrong: live's lockout on disk, and an alert, while the session flattens."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager

from aurora.alerts.base import Alert, Priority
from aurora.market.mode import Mode
from aurora.risk.lockout import Lockout
from aurora.session.services import Services


class Outcry(AbstractContextManager["Outcry"]):
    """Hears of each anomaly and of what a person should look at; leaving waits until all has been told.

    Alerts go out beside the session: nobody's network may stand between an anomaly and the way out.
    session: its id. Both are dated by the machine's clock, whatever day a session replays: a person acts on them now.
    """

    def __init__(self, services: Services, mode: Mode, lockout: Lockout | None, session: str) -> None:
        self._services = services
        self._mode = mode
        self._lockout = lockout
        self._session = session
        self._name = f"{mode} on {services.profile.venue}"  # a rehearsal's alarm must not pass for one of real money
        self._alerts: list[threading.Thread] = []
        self._is_locked_out = False

    def __exit__(self, *_: object) -> None:
        for alert in self._alerts:
            alert.join()

    def lock_out(self, anomaly: str) -> None:
        """Tell of the first anomaly and, in live mode, put each into the lock. Raises OSError when the disk refuses."""
        if not self._is_locked_out:
            self._is_locked_out = True
            lifts = "; only invoke unlock lifts it" if self._lockout is not None else ""
            self._tell(f"{self._name}: session locked out", f"{anomaly}. It flattens and ends{lifts}.", Priority.URGENT)
        if self._lockout is not None:
            self._lockout.set(anomaly, self._session, self._services.clock.now(), str(self._services.profile.venue))

    def killed(self) -> None:
        """Tell that the kill flag stops the session, as it does."""
        keeps = "It flattens" if self._services.profile.on_kill == "flatten" else "It keeps what is held"
        text = f"The kill flag was set: session {self._session} opens nothing more. {keeps}, and ends."
        self._tell(f"{self._name}: session killed", text, Priority.URGENT)

    def warn(self, text: str) -> None:
        """Tell of what a person should look at; the session goes on."""
        self._tell(f"{self._name}: look at the session", f"{text}.", Priority.HIGH)

    def _tell(self, title: str, text: str, priority: Priority) -> None:
        alert = Alert(title, text, priority, ("session", str(self._mode)), self._services.clock.now())
        thread = threading.Thread(target=self._services.notify, args=(alert,), name="alert", daemon=True)
        self._alerts.append(thread)
        thread.start()
