"""Watches the line to the venue: down for 15 seconds, or delayed data, is an anomaly (trading rule 11)."""

from __future__ import annotations

from decimal import Decimal

from aurora.market.link import LinkState


class LinkWatch:
    """check, a poll: whether what is wrong with the line is an anomaly by now. down_s: how long it may be down."""

    def __init__(self, down_s: Decimal) -> None:
        self._down_s = down_s
        self._down_since: float | None = None

    def check(self, state: LinkState, now_s: float) -> list[str]:
        """Return the anomalies of the line; now_s: a steady clock's seconds."""
        anomalies = [f"delayed data: {state.delayed}"] if state.delayed else []
        if not state.down:
            self._down_since = None
            return anomalies
        if self._down_since is None:
            self._down_since = now_s
        down = round(now_s - self._down_since, 3)
        if down >= self._down_s:
            anomalies.append(f"down for {down:.1f} s, limit {self._down_s} s: {state.down}")
        return anomalies
