"""One client's session: what it subscribed to, and the line that leads to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from aurora.gateway.feed import REAL_TIME, Subscription
from aurora.gateway.messages import Message
from aurora.gateway.wire import pack


class Line(Protocol):
    """The way to a client; what a session asks of a socket."""

    def write(self, data: bytes) -> None:
        """Send `data`, sooner or later together with what follows it."""

    def close(self, reason: str) -> None:
        """Send what is waiting, then end the connection."""

    def reset(self, reason: str) -> None:
        """End the connection at once: what is waiting is lost."""

    def stall(self) -> None:
        """Neither read nor write any more, and keep the socket open."""

    def cut(self, size: int) -> None:
        """Send in pieces of `size` bytes from now on, each a write of its own."""


class Session:
    """A connected client that said startApi.

    filter: what a scenario does to each message on its way; it calls `transmit` for what goes through.
    """

    def __init__(self, client_id: int, version: int, line: Line, filter_: Callable[[Session, Message], None]) -> None:
        self.client_id = client_id
        self.version = version
        self.line = line
        self.subscriptions: dict[int, Subscription] = {}
        self.summaries: dict[int, tuple[str, ...]] = {}
        self.account_updates = False
        self.multi_updates: set[int] = set()
        self.positions = False
        self.auto_bind = False
        self.data_type = REAL_TIME
        self.ended = False
        self._filter = filter_

    def send(self, message: Message) -> None:
        """Send `message`, unless a scenario does something to it."""
        self._filter(self, message)

    def transmit(self, message: Message) -> None:
        """Put `message` on the wire."""
        if not self.ended:
            self.line.write(pack((int(message.out), *message.fields)))
