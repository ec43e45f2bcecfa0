"""The eyes of a session: the quotes of an instant, held against tripwires, clock and circuit breaker."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from aurora.brokers.base import Broker
from aurora.market.link import LinkState, link_state_of, together
from aurora.market.quote import Quote
from aurora.risk.circuit_breaker import CircuitBreaker
from aurora.risk.halts import HaltWatch
from aurora.risk.link_watch import LinkWatch
from aurora.risk.tripwires import Hold, HoldKind, check_quote, check_sequence
from aurora.session.poll import Poll
from aurora.session.settings import SessionSettings
from aurora.session.tally import Tally
from aurora.session.timetable import Timetable
from aurora.session.watched import WatchedQuotes

CLOCK_JUMP_S = 2.0


class Judge:
    """Per poll: look → judge. `bids` are the last valid ones, in USD a share, by which what is held is marked."""

    def __init__(
        self,
        settings: SessionSettings,
        source: WatchedQuotes,
        broker: Broker,
        times: Timetable,
        breaker: CircuitBreaker,
        tally: Tally,
    ) -> None:
        self.bids: dict[str, Decimal] = {}
        self._settings = settings
        self._source = source
        self._broker = broker
        self._times = times
        self._breaker = breaker
        self._tally = tally
        self._halts = HaltWatch(settings.halt_end_s)
        self._link = LinkWatch(settings.breaker.link_down_s)
        self._looked_s: float | None = None
        self._excused: datetime | None = None
        """When the venue's nightly restart was last seen to go on."""
        self._newest: dict[str, datetime] = {}

    def look(self) -> Poll:
        """Return a new poll with the quotes of now; a clock that was set and a loop that stood still are anomalies."""
        self._tally.polls += 1
        now_s = self._source.clock.monotonic()
        if self._looked_s is not None:
            self._breaker.count_gap(now_s - self._looked_s, self._settings.poll_sec)
        self._looked_s = now_s
        jump = self._times.clock_jump_s
        if abs(jump) > CLOCK_JUMP_S:
            self._breaker.trip(f"the clock jumped by {jump:.1f} s, limit {CLOCK_JUMP_S} s")
        poll = Poll(self._tally.polls, self._times.due, self._source.clock.now(), since=self._source.drain())
        poll.quotes = self._source.poll()
        self._source.drain()  # what this very look saw stands in `quotes`
        poll.line = line = together((link_state_of(self._source), link_state_of(self._broker)))
        if self._settings.venue_restart.covers(poll.at):
            self._excused = poll.at
            line = LinkState(delayed=line.delayed)
        for anomaly in self._link.check(line, now_s):
            self._breaker.trip(anomaly)
        return poll

    def judge(self, poll: Poll) -> None:
        """Hold each symbol whose quote sets a tripwire off; the breaker counts. Raises SafetyStop for NaN."""
        for _, symbol, seen in poll.since:
            if seen is not None and seen.halted:
                self._halts.note_halt(symbol)
            self._note_time(poll, symbol, seen)
        for symbol, quote in poll.quotes.items():
            found = check_quote(symbol, quote, poll.at, self._settings.tripwires)
            late = check_sequence(symbol, quote, self._newest.get(symbol))
            holds = self._halts.check(symbol, (*found, *late), poll.at)
            self._note_time(poll, symbol, quote)
            if poll.line.down:
                # How long it may last is the line's own question (`LinkWatch`), not that of the polls that it holds.
                holds = (Hold(HoldKind.LINE, poll.line.down), *holds)
            elif self._excused != poll.at:
                self._breaker.count_poll(symbol, holds)
            if holds:
                poll.holds[symbol] = holds
                self._tally.holds += 1
            elif quote is not None and quote.bid is not None:
                self.bids[symbol] = quote.bid
        # From the memory of them: a source that has lost its line has no quotes, which is not that none came.
        told = [*(self._newest.values() or [self._times.started]), *([] if self._excused is None else [self._excused])]
        self._breaker.count_ticks((poll.at - max(told)).total_seconds())

    def _note_time(self, poll: Poll, symbol: str, quote: Quote | None) -> None:
        """Note the newest tick; one from the future is held for that, and would make all that follow look old."""
        if quote is not None and quote.at <= poll.at:
            self._newest[symbol] = max(quote.at, self._newest.get(symbol, quote.at))
