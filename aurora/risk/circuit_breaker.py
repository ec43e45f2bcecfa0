"""The circuit breaker: counts HOLDs and takes anomalies; the first anomaly locks the session out (trading rule 11)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from aurora.risk.tripwires import Hold, HoldKind

WARN_POLLS = 5
WARN_KINDS = (HoldKind.WIDE, HoldKind.MISSED)
STALL_FLOOR_S = Decimal(5)
"""Less than this between two looks is a busy machine at a short interval, and no fault."""


@dataclass(frozen=True)
class BreakerLimits:
    """When HOLDs add up to an anomaly.

    same_hold_polls:        the same HOLD of a symbol for so many polls running.
    hold_share_pct:         HOLDs as a share of a symbol's polls, looked at after `hold_share_after_polls` of them.
    no_tick_s:              seconds without a tick on any symbol.
    stall_polls:            poll intervals between two looks (never less than STALL_FLOOR_S).
    link_down_s:            seconds that a line to the venue is down.
    """

    same_hold_polls: int = 5
    hold_share_pct: Decimal = Decimal(10)
    hold_share_after_polls: int = 20
    no_tick_s: Decimal = Decimal(15)
    stall_polls: int = 3
    link_down_s: Decimal = Decimal(15)


@dataclass
class _Count:
    """One symbol's polls and HOLDs (halts are in neither), and how long each kind has been running, now and before."""

    polls: int = 0
    holds: int = 0
    running: dict[HoldKind, int] = field(default_factory=dict)
    before: dict[HoldKind, int] = field(default_factory=dict)


class CircuitBreaker:
    """Counts each symbol's HOLDs; `anomalies` says what tripped it, `locked` that the session is locked out.

    on_trip: told each anomaly at once (live writes its lockout there); when it fails, that is an anomaly, too.
    on_warn: told of a wide spread or missed quotes at five polls running, where that is no anomaly yet.
    """

    def __init__(
        self,
        limits: BreakerLimits | None = None,
        on_trip: Callable[[str], None] = lambda _: None,
        on_warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.limits = limits or BreakerLimits()
        self._on_trip = on_trip
        self._on_warn = on_warn
        self.anomalies: list[str] = []
        self._counts: dict[str, _Count] = {}

    @property
    def locked(self) -> bool:
        """Return whether an anomaly has locked the session out; nothing here unlocks it."""
        return bool(self.anomalies)

    def trip(self, anomaly: str) -> None:
        """Lock the session out because of `anomaly`."""
        self.anomalies.append(anomaly)
        try:
            self._on_trip(anomaly)
        except OSError as error:
            # The session must still leave its positions; what comes after it is told by the report.
            self.anomalies.append(f"the lockout could not be written: {error.strerror}")

    def count_poll(self, symbol: str, holds: Sequence[Hold]) -> None:
        """Count one poll of `symbol` with the tripwires that fired; trips when they add up to an anomaly."""
        count = self._counts.setdefault(symbol, _Count())
        kinds = {hold.kind for hold in holds}
        count.before = count.running
        if HoldKind.HALTED in kinds:
            count.running = {}  # a halt is the venue's doing; what runs before and after it is not one run
            return
        count.polls += 1
        count.holds += bool(kinds)
        count.running = {kind: count.before.get(kind, 0) + 1 for kind in kinds}
        self._judge(symbol, count, holds)

    def add_hold(self, symbol: str, hold: Hold) -> None:
        """Count a HOLD of a symbol whose quote was fit in this poll: what the model made of it was not."""
        count = self._counts.setdefault(symbol, _Count())
        count.holds += not count.running
        count.running[hold.kind] = count.before.get(hold.kind, 0) + 1
        self._judge(symbol, count, [hold])

    def warn(self, text: str) -> None:
        """Tell of what a person should look at; nothing stops."""
        self._on_warn(text)

    def count_ticks(self, seconds_since_any: float) -> None:
        """Trip when no symbol has had a tick for too long."""
        if seconds_since_any > self.limits.no_tick_s:
            self.trip(f"no tick on any symbol for {seconds_since_any:.1f} s, limit {self.limits.no_tick_s} s")

    def count_gap(self, seconds: float, poll_sec: Decimal) -> None:
        """Trip when the session has not looked for too long: what it did not see, it did not guard against."""
        limit = max(self.limits.stall_polls * poll_sec, STALL_FLOOR_S)
        if seconds > limit:
            self.trip(
                f"the loop stood still for {seconds:.1f} s, limit {limit} s ({self.limits.stall_polls} polls of "
                f"{poll_sec} s, at least {STALL_FLOOR_S} s)"
            )

    def hold_share_pct(self, symbol: str) -> Decimal:
        """Return which share of the symbol's polls was held, in percent."""
        count = self._counts.get(symbol, _Count())
        return Decimal(100 * count.holds) / count.polls if count.polls else Decimal(0)

    def _judge(self, symbol: str, count: _Count, holds: Sequence[Hold]) -> None:
        for hold in holds:
            running = count.running[hold.kind]
            text = f"{hold.kind} for {running} polls running ({hold.reason})"
            if running == self.limits.same_hold_polls:
                self.trip(text)
            elif running == WARN_POLLS and hold.kind in WARN_KINDS:
                self._on_warn(text)
        share = self.hold_share_pct(symbol)
        if count.polls >= self.limits.hold_share_after_polls and share > self.limits.hold_share_pct:
            self.trip(
                f"{symbol}: held in {count.holds} of {count.polls} polls, {share:.1f} %, "
                f"limit {self.limits.hold_share_pct} %"
            )
