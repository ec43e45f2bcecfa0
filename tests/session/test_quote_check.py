from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from aurora.errors import UsageError, VenueRefusal
from aurora.market.quote import Quote
from aurora.session.quote_check import check_caps_at_prices, look_at_quotes
from tests.trading import FakeServices, ScriptedQuotes, make_quote, steady


def test_good_quotes_have_no_problem(tmp_path: Path) -> None:
    """Fresh, narrow quotes are told with their spread and age, and are no problem."""
    source = ScriptedQuotes(steady())
    look = look_at_quotes(FakeServices(tmp_path, source=source), ["SPY", "TSLA"], "scripted")
    assert (look.problems, look.looks, look.realtime, look.quotes) == ([], 5, False, "scripted")
    assert [(symbol.symbol, symbol.bid, symbol.held) for symbol in look.symbols] == [
        ("SPY", Decimal("168.00"), 0), ("TSLA", Decimal("168.00"), 0)
    ]  # fmt: skip
    assert (look.widest_bps, look.oldest_s) == (Decimal("0.60"), Decimal("0.000"))
    assert source.closed


def test_symbol_that_never_has_a_fit_quote_is_a_problem(tmp_path: Path) -> None:
    """A symbol that no look found fit is a problem with its reason; one bad look among good ones is not."""

    def script(symbol: str, elapsed: float, now: datetime) -> Quote | None:
        if symbol == "SPY":
            return make_quote("160", "170", at=now)
        return None if elapsed < 1 else make_quote(symbol=symbol, at=now - timedelta(seconds=1))

    look = look_at_quotes(FakeServices(tmp_path, source=ScriptedQuotes(script)), ["SPY", "TSLA"], "scripted")
    assert look.problems == ["SPY: spread 606.06 bps, limit 50 bps"]
    assert [symbol.held for symbol in look.symbols] == [5, 1]
    assert look.oldest_s == 1


def test_missing_quotes_have_no_figures(tmp_path: Path) -> None:
    """A symbol without any quote has neither spread nor age."""
    look = look_at_quotes(FakeServices(tmp_path, source=ScriptedQuotes(lambda *_: None)), ["SPY"], "scripted")
    assert look.problems == ["SPY: no quote has come"]
    assert (look.widest_bps, look.oldest_s, look.symbols[0].bid) == (None, None, None)


def test_no_look_is_no_check(tmp_path: Path) -> None:
    """A check that looks at nothing is refused: it would find no problem."""
    with pytest.raises(UsageError, match="looks was 0"):
        look_at_quotes(FakeServices(tmp_path), ["SPY"], "dummy", looks=0)


def test_unknown_symbols_are_refused_and_the_source_closed(tmp_path: Path) -> None:
    """A symbol that the source does not know is refused, and the source is closed."""
    source = ScriptedQuotes()
    for check in (look_at_quotes, check_caps_at_prices):
        with pytest.raises(VenueRefusal):
            check(FakeServices(tmp_path, source=source), ["NOPE"], "scripted")
        assert source.closed


def test_caps_are_held_against_the_asks(tmp_path: Path) -> None:
    """Trading rule 7: the caps are checked at the asks that the source has now."""
    assert check_caps_at_prices(FakeServices(tmp_path), ["SPY", "TSLA"], "dummy").problems == []
    dear = FakeServices(tmp_path, source=ScriptedQuotes(steady("5000", "5001")))
    assert check_caps_at_prices(dear, ["SPY"], "scripted").problems[0].startswith("SPY: one share costs 5001 USD")


class Told(ScriptedQuotes):
    """A source that is told prior closes."""

    closes: Mapping[str, Decimal | None] = {}

    def prior_closes(self) -> Mapping[str, Decimal | None]:
        return self.closes


@pytest.mark.parametrize(
    ("close", "problems"),
    [
        ("168.00", []),
        ("84.00", ["SPY: mid 168.005 is 100.01 % from the prior close 84.00, limit 15 %"]),
        (None, ["SPY: prior close missing, so nobody knows how far the market has moved"]),
    ],
)
def test_symbol_far_from_its_prior_close_is_a_problem(tmp_path: Path, close: str | None, problems: list[str]) -> None:
    """Trading rule 13: a first mid over 15 % from the prior close is a red preflight (a split)."""
    source = Told(steady())
    source.closes = {"SPY": None if close is None else Decimal(close)}
    assert look_at_quotes(FakeServices(tmp_path, source=source), ["SPY"], "scripted").problems == problems


def test_real_time_quotes_must_tell_their_prior_close(tmp_path: Path) -> None:
    """Trading rule 13: what is not known is not green: real-time quotes without a prior close are a problem."""
    source = ScriptedQuotes(steady())
    source.realtime = True
    look = look_at_quotes(FakeServices(tmp_path, source=source), ["SPY"], "scripted")
    assert look.problems == ["SPY: prior close missing, so nobody knows how far the market has moved"]
