"""One poll of a session: what it saw, judged and decided, on its way to the record."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from aurora.clock import iso
from aurora.execution.router import Decision
from aurora.market.link import WELL, LinkState
from aurora.market.order import Order
from aurora.market.quote import Quote
from aurora.quotes.recorded import quote_as_json
from aurora.risk.tripwires import Hold
from aurora.session.recorder import decision_as_json, seen_as_json
from aurora.session.watched import Seen


@dataclass
class Poll:
    """What one poll saw and did.

    step: None while warming up. since: quotes seen after the poll before.

    line: what was wrong with the line to the venue. asked: symbols that the model was to have features of.
    """

    number: int
    due: datetime
    at: datetime
    step: int | None = None
    since: list[Seen] = field(default_factory=list)
    line: LinkState = WELL
    quotes: Mapping[str, Quote | None] = field(default_factory=dict)
    holds: dict[str, tuple[Hold, ...]] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    features: dict[str, Mapping[str, float]] = field(default_factory=dict)
    weights: dict[str, Decimal] = field(default_factory=dict)
    orders: list[Order] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)

    def note(self, symbol: str, text: str) -> None:
        """Add a note about `symbol`: said, and nothing more."""
        self.notes.setdefault(symbol, []).append(text)

    def as_json(self) -> dict[str, Any]:
        """Return the poll's part of its line in the record."""
        return {
            "n": self.number,
            "step": self.step,
            "due": iso(self.due),
            "at": iso(self.at),
            "since": seen_as_json(self.since),
            "quotes": {symbol: quote_as_json(quote) for symbol, quote in self.quotes.items()},
            "holds": {
                symbol: [{"kind": hold.kind, "reason": hold.reason} for hold in holds]
                for symbol, holds in self.holds.items()
            },
            "line": {"down": self.line.down, "delayed": self.line.delayed},
            "notes": self.notes,
            "features": {symbol: _features_as_json(self.features.get(symbol)) for symbol in self.asked},
            "weights": self.weights,
            "decisions": [decision_as_json(decision) for decision in self.decisions],
        }


def _features_as_json(features: Mapping[str, float] | None) -> dict[str, float | None] | None:
    """Return features to six places; one that is no finite number is null, and so is the answer that never came."""
    if features is None:
        return None
    return {name: round(value, 6) if _is_finite(value) else None for name, value in features.items()}


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
