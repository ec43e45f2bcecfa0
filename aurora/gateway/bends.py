"""What a scenario does to messages on their way: loses, delays or repeats them."""

from __future__ import annotations

from dataclasses import dataclass

from aurora.gateway.messages import Message
from aurora.gateway.session import Session


@dataclass
class Bend:
    """What happens to messages of one name: dropped, delayed or repeated, `left` times more (None: always)."""

    message: str
    client: int | None
    left: int | None
    drop: bool = False
    delay_s: float = 0.0
    copies: int = 0

    def claims(self, session: Session, message: Message) -> bool:
        """Return whether it is for this message, and count it."""
        if self.left == 0 or message.name != self.message or self.client not in (None, session.client_id):
            return False
        if self.left is not None:
            self.left -= 1
        return True
