"""The way out of a session: it ends flat, or, after a kill under `on_kill: hold`, with nothing that works."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aurora.brokers.base import Broker
from aurora.execution.flatten import flatten_book
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
    """hold: cancel, keep positions. flatten: cancel, then reduce all to zero. cancel_first: before anything else."""

    router: Router
    broker: Broker
    source: WatchedQuotes
    accounts: Accounts
    tally: Tally
    next_ref: Callable[[], str]

    def cancel_first(self) -> None:
        """Cancel what works: after a kill it must not fill any more (rule 21)."""
        self.broker.cancel_all()
        self.accounts.settle()

    def hold(self) -> Left:
        """Leave positions as they are, and say which (rule 3)."""
        left = ", ".join(f"{held.quantity} {held.symbol}" for held in self.broker.positions())
        return Left([], not left, left and f"held after the kill: {left}")

    def flatten(self) -> Left:
        """Let what is in flight end, then reduce every position to zero."""
        self._let_orders_end()
        done = flatten_book(self.router, self.broker, self.source, self.next_ref)
        for decision in done.decisions:
            self.tally.count_decision(decision)
        for settlement in done.settlements:
            self.accounts.take(settlement)
        return Left(done.decisions, done.flat, done.reason)

    def _let_orders_end(self) -> None:
        """Give what is in flight two seconds: an immediate-or-cancel order ends by itself."""
        clock = self.source.clock
        until = clock.monotonic() + IN_FLIGHT_S
        while self.broker.open_orders() and clock.monotonic() < until:
            clock.sleep(LOOK_S)
        self.accounts.settle()
