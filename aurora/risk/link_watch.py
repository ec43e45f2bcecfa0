"""Watches the lines to the venue: down for 15 seconds, or delayed data, is an anomaly (trading rule 11)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from aurora.market.link import LinkState


class LinkWatch:
    """check, a poll: what is wrong with the lines, by name, and whether it is an anomaly by now."""

    def __init__(self, down_s: Decimal) -> None:
        self._down_s = down_s
        self._down_since: dict[str, float] = {}

    def check(self, lines: Mapping[str, LinkState], now_s: float) -> list[str]:
        """Return the anomalies of `lines`; now_s: a steady clock's seconds."""
        anomalies = []
        for name, state in lines.items():
            if state.delayed:
                anomalies.append(f"delayed data: {name}: {state.delayed}")
            if not state.down:
                self._down_since.pop(name, None)
                continue
            down = now_s - self._down_since.setdefault(name, now_s)
            if down >= self._down_s:
                anomalies.append(f"{name}: {state.down} is down for {down:.1f} s, limit {self._down_s} s")
        return anomalies
