"""Bars: one mid a poll and symbol, and whether there are enough of them to decide on (trading rule 15)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from decimal import Decimal

LONGEST_LOOK_BACK = 10
WARM_UP_BARS = LONGEST_LOOK_BACK + 1
LONGEST_GAP_POLLS = 2


class Bars:
    """The last eleven mids of each symbol; a gap of more than two polls throws them away."""

    def __init__(self, symbols: Sequence[str]) -> None:
        self._mids: dict[str, deque[float]] = {symbol: deque(maxlen=WARM_UP_BARS) for symbol in symbols}
        self._missed = dict.fromkeys(symbols, 0)

    def is_warm(self, symbol: str) -> bool:
        """Return whether eleven bars have come since the last long gap."""
        return len(self._mids[symbol]) == WARM_UP_BARS

    def have(self, symbol: str) -> int:
        """Return how many bars have come since the last long gap, eleven at most."""
        return len(self._mids[symbol])

    def add(self, symbol: str, mid: Decimal | None) -> None:
        """Add this poll's mid in USD, or None for a poll without one."""
        if mid is not None:
            self._missed[symbol] = 0
            self._mids[symbol].append(float(mid))
            return
        self._missed[symbol] += 1
        if self._missed[symbol] > LONGEST_GAP_POLLS:
            self._mids[symbol].clear()

    def mids(self, symbol: str) -> Sequence[float]:
        """Return the mids in USD, oldest first."""
        return tuple(self._mids[symbol])
