"""Hears of the kill flag from the kernel, so that a session that waits for its next poll wakes up at once."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager

from aurora.risk.kill_switch import KillSwitch

STEP_MS = DEBOUNCE_MS = 1
"""As little as there is: with watchfiles' own 50 ms and 1,600 ms a flag is heard of 50 to 100 ms late."""


class KillWatch(AbstractContextManager["KillWatch"]):
    """Watches the flag's folder (not what is below it) in a thread: enter → wait* → exit.

    It only wakes whoever waits; whether the flag is there is asked of the switch. `failed` says why the kernel can't be
    asked (no watches left, a folder that is gone): waiting then lasts its whole time, and the session's own looks, four
    a second, are what is left.
    """

    def __init__(self, switch: KillSwitch) -> None:
        self.failed = ""
        self._switch = switch
        self._woken = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="kill watch", daemon=True)

    def __enter__(self) -> KillWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def wait(self, seconds: float) -> bool:
        """Let `seconds` pass, or less when the flag appears; return whether it did."""
        return self._woken.wait(seconds)

    def _watch(self) -> None:
        from watchfiles import watch  # noqa: PLC0415 - 40 ms that only a session in real time pays for

        folder = self._switch.flag.parent
        try:
            self._look()
            for _ in watch(folder, watch_filter=None, recursive=False, step=STEP_MS, debounce=DEBOUNCE_MS,
                           stop_event=self._ended, raise_interrupt=False):  # fmt: skip
                self._look()
        except (OSError, RuntimeError) as error:
            self.failed = f"the kernel does not watch {folder}: {error}"

    def _look(self) -> None:
        if self._switch.is_set:
            self._woken.set()
