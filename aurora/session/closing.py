"""Closes a day's cash: what a session began with, its own fills and fees, against what the account holds at its end."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from aurora.analytics.rollup import record_lines
from aurora.errors import RecordError
from aurora.risk.limits import assumed_fee

TOLERANCE_USD = Decimal(1)


@dataclass(frozen=True)
class CashCheck:
    """A session's cash, in USD. known: the record says with what it began; else nothing agrees.

    tolerance_usd: one dollar, or what the commissions that were not told may come to (trading rule 20).
    """

    known: bool
    agrees: bool
    expected_usd: Decimal | None
    difference_usd: Decimal | None
    tolerance_usd: Decimal
    fees_missing: int


def check_cash(path: Path, held_usd: Decimal) -> CashCheck:
    """Hold the cash that the account has now against the first that the record tells, and all fills after it.

    The first line that tells cash is of the warm-up, before any order. Raises OperatorError, RecordError.
    """
    began: Decimal | None = None
    moved = missing = Decimal(0)
    untold = 0
    for number, line in record_lines(path):
        try:
            if began is None and line.get("cash") is not None:
                began = Decimal(line["cash"])
                continue
            for fill in line.get("fills", ()):
                worth = fill["quantity"] * Decimal(fill["price"])
                moved += worth if fill["side"] == "SELL" else -worth
                untold += fill["fee"] is None
                missing += assumed_fee(fill["quantity"]) if fill["fee"] is None else Decimal(0)
                moved -= Decimal(0) if fill["fee"] is None else Decimal(fill["fee"])
        except (KeyError, TypeError, ArithmeticError) as error:
            raise RecordError(
                f"{path}:{number}: not a line of a session's record: {type(error).__name__}: {error}.",
                means="the day's cash would be made up",
                todo="look for the file's copy in the run's folder",
            ) from error
    tolerance = max(TOLERANCE_USD, missing)
    if began is None or not held_usd.is_finite():
        return CashCheck(False, False, None, None, tolerance, untold)
    expected = began + moved
    difference = held_usd - expected
    return CashCheck(True, abs(difference) <= tolerance, expected, difference, tolerance, untold)
