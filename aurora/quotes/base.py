"""The quote source port: what a session asks of real, recorded and generated quotes alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol, runtime_checkable

from aurora.clock import Clock
from aurora.market.quote import Quote


class QuoteSource(Protocol):
    """Quotes by symbol, as they are at the source's own clock.

    A source that replays or generates quotes owns a clock that moves when it sleeps; a live one owns the machine's.
    """

    name: str
    """How the report names it: `dummy:seed=7`, `replay:…`, `ibkr`."""

    realtime: bool
    """True only when the quotes are the venue's own, now (never for recorded or generated ones)."""

    @property
    def clock(self) -> Clock:
        """The source's own clock; a recording may move it to its first instant when it is subscribed to."""

    def subscribe(self, symbols: Sequence[str]) -> None:
        """Ask for quotes of `symbols`, once. Raises VenueRefusal naming each symbol that the source does not know."""

    def poll(self) -> Mapping[str, Quote | None]:
        """Return the latest quote of each subscribed symbol at `clock.now()`; None where none has come yet."""

    @property
    def exhausted(self) -> bool:
        """True when no later quote will ever come (a recording has ended)."""

    def close(self) -> None:
        """Give back files and sockets; a second call does nothing."""


@runtime_checkable
class VenueHours(Protocol):
    """What a quote source has, too, when its venue tells the hours of what it lists."""

    def regular_hours(self, day: date) -> Mapping[str, tuple[datetime, datetime] | None]:
        """Return from when to when each subscribed symbol trades on `day`, in UTC; None when it does not.

        Raises VenueRefusal when the venue does not tell.
        """


@runtime_checkable
class OnRequest(Protocol):
    """What a quote source has, too, when more symbols may be asked for while it streams others."""

    def want(self, symbols: Sequence[str]) -> None:
        """Begin to stream those of `symbols` that are not streamed yet; never waits. Unknown ones stay without."""


@runtime_checkable
class PriorCloses(Protocol):
    """What a quote source has, too, when it is told the closes of the session before (IBKR's tick type 9)."""

    def prior_closes(self) -> Mapping[str, Decimal | None]:
        """Return the prior close of each subscribed symbol in USD; None where none has come."""
