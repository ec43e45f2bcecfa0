"""How a person ends a session by hand: the first signal asks it to end flat, the second ends the process at once."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from types import FrameType
from typing import Any

from aurora.engine.signals import CAUGHT

INTERRUPTED = 7
LAST_WORDS_S = 0.2
_ASKED = b"\naurora: asked to stop: it flattens and ends. Once more ends it at once, flat or not.\n"
_HARD = b"\naurora: ended at once: not flattened, and its summary is not written. See: invoke status\n"


class Ending(AbstractContextManager["Ending"]):
    """Hears SIGINT, SIGTERM and SIGHUP while the block runs; `asked` says that one came. One that is ignored stays so.

    A terminal that goes away says so more than once (the kernel does, and the shell), so SIGHUP never ends it hard.
    What is said goes by a pipe to a thread: a terminal that takes nothing any more must not hold the session.
    give_back: puts the terminal back before a hard end.
    """

    def __init__(self, give_back: Callable[[], None]) -> None:
        self.asked = False
        self._give_back = give_back
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Ending:
        listens, self._speaks = os.pipe()
        threading.Thread(target=_say, args=(listens,), name="ending", daemon=True).start()
        heard = [number for number in CAUGHT if signal.getsignal(number) != signal.SIG_IGN]
        self._before = {number: signal.signal(number, self._hear) for number in heard}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._speaks)

    def _hear(self, number: int, _: FrameType | None) -> None:
        if not self.asked:
            self.asked = True
            os.write(self._speaks, _ASKED)
        elif number != signal.SIGHUP:
            self._give_back()
            os.write(self._speaks, _HARD)
            time.sleep(LAST_WORDS_S)
            os._exit(INTERRUPTED)


def _say(listens: int) -> None:
    """Write to standard error what comes through the pipe, until its other end is closed."""
    with suppress(OSError):
        while text := os.read(listens, 4096):
            os.write(2, text)
    os.close(listens)
