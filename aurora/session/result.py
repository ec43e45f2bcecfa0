"""What came out of a session: the names that gates and reports use."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class SessionResult:
    """The outcome of one session. Money in USD.

    mode, venue, quotes, realtime: what it ran as, and on which quotes; realtime is true for the venue's own only.
    polls, steps:     looks at the quotes, and those after the warm-up.
    bars_decided:     polls in which the strategy answered, of the symbol that has the fewest.
    orders:           let through by every check. orders_sent: given to a broker (0 in shadow mode).
    blocked:          stopped by a check. rejected: refused by the broker. fills: executions.
    turnover_usd:     shares traded times price. largest_trade_usd: the biggest order as it was counted at send.
    notional_usd:     what counts towards the daily cap. opened_usd: the part of it that opened.
    pnl_usd:          after fees; what is held is marked at the last valid bid.
    holds:            tripwires that fired, a poll and symbol counted once. hold_share_pct: of the worst symbol.
    anomalies:        what locked the session out; empty is good. fallbacks: times that the model gave no answer.
    halted:           the kill flag ended it. locked_out: an anomaly did. ended: why it ended, in words.
    flat:             nothing is held and nothing works; left: what is.
    loop_p95_ms:      95th percentile of the loops' own time; null when there was no loop.
    recording:        where its session.jsonl is, relative to the project when inside it.
    """

    mode: str
    venue: str
    quotes: str
    realtime: bool
    symbols: list[str]
    ended: str
    polls: int
    steps: int
    bars_decided: int
    orders: int
    orders_sent: int
    blocked: int
    rejected: int
    fills: int
    turnover_usd: Decimal
    largest_trade_usd: Decimal
    notional_usd: Decimal
    opened_usd: Decimal
    fees_usd: Decimal
    pnl_usd: Decimal
    holds: int
    hold_share_pct: Decimal
    anomalies: list[str]
    fallbacks: int
    halted: bool
    locked_out: bool
    flat: bool
    left: str
    loop_p95_ms: Decimal | None
    recording: str


@dataclass(frozen=True)
class KillRehearsal:
    """What the rehearsal found.

    halted:           the session ended because of the flag, and made no poll after it.
    opening_refused:  an opening order offered to the session's router under the flag was refused for it.
    notified:         a push was accepted by its server; a line in a log tells nobody. notice: what became of the alert.
    flag_removed:     the rehearsal took its own flag away (false: somebody else's is there now, and stays).
    halt_ms:          from the flag to the end of the session, on the machine's clock.
    """

    halted: bool
    opening_refused: bool
    notified: bool
    notice: str
    flag_removed: bool
    polls: int
    polls_after_flag: int
    halt_ms: Decimal
    recording: str


def sample_result(mode: str) -> SessionResult:
    """Return what a simulated run reports of a session: a clean one in which nothing happened."""
    zero = Decimal(0)
    return SessionResult(
        mode=mode,
        venue="simulated",
        quotes="none: dry run",
        realtime=False,
        symbols=[],
        ended="it was not run: dry run",
        polls=0,
        steps=0,
        bars_decided=0,
        orders=0,
        orders_sent=0,
        blocked=0,
        rejected=0,
        fills=0,
        turnover_usd=zero,
        largest_trade_usd=zero,
        notional_usd=zero,
        opened_usd=zero,
        fees_usd=zero,
        pnl_usd=zero,
        holds=0,
        hold_share_pct=zero,
        anomalies=[],
        fallbacks=0,
        halted=False,
        locked_out=False,
        flat=True,
        left="",
        loop_p95_ms=zero,
        recording="",
    )


def sample_rehearsal() -> KillRehearsal:
    """Return what a simulated run reports of a rehearsal."""
    return KillRehearsal(
        halted=True,
        opening_refused=True,
        notified=True,
        notice="none was sent: dry run",
        flag_removed=True,
        polls=0,
        polls_after_flag=0,
        halt_ms=Decimal(0),
        recording="",
    )
