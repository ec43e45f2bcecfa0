"""Trading halts: one ends when the venue has said so and two-sided quotes have come for a while (trading rule 13)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from aurora.risk.tripwires import Hold, HoldKind

NOT_TWO_SIDED = frozenset({HoldKind.MISSED, HoldKind.NULL, HoldKind.ONE_SIDED, HoldKind.CROSSED})


class HaltWatch:
    """note_halt*, then check, a poll and symbol: what the tripwires found, and HALTED while a halt is not over."""

    def __init__(self, end_s: Decimal) -> None:
        self._end_s = end_s
        self._two_sided_since: dict[str, datetime | None] = {}

    def note_halt(self, symbol: str) -> None:
        """Note that the venue said that `symbol` is halted."""
        self._two_sided_since[symbol] = None

    def check(self, symbol: str, holds: Sequence[Hold], now: datetime) -> tuple[Hold, ...]:
        """Return `holds`, what the tripwires found at `now`, with the halt that is not over yet before them."""
        kinds = {hold.kind for hold in holds}
        if HoldKind.HALTED in kinds:
            self.note_halt(symbol)
        elif symbol in self._two_sided_since:
            if kinds & NOT_TWO_SIDED:
                self.note_halt(symbol)
                return (Hold(HoldKind.HALTED, f"{symbol}: no two-sided quotes since its halt"), *holds)
            since = self._two_sided_since[symbol] or now
            self._two_sided_since[symbol] = since
            passed = (now - since).total_seconds()
            if passed < self._end_s:
                reason = f"{symbol}: two-sided quotes for {passed:.1f} s since its halt, limit {self._end_s} s"
                return (Hold(HoldKind.HALTED, reason), *holds)
            del self._two_sided_since[symbol]
        return tuple(holds)
