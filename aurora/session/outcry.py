"""What leaves a session when something is wrong: live's lockout on disk, and an alert, while the session flattens.

Also when it can't say so itself any more: a process beside it does (`death_watch`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

from aurora.alerts.base import Alert, Priority
from aurora.errors import AuroraError, OperatorError
from aurora.grant import SIMULATED
from aurora.market.mode import Mode
from aurora.risk.lockout import Lockout
from aurora.session.death_watch import DeathWatch
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
        self._watch = self._watch_over()

    def __enter__(self) -> Outcry:
        self._watch.__enter__()
        if self._watch.trouble:
            self.warn(self._watch.trouble)
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, OperatorError):  # which refused to begin
            said = error.what if isinstance(error, AuroraError) else f"{type(error).__name__}: {error}"
            text = (
                f"An error ended session {self._session}: {said} It tried to leave flat: see its record, then mend it."
            )
            self._tell(f"{self._name}: session died", text, Priority.URGENT)
        for alert in self._alerts:
            alert.join()
        self._watch.__exit__()

    def beating(self, is_stopping: Callable[[], bool]) -> Callable[[], bool]:
        """Return `is_stopping`, which a loop that lives asks at each look: while it does, the session is not dead."""
        return self._watch.beating(is_stopping)

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

    def _watch_over(self) -> DeathWatch:
        """Return what tells a person when this process dies, or hangs."""
        services, session, left = self._services, self._session, "Its book was simulated: a venue holds nothing of it"
        if self._mode is Mode.LIVE and services.profile.venue != SIMULATED:
            left = "What it held and what worked at the venue may stand: invoke flatten, then invoke reconcile"
        died = f"Session {session} was killed: its process ended and did not leave. {left}. See: invoke status"
        hung = f"Session {session} gives no sign of life. {left}. See: invoke status; its process may have to be ended"
        return DeathWatch(
            services.telling(f"{self._name}: session died", died),
            services.telling(f"{self._name}: session hangs", hung),
            services.environment,
            services.project,
        )

    def _tell(self, title: str, text: str, priority: Priority) -> None:
        alert = Alert(title, text, priority, ("session", str(self._mode)), self._services.clock.now())
        thread = threading.Thread(target=self._services.notify, args=(alert,), name="alert", daemon=True)
        self._alerts.append(thread)
        thread.start()
