"""What-if orders: TWS is asked what an order would do, and sends none."""

from __future__ import annotations

from typing import Any

from aurora.ibkr.codes import Meaning, meaning
from aurora.ibkr.connection import Connection
from aurora.ibkr.governor import Urgency


class WhatIf:
    """ask(number, contract, order) → why the order would be refused; "" when it would be taken."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._said: dict[int, list[str]] = {}
        connection.events.on("error", self._on_error)
        connection.events.on("openOrder", self._on_open_order)

    async def ask(self, number: int, contract: Any, order: Any) -> str:
        """Ask about `order` under an id of its own. Raises VenueSilent when TWS does not answer."""
        order.whatIf = True
        said = self._said[number] = []
        try:
            await self._connection.ask(
                ("what-if", number), lambda client: client.placeOrder(number, contract, order), Urgency.ORDER
            )
        finally:
            del self._said[number]
        return "; ".join(said)

    def _on_error(self, number: int, code: int, text: str, *_: Any) -> None:
        if number in self._said and meaning(code) is not Meaning.LIVE:  # a notice is no answer: the preview follows
            self._said[number].append(f"{code}: {text}")
            self._connection.answered(("what-if", number))

    def _on_open_order(self, number: int, *_: Any) -> None:
        if number in self._said:
            self._connection.answered(("what-if", number))
