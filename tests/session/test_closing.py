"""A day's cash: what the record says it must be, and when nobody can tell."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from aurora.session.closing import check_cash


def record(folder: Path, *fills: dict[str, object], began: str | None = "1000") -> Path:
    """Return a record that begins with `began` USD and has these fills."""
    lines = [{"type": "session.opened"}, {"type": "poll", "cash": began, "fills": []},
             {"type": "poll", "cash": began, "fills": list(fills)}]  # fmt: skip
    path = folder / "cut.jsonl"  # not a whole record: only what the check reads
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


BOUGHT = {"side": "BUY", "quantity": 2, "price": "100", "fee": "1.5"}
SOLD = {"side": "SELL", "quantity": 2, "price": "101", "fee": "1"}


@pytest.mark.parametrize(("held", "agrees"), [("999.5", True), ("1000.5", True), ("1000.51", False), ("998.49", False)])
def test_cash_is_what_it_began_with_and_what_was_traded(tmp_path: Path, held: str, agrees: bool) -> None:
    """Trading rule 20: 1000 - 200 + 202 - 2.5 USD, within one dollar."""
    found = check_cash(record(tmp_path, BOUGHT, SOLD), Decimal(held))
    assert (found.known, found.agrees, found.expected_usd) == (True, agrees, Decimal("999.5"))


def test_untold_fees_widen_the_tolerance_and_are_counted(tmp_path: Path) -> None:
    """A commission that was not told is not zero: the tolerance is what it may come to."""
    found = check_cash(record(tmp_path, {**BOUGHT, "quantity": 1000, "fee": None}), Decimal(0))
    assert found.fees_missing == 1
    assert found.tolerance_usd > 1


@pytest.mark.parametrize(("began", "held"), [(None, "5"), ("1000", "NaN")])
def test_what_nobody_knows_does_not_agree(tmp_path: Path, began: str | None, held: str) -> None:
    """Without a beginning, or with cash that is no number, nothing agrees."""
    found = check_cash(record(tmp_path, began=began), Decimal(held))
    assert (found.known, found.agrees) == (False, False)
