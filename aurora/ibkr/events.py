"""What TWS tells, as the decoder reads it, given on to whoever listens: the raw events, and nothing made of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC
from types import SimpleNamespace
from typing import Any

Listener = Callable[..., object]


class Events:
    """The wrapper that the library's client calls back: each callback goes to the listeners of its name.

    A message that can't be decoded is an event too, `malformed`: the library only logs it, and goes on as if it had
    never come.

    lock: held while an event is taken in, so that other threads read between two of them.
    """

    defaultTimezone = UTC  # noqa: N815 - the library reads it by this name
    ib = SimpleNamespace(TimezoneTWS="US/Eastern")

    def __init__(self) -> None:
        self._listeners: dict[str, list[Listener]] = {}
        self.lock = threading.RLock()

    def on(self, name: str, listener: Listener) -> None:
        """Tell `listener` of each event called `name`."""
        self._listeners.setdefault(name, []).append(listener)

    def emit(self, name: str, *values: Any) -> None:
        """Tell of an event."""
        with self.lock:
            for listener in self._listeners.get(name, ()):
                listener(*values)

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("_") or name in ("tcpDataArrived", "tcpDataProcessed"):
            raise AttributeError(name)
        return lambda *values: self.emit(name, *values)


class Complaints:
    """Stands for the logger of one client's decoder: what it could not read becomes an event, however logs are set."""

    def __init__(self, events: Events) -> None:
        self._events = events

    def exception(self, text: str, *values: object) -> None:
        """Tell of a message that could not be read."""
        self._events.emit("malformed", (text % values if values else text)[:300])

    error = critical = exception
