from __future__ import annotations

from pathlib import Path

import pytest

from aurora.errors import VenueRefusal
from tests.steps.support import call
from tests.trading import write_lean


def test_quotes_are_looked_at(tmp_path: Path) -> None:
    """Each symbol's spread and age over a few looks, and no problem on good quotes."""
    found = call("quotes.look", tmp_path, symbols=["SPY", "TSLA"])
    assert (found.problems, found.looks, found.quotes) == ([], 5, "dummy:seed=7")
    assert [look.symbol for look in found.symbols] == ["SPY", "TSLA"]


def test_recorded_quotes_are_looked_at(tmp_path: Path) -> None:
    """A recording is looked at from its open + 5 min; a symbol that it does not have is refused."""
    write_lean(tmp_path / "data")
    assert call("quotes.look", tmp_path, symbols=["SPY"], quotes="replay:data", looks=2).problems == []
    with pytest.raises(VenueRefusal, match="has no TSLA"):
        call("quotes.look", tmp_path, symbols=["SPY", "TSLA"], quotes="replay:data")
