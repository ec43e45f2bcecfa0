"""How a gateway is set up: what TWS has in its configuration dialogs, and what the simulation adds."""

from __future__ import annotations

from decimal import Decimal

import msgspec

SERVER_VERSION = 176
NEWEST_VERSION = 178


class StartPosition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A position that the account holds before anybody connects: signed shares, and their average cost in USD."""

    symbol: str
    quantity: int
    average_cost: Decimal


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The set-up of a gateway; a scenario's `settings` writes the same names.

    account:            DU… and DF… are paper accounts.
    cash:               USD at the start; positions: what it holds then.
    day_trades:         DayTradesRemaining; -1 is without limit.
    entitled:           real-time data is subscribed.
    read_only:          TWS's switch "Read-Only API".
    master_client_id:   who sees every client's executions and commissions.
    max_version:        176, or up to 178 when the client knows it.
    max_messages_per_s: above it come error 100 and the end of the connection.
    handshake_s:        how long a connection may take to say startApi, by the wall clock.
    max_waiting_bytes:  what may wait for a client that does not read.
    wall_clock:         the venue's time begins at the machine's date and time, not at the quotes' own.
    """

    account: str = "DU1234567"
    cash: Decimal = Decimal(100_000)
    positions: tuple[StartPosition, ...] = ()
    day_trades: int = -1
    entitled: bool = True
    read_only: bool = False
    master_client_id: int | None = None
    max_version: int = SERVER_VERSION
    max_messages_per_s: int = 50
    handshake_s: float = 10.0
    max_waiting_bytes: int = 64 << 20
    wall_clock: bool = False
