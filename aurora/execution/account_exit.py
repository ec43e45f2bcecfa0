"""Flattens an account, whatever else stands: sessions are stopped, then the venue's own book is brought to zero.

    one at a time → take the order journal over → connect → `Flatten`

It needs the broker and nothing else of Aurora's: no runbook, no key, no grant, no kill flag or lockout, no disk. What
can't be had is said and gone without, except the venue's word.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from aurora.brokers.base import Broker, Listing
from aurora.clock import Clock, iso
from aurora.errors import JournalWriteError, LockHeld, RecordError, VenueRefusal
from aurora.execution.flatten import ALARM_S, Flatten, Flattening
from aurora.execution.order_journal import Book, OrderJournal
from aurora.execution.router import ExitRouter
from aurora.execution.takeover import take_over
from aurora.market.mode import Mode
from aurora.quotes.base import QuoteSource

FOLDER = "runlocks"
LOOK_S = 0.2
AGAIN_S = 2.0
"""How long it waits before it asks again for a venue that could not be reached."""


@dataclass
class AccountExit:
    """One flatten of an account: run → Flattening.

    open_venue:  connects; raises VenueRefusal while the venue can't be reached. Closed with what it returns.
    symbols:     what to flatten, None for the whole account. patience_s: after how long it gives up, None never.
    say:         told what is done. alarm: told each minute what is left.
    is_stopping: whether a person wants it to end. at_market: whether she wants market orders (trading rule 22).
    """

    root: Path
    book: Book
    clock: Clock
    open_venue: Callable[[contextlib.ExitStack], tuple[Broker, QuoteSource]]
    say: Callable[[str], object]
    alarm: Callable[[str], object]
    symbols: Collection[str] | None = None
    patience_s: float | None = None
    is_stopping: Callable[[], bool] = bool
    at_market: bool = False

    def run(self) -> Flattening:
        """Flatten the account, and say what came of it. Raises what only a bug or a person's interrupt raises."""
        began = self.clock.monotonic()
        with contextlib.ExitStack() as held:
            if not held.enter_context(self._one_at_a_time()):
                return Flattening(reason="another flatten of this account is at work, and was not waited for")
            orders = held.enter_context(contextlib.closing(self._orders()))
            venue = self._connect(held, began)
            if venue is None:
                return Flattening(reason=f"the venue was not reached within {self.clock.monotonic() - began:.0f} s")
            broker, source = venue
            self._adopt(orders, broker, only_held=True)
            done = Flatten(
                ExitRouter(mode=Mode.LIVE, broker=broker, clock=source.clock, orders=orders),
                broker,
                source,
                self._refs(),
                symbols=self.symbols,
                patience_s=None if self.patience_s is None else self._patience_left(began),
                on_alarm=self.alarm,
                is_stopping=self.is_stopping,
                at_market=self.at_market,
            ).run()
            if done.drift:  # two full reads are evidence (rule 20): the venue's word is put on record, and it is said
                self.say(f"{done.drift}; look in TWS")
                self._adopt(orders, broker, only_held=False)
            if unknown := self._unknown(broker, done):
                done.flat = False
                done.reason = "; ".join(filter(None, (done.reason, *unknown)))
            return done

    def _unknown(self, broker: Broker, done: Flattening) -> list[str]:
        """Return why a symbol that was named, and of which nothing was closed, is one that can't be held at all.

        Who misspells a symbol in a hurry must not be told that it is flat. What is held besides is said, too.
        """
        if self.symbols is None:
            return []
        found = []
        traded = {decision.order.symbol for decision in done.decisions}
        for symbol in sorted(set(self.symbols) - traded):
            try:
                if isinstance(broker, Listing):
                    broker.terms(symbol)
            except VenueRefusal as refusal:
                found.append(f"{symbol}: {refusal.what}")
        with contextlib.suppress(VenueRefusal):
            others = [f"{held.quantity} {held.symbol}" for held in broker.positions() if held.quantity]
            if others:
                self.say(f"held, and not named: {', '.join(others)}")
        return found

    def _refs(self) -> Callable[[], str]:
        """Return names of orders, unique for ever: a second flatten never takes the first one's for its own."""
        prefix = hashlib.sha256(f"{iso(self.clock.now())} {os.getpid()}".encode()).hexdigest()[:12]
        numbers = count(1)
        return lambda: f"{prefix}-{next(numbers):05d}"

    def _patience_left(self, began: float) -> float:
        assert self.patience_s is not None
        return max(self.patience_s - (self.clock.monotonic() - began), 0.0)

    def _is_over(self, began: float) -> bool:
        return self.is_stopping() or (self.patience_s is not None and self._patience_left(began) <= 0)

    @contextlib.contextmanager
    def _one_at_a_time(self) -> Iterator[bool]:
        """Wait until no other flatten of the account is at work; what that one left, this one then finishes."""
        path = self.root / FOLDER / f"flatten-{self.book.folder_name}.lock"
        began = self.clock.monotonic()
        try:
            path.parent.mkdir(exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            self.say(f"nobody can tell whether another flatten is at work: {path} can't be opened: {error.strerror}")
            yield True
            return
        try:
            is_said = False
            while True:
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    yield True
                    return
                if not is_said:
                    self.say("another flatten of this account is at work; this one waits for it, and looks then")
                    is_said = True
                if self._is_over(began):
                    yield False
                    return
                self.clock.sleep(LOOK_S)
        finally:
            os.close(descriptor)

    def _orders(self) -> OrderJournal:
        """Return the day's order journal, taken over; one that no disk keeps where it can't be had."""
        try:
            return take_over(self.root, self.book, self.clock, self.say)
        except (RecordError, LockHeld, OSError) as error:
            self.say(f"the orders of this flatten will be on no record: {error}")
            return OrderJournal.unrecorded(JournalWriteError(str(error)))

    def _adopt(self, orders: OrderJournal, broker: Broker, *, only_held: bool) -> None:
        """Put on record what is held that no recorded order explains: the orders that close it will be.

        Fills first: an order that had its end before a crash may have fills that never came on record.
        only_held: of what the venue does not tell of nothing is concluded yet: it may have told a part.
        """
        try:
            orders.take_fills(broker.executions())
            found = orders.adopt(broker.positions(), only_held=only_held)
        except VenueRefusal:
            return  # the flatten asks again, and says so
        if found:
            self.say(f"held, and explained by no recorded order: {', '.join(found)}")

    def _connect(self, held: contextlib.ExitStack, began: float) -> tuple[Broker, QuoteSource] | None:
        alarms_at = self.clock.monotonic()
        while True:
            try:
                with contextlib.ExitStack() as stack:
                    venue = self.open_venue(stack)
                    held.push(stack.pop_all())
                    return venue
            except VenueRefusal as refusal:
                if self.clock.monotonic() >= alarms_at:
                    alarms_at = self.clock.monotonic() + ALARM_S
                    self.alarm(f"nothing is flattened yet: {refusal.what}")
            if self._is_over(began):
                return None
            self.clock.sleep(AGAIN_S)
