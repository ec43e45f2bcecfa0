"""The alerts port: what is told, to whom it gets, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class Priority(StrEnum):
    """How loud an alert is; the words are ntfy's (https://docs.ntfy.sh/publish/#message-priority)."""

    MIN = "min"
    LOW = "low"
    DEFAULT = "default"
    HIGH = "high"
    URGENT = "urgent"


@dataclass(frozen=True)
class Alert:
    """What is told: a line, a text, how loud, words to sort it by, and since when it is true (aware).

    key:  what makes two alerts the same one, which is told once and then counted; nothing: title and text do.
    push: to a phone also where the profile asks for none. keep: what nobody took waits on disk to be sent again.
    """

    title: str
    text: str
    priority: Priority
    tags: tuple[str, ...]
    at: datetime
    key: str = ""
    push: bool = False
    keep: bool = True

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError(f"An alert's time is aware; {self.at!r} has no time zone.")


@dataclass(frozen=True)
class Delivery:
    """What became of an alert. delivered: it was taken. detail: by whom or why not, in words that hold no secret."""

    delivered: bool
    detail: str


class Notifier(Protocol):
    """One way to tell. It is used when something is wrong already, so it never makes things worse."""

    name: str
    """Its key in the profile's `alerts`."""

    reaches_person: bool
    """Whether what it delivers gets to a person's device; a file on this machine tells nobody."""

    def send(self, alert: Alert) -> Delivery:
        """Deliver `alert`, or say why not; never raises, and is back within seconds."""
