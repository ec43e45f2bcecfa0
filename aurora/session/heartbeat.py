"""Pings a dead man's switch off the host: when the pings stop, somebody else's machine calls a person (rule 24)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

from aurora.alerts.web import post, read_target
from aurora.clock import SystemClock
from aurora.errors import OperatorError
from aurora.grant import SIMULATED
from aurora.market.mode import Mode
from aurora.session.services import Services

ADDRESS = "HEARTBEAT_URL"
EVERY_S = 30.0
TIMEOUT_S = 10.0
SILENT_S = 90.0
"""A way out may take a minute without a beat; a loop that is silent for longer is as good as dead."""


def require_dead_man(services: Services, mode: Mode) -> None:
    """Raise OperatorError when a session with real money has no dead man's switch that could be pinged."""
    if mode is not Mode.LIVE or services.profile.venue != "live":
        return
    target = read_target(services.environment.get(ADDRESS, ""), ADDRESS)
    if isinstance(target, str):
        raise OperatorError(
            f"A live session on a live account needs a dead man's switch off the host: {target}.",
            means="if this machine died with a position, nobody would be told; nothing was traded",
            todo=f"make a check at a service that calls you when pings stop, and put its address into {ADDRESS}",
        )


class Heartbeat(AbstractContextManager["Heartbeat"]):
    """enter → beating → exit. A thread of its own pings every 30 s, as long as the loop beats; nothing waits for it.

    Only live sessions on a venue ping: what is simulated has nobody to save. on_fail: told once when a ping is not
    taken; the switch itself tells a person when none comes.
    """

    def __init__(self, services: Services, mode: Mode, on_fail: Callable[[str], None]) -> None:
        is_wanted = mode is Mode.LIVE and services.profile.venue != SIMULATED
        address = services.environment.get(ADDRESS, "") if is_wanted else ""
        self.pings = 0
        self._target = read_target(address, ADDRESS) if address else ""
        self._on_fail = on_fail
        self._clock = SystemClock()
        self._beat_s = self._clock.monotonic()
        self._ended = threading.Event()

    def __enter__(self) -> Heartbeat:
        if self._target:
            threading.Thread(target=self._run, name="heartbeat", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()

    def beating(self, is_stopping: Callable[[], bool]) -> Callable[[], bool]:
        """Return `is_stopping`, which a loop that lives asks at each look: each time is a beat."""

        def beat() -> bool:
            self._beat_s = self._clock.monotonic()
            return is_stopping()

        return beat

    def _run(self) -> None:
        has_failed = False
        while True:
            if self._clock.monotonic() - self._beat_s <= SILENT_S:
                failure = self._ping()
                if failure and not has_failed:
                    has_failed = True
                    self._on_fail(f"the dead man's switch did not take a ping: {failure}")
            if self._ended.wait(EVERY_S):
                return

    def _ping(self) -> str:
        """Ping once; return why it was not taken, or ""."""
        if isinstance(self._target, str):
            return self._target
        answer = post(self._target, b"", {}, TIMEOUT_S)
        self.pings += answer.accepted
        return "" if answer.accepted else answer.detail
