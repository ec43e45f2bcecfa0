"""What an account holds: asked of the venue, or, for the simulated one, read from the last session's record."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from aurora.analytics.rollup import Holding, roll_up
from aurora.errors import ProfileError
from aurora.execution.order_journal import Book
from aurora.market.hours import exchange_day
from aurora.market.mode import Mode
from aurora.session.services import Services

FROM_ENVIRONMENT = "env:"


@dataclass(frozen=True)
class Account:
    """Positions, working orders and cash of an account.

    flat:   no position and no working order. source: where this is known from, in words.
    """

    venue: str
    source: str
    flat: bool
    positions: list[Holding]
    working_orders: int
    cash_usd: Decimal


def account_id(services: Services) -> str:
    """Return the account's id; a profile names the variable that holds it. Raises ProfileError when that is not set."""
    id_ = str(services.profile.account.id)
    if not id_.startswith(FROM_ENVIRONMENT):
        return id_
    name = id_.removeprefix(FROM_ENVIRONMENT)
    if not services.environment.get(name):
        raise ProfileError(
            f"The profile {services.profile.name} takes its account from {name}, which is not set.",
            means="nobody knows whose orders these would be; nothing was sent",
            todo=f"set {name} in the environment or in .env",
        )
    return services.environment[name]


def live_book(services: Services) -> Book:
    """Return whose order journal today's live orders of the profile's account are in."""
    return Book(Mode.LIVE, services.profile.venue, account_id(services), exchange_day(services.clock.now()))


def read_account(services: Services, recording: str) -> Account:
    """Return the account as the venue tells it.

    The simulated venue lives as long as a session does: with a `recording` its book is what that session left, without
    one it is what every session starts from. Raises VenueRefusal, OperatorError or RecordError.
    """
    with ExitStack() as stack:
        venue = services.open_venue(stack)
        held, cash = [Holding(each.symbol, each.quantity) for each in venue.positions()], venue.cash()
        working, flat = len(venue.open_orders()), not held
    source = f"the {venue.name} venue's opening book"
    if recording:
        cap = Decimal(0)
        left = roll_up(services.project / Path(recording), trade_cap_usd=cap, notional_cap_usd=cap)
        held, flat, source = left.positions, left.flat and left.closed, f"the book that {recording} left"
        cash = cash if left.cash_usd is None else left.cash_usd
    return Account(services.profile.venue, source, flat and not working, held, working, cash)


@dataclass(frozen=True)
class VenueClock:
    """How far the machine's clock is from the venue's, in seconds. independent: the venue has a clock of its own."""

    drift_s: Decimal
    independent: bool


def read_venue_clock(services: Services) -> VenueClock:
    """Return the absolute difference between the two clocks; half the time of asking counts as the venue's."""
    with ExitStack() as stack:
        venue = services.open_venue(stack)
        before = services.clock.now()
        theirs = venue.server_time()
        after = services.clock.now()
    ours = before + (after - before) / 2
    drift = abs((theirs - ours).total_seconds())
    return VenueClock(round(Decimal(str(drift)), 3), services.profile.venue != "simulated")
