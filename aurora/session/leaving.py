"""The way out of a session: it ends flat, or, after a kill under `on_kill: hold`, with nothing that works.

A venue that does not answer is asked again, for a minute; what it did not say is left, and said to be unknown.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from aurora.brokers.base import Broker
from aurora.errors import VenueRefusal
from aurora.execution.flatten import PATIENCE_S, flatten_book
from aurora.execution.recovery import BETWEEN_READS_S
from aurora.execution.router import Decision, Router
from aurora.session.accounting import Accounts
from aurora.session.tally import Tally
from aurora.session.watched import WatchedQuotes

LOOK_S = 0.05
IN_FLIGHT_S = 2.0


@dataclass(frozen=True)
class Left:
    """How it went: what the way out sent, whether nothing is held and nothing works, and what is left, in words."""

    decisions: list[Decision]
    flat: bool
    reason: str


@dataclass(frozen=True)
class WayOut:
    """hold: cancel, keep positions. flatten: cancel, then reduce all to zero."""

    router: Router
    broker: Broker
    source: WatchedQuotes
    accounts: Accounts
    tally: Tally
    next_ref: Callable[[], str]

    def hold(self) -> Left:
        """Cancel what works, leave positions as they are, and say which (rules 3, 21).

        A venue that holds less than the record may have told a part: it is asked anew before that is believed.
        """
        clock = self.source.clock
        until = clock.monotonic() + PATIENCE_S
        is_asked = is_sure = False
        while True:
            try:
                if not is_asked:
                    self.broker.cancel_all()
                    is_asked = True
                self.accounts.settle()
                working = self.broker.open_orders()
                left = [f"{held.quantity} {held.symbol}" for held in self.broker.positions()]
            except VenueRefusal as refusal:
                working, left = (), [f"unknown, since the venue did not say: {refusal.what}"]
            else:
                doubt = "" if working or left else self._doubt()
                left += [doubt] if doubt else []
                if doubt and not is_sure:
                    is_sure = self._ask_anew()
                elif not working:
                    break
                left += [f"a working order to {state.order.side} {state.order.symbol}" for state in working]
            if clock.monotonic() >= until:
                break
            clock.sleep(LOOK_S)
        return Left([], not left, f"held after the kill: {', '.join(left)}" if left else "")

    def _doubt(self) -> str:
        recorded = self.router.orders.day.holdings_in_words()
        return f"nothing at the venue, asked anew; the record adds up to {recorded}" if recorded else ""

    def _ask_anew(self) -> bool:
        self.source.clock.sleep(BETWEEN_READS_S)
        try:
            self.broker.refresh()
        except VenueRefusal:
            return False
        return True

    def flatten(self, *, is_killed: bool) -> Left:
        """Reduce every position to zero; what is in flight may end by itself first, but not after a kill."""
        if not is_killed:
            self._let_orders_end()
        done = flatten_book(self.router, self.broker, self.source, self.next_ref)
        for decision in done.decisions:
            self.tally.count_decision(decision)
        for settlement in done.settlements:
            self.accounts.take(settlement)
        # A venue that holds less than the record may have told a part: a person has to look before that is flat.
        return Left(done.decisions, done.flat and not done.drift, done.reason or done.drift)

    def _let_orders_end(self) -> None:
        """Give what is in flight two seconds: an immediate-or-cancel order ends by itself."""
        clock = self.source.clock
        until = clock.monotonic() + IN_FLIGHT_S
        with contextlib.suppress(VenueRefusal):  # the flatten asks again, and has more patience
            while self.broker.open_orders() and clock.monotonic() < until:
                clock.sleep(LOOK_S)
            self.accounts.settle()
