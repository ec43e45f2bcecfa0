"""What the record of a session that never returned says: its result, or how far it came."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import msgspec

from aurora.analytics.rollup import SessionRollup, record_lines, roll_up
from aurora.errors import OperatorError, RecordError
from aurora.session.result import SessionResult


@dataclass(frozen=True)
class Remains:
    """result: what the session closed with; None where its record has no end. said: what is known of it, in words."""

    result: SessionResult | None
    said: str


def read_remains(path: Path) -> Remains:
    """Read the record of a session whose process is gone. A record that can't be read is one that says nothing."""
    try:
        rollup = roll_up(path, trade_cap_usd=Decimal(0), notional_cap_usd=Decimal(0))
        closing = next((line["result"] for _, line in record_lines(path) if line["type"] == "session.closed"), None)
        result = None if closing is None else msgspec.convert(closing, SessionResult)
    except OperatorError:
        return Remains(None, "it left no record")
    except RecordError as error:
        return Remains(None, f"its record can't be read: {error.what.replace(str(path), path.name)}")
    except (msgspec.ValidationError, KeyError) as error:
        return Remains(None, f"its record can't be read: its end is none ({error})")
    if result is not None:
        return Remains(result, f"its record has an end: {result.ended}")
    return Remains(None, _in_words(rollup))


def _in_words(rollup: SessionRollup) -> str:
    held = ", ".join(f"{each.quantity} {each.symbol}" for each in rollup.positions) or "nothing"
    return (
        f"its record has no end; it has {rollup.polls} polls, {rollup.orders} orders, {rollup.fills} fills, and at the "
        f"last poll {held} was held; what the venue holds now: invoke reconcile --dry-run"
    )
