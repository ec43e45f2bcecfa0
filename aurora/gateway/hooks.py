"""Where a scenario reaches into a gateway."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from aurora.gateway.messages import Message
from aurora.gateway.orders import Execution
from aurora.gateway.session import Session


class Hooks(Protocol):
    """Where a scenario reaches in; without one, everything passes as it is."""

    def filter(self, session: Session, message: Message) -> None:
        """Send `message` to `session`, or do something else to it."""

    def around(self, session: Session, request: str, values: list[str], handle: Callable[[], None]) -> None:
        """Handle a request, or do something else to it."""

    def on_connect(self, session: Session) -> None:
        """A client said startApi."""

    def on_fill(self, fill: Execution) -> None:
        """An order traded."""


class NoFaults:
    """Nothing goes wrong."""

    def filter(self, session: Session, message: Message) -> None:
        """Send it."""
        session.transmit(message)

    def around(self, session: Session, request: str, values: list[str], handle: Callable[[], None]) -> None:
        """Handle it."""
        handle()

    def on_connect(self, session: Session) -> None:
        """Do nothing."""

    def on_fill(self, fill: Execution) -> None:
        """Do nothing."""
