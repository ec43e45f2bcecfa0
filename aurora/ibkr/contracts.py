"""Contracts: each symbol is qualified once, by its details; what is unknown or ambiguous is refused by name."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from aurora.errors import VenueRefusal
from aurora.ibkr.codes import Meaning, meaning
from aurora.ibkr.connection import Connection
from aurora.ibkr.library import library


class UnsendableOrder(VenueRefusal):
    """An order of a stock that is not listed, or not as the venue takes it; nothing was sent."""


@dataclass(frozen=True)
class Listed:
    """A stock as the venue lists it.

    tick: USD. size_increment, min_size: shares. hours: trading hours as the venue writes them, in `zone`.
    """

    symbol: str
    contract: Any
    tick: Decimal
    min_size: Decimal
    size_increment: Decimal
    hours: str
    liquid_hours: str
    zone: str


class Contracts:
    """Qualifies symbols: listed(symbol) → Listed, asked of the venue once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._listed: dict[str, Listed] = {}
        self._found: dict[int, list[Any]] = {}
        self._refusals: dict[int, str] = {}
        events = connection.events
        events.on("contractDetails", lambda id_, details: self._found.setdefault(id_, []).append(details))
        events.on("contractDetailsEnd", lambda id_: connection.answered(("contract", id_)))
        events.on("error", self._on_error)

    def known(self, symbol: str) -> Listed:
        """Return a stock that was asked for before."""
        return self._listed[symbol]

    async def listed(self, symbol: str) -> Listed:
        """Return a US stock by its symbol. Raises VenueRefusal when there is none, or more than one."""
        if symbol not in self._listed:
            self._listed[symbol] = await self._ask(symbol)
        return self._listed[symbol]

    async def _ask(self, symbol: str) -> Listed:
        number = self._connection.new_id()
        wanted = library().Contract(symbol=symbol, secType="STK", exchange="SMART", currency="USD")
        try:
            await self._connection.ask(("contract", number), lambda client: client.reqContractDetails(number, wanted))
            refusal, found = self._refusals.pop(number, ""), self._found.pop(number, [])
        finally:
            self._found.pop(number, None)
        if refusal or not found:
            raise UnsendableOrder(
                f"The venue knows no stock {symbol!r}{': ' + refusal if refusal else ''}.",
                means="it can be neither quoted nor traded",
                todo="look the symbol up in TWS; class shares are written like 'BRK B'",
            )
        if len({details.contract.conId for details in found}) > 1:
            raise UnsendableOrder(
                f"The venue lists {symbol!r} more than once in USD.",
                means="nobody can tell which one is meant",
                todo="leave the symbol out",
            )
        return _listed(symbol, found[0])

    def _on_error(self, number: int, code: int, text: str, *_: object) -> None:
        if meaning(code) in (Meaning.NO_CONTRACT, Meaning.READ_ONLY, Meaning.REJECTED):
            self._refusals[number] = f"{code}: {text}"
            self._connection.answered(("contract", number))


def _listed(symbol: str, details: Any) -> Listed:
    tick = Decimal(str(details.minTick))
    if not (tick.is_finite() and tick > 0) or not details.contract.conId:
        raise VenueRefusal(
            f"The venue's details of {symbol!r} can't be used: tick {tick}, id {details.contract.conId}."
        )
    return Listed(
        symbol,
        details.contract,
        tick,
        Decimal(str(details.minSize)),
        Decimal(str(details.sizeIncrement)),
        str(details.tradingHours),
        str(details.liquidHours),
        str(details.timeZoneId),
    )
