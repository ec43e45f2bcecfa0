"""Signals as readable bytes: SIGINT, SIGTERM and SIGHUP wake the runner's loop instead of breaking into it."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Any

CAUGHT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals(contextlib.AbstractContextManager["Signals"]):
    """Collects the signals that came; `read` returns their names."""

    def __init__(self) -> None:
        self.descriptor, self._write = os.pipe()
        os.set_blocking(self.descriptor, False)
        os.set_blocking(self._write, False)

    def read(self) -> list[str]:
        """Return the names of the signals that came since the last call, oldest first."""
        try:
            numbers = os.read(self.descriptor, 64)
        except BlockingIOError:
            return []
        return [signal.Signals(number).name for number in numbers if number in CAUGHT]

    @contextlib.contextmanager
    def caught(self) -> Iterator[None]:
        """Catch the signals while the block runs, then put things back; one that is ignored (`nohup`) stays so."""
        heard = [number for number in CAUGHT if signal.getsignal(number) != signal.SIG_IGN]
        before: dict[int, Any] = {number: signal.signal(number, _nothing) for number in heard}
        wake = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(wake)
            for number, handler in before.items():
                signal.signal(number, handler)

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the pipe back."""
        os.close(self.descriptor)
        os.close(self._write)


def _nothing(number: int, frame: FrameType | None) -> None:
    """Let the wake-up descriptor say it."""
