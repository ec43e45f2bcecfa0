"""Real quotes over the wire: fields as they come, sides that are not there, halts, delays, and feeds that die."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from aurora.errors import VenueRefusal
from aurora.ibkr.quotes import IbkrQuotes
from aurora.market.quote import Quote
from tests.ibkr.desk import VenueDesk, until

Start = Callable[..., VenueDesk]


def subscribed(desk: VenueDesk, *symbols: str) -> IbkrQuotes:
    """Return a source whose symbols have a quote."""
    source = desk.source()
    source.subscribe(symbols or ("SPY",))
    desk.gateway.advance(0.5)
    until(lambda: all(quote is not None and quote.ask for quote in source.poll().values()), "the quotes")
    return source


def quote(source: IbkrQuotes, symbol: str = "SPY") -> Quote:
    """Return a symbol's quote, which is there."""
    found = source.poll()[symbol]
    assert found is not None
    return found


def test_quotes_are_the_venues(venue: Start) -> None:
    """Both sides with their sizes, in real time, and the prior close apart."""
    source = subscribed(venue(), "SPY", "TSLA")
    seen = quote(source)
    assert (seen.bid, seen.ask, seen.bid_size, seen.ask_size) == (Decimal(100), Decimal("100.02"), 500, 300)
    assert (source.realtime, source.exhausted, list(source.poll())) == (True, False, ["SPY", "TSLA"])
    until(lambda: source.prior_closes()["SPY"] is not None, "the close")
    assert not source.link_state().down


def test_more_symbols_may_be_wanted_while_others_stream(venue: Start) -> None:
    """What a flatten finds held is streamed from then on; a symbol that nobody lists stays without, and harms none."""
    desk = venue()
    source = subscribed(desk, "SPY")
    source.want(["SPY", "NOPE", "TSLA"])

    def has_come() -> bool:
        desk.gateway.advance(0.1)
        found = source.poll().get("TSLA")
        return found is not None and found.ask == Decimal("100.02")

    until(has_come, "its quote")
    assert list(source.poll()) == ["SPY", "TSLA"]
    assert not source.link_state().down


def test_unknown_symbol_is_refused_by_name(venue: Start) -> None:
    """A symbol that the venue does not list is refused when it is subscribed to."""
    source = venue().source()
    with pytest.raises(VenueRefusal, match="knows no stock 'NOPE'"):
        source.subscribe(["SPY", "NOPE"])


@pytest.mark.parametrize(
    ("fields", "bid", "ask"),
    [
        ({"bid": None, "bid_size": 0}, None, Decimal("100.02")),
        ({"bid": 0, "bid_size": 0}, None, Decimal("100.02")),
        ({"ask": -1, "ask_size": 0}, Decimal(100), None),
        ({"bid": 101}, Decimal(101), Decimal("100.02")),
    ],
)
def test_sides_that_are_not_there_are_none(venue: Start, fields: dict[str, Any], bid: Any, ask: Any) -> None:
    """Zero, -1 and no quote are a side that is not there, never a price; crossed quotes are told as they are."""
    desk = venue({"at_s": 2, "do": [{"quote": {"symbol": "SPY", **fields, "for_s": 60}}]})
    source = subscribed(desk)
    desk.gateway.advance(3)
    until(lambda: (quote(source).bid, quote(source).ask) == (bid, ask), "the change")


def test_halt_is_told_and_ends(venue: Start) -> None:
    """The halted tick makes the quote a halted one, until the venue says that it trades."""
    desk = venue({"at_s": 2, "do": [{"quote": {"symbol": "SPY", "halted": True, "for_s": 5}}]})
    source = subscribed(desk)
    desk.gateway.advance(3)
    until(lambda: quote(source).halted, "the halt")
    desk.gateway.advance(6)
    until(lambda: not quote(source).halted, "its end")


def test_frozen_feed_gets_old_whatever_its_volume_says(venue: Start) -> None:
    """Volume goes on while the prices stand still: the quote's time does not move."""
    desk = venue({"at_s": 2, "do": ["freeze"]})
    source = subscribed(desk)
    desk.gateway.advance(3)
    before = quote(source).at
    desk.gateway.advance(10)
    assert quote(source).at == before


@pytest.mark.parametrize("state", ["delayed", "competing"])
def test_data_that_is_not_real_time_is_told(venue: Start, state: str) -> None:
    """10167 with delayed ticks, or another login that takes the data: the line says so."""
    desk = venue({"at_s": 2, "do": [{"data": {"state": state}}]})
    source = subscribed(desk)
    desk.gateway.advance(3)
    until(lambda: source.link_state().delayed or source.link_state().down, "the notice")


def test_lost_data_is_subscribed_anew(venue: Start) -> None:
    """1101 says that subscriptions are gone: old quotes are none, and new ones come without anybody asking."""
    desk = venue({"at_s": 2, "do": [{"link": {"state": "down"}}]}, {"at_s": 4, "do": [{"link": {"state": "lost"}}]})
    source = subscribed(desk)
    desk.gateway.advance(3)
    until(lambda: source.link_state().down, "1100")
    desk.gateway.advance(2)
    desk.quotes.set("SPY", bid="99.00", ask="99.01")

    def is_new() -> bool:
        desk.gateway.advance(0.5)
        seen = source.poll()["SPY"]
        return seen is not None and seen.ask == Decimal("99.01")

    until(is_new, "the new quotes")


def test_farm_that_blips_is_subscribed_anew(venue: Start) -> None:
    """2103 and 2104 three seconds apart left feeds dead for hours elsewhere: here they are subscribed again."""
    desk = venue({"at_s": 2, "do": [{"farm": {"state": "broken"}}]}, {"at_s": 5, "do": [{"farm": {"state": "ok"}}]})
    source = subscribed(desk)
    desk.gateway.advance(3)
    until(lambda: "farm" in source.link_state().down, "2103")
    desk.gateway.advance(3)
    desk.quotes.set("SPY", bid="98.00", ask="98.01")

    def is_new() -> bool:
        desk.gateway.advance(0.5)
        seen = source.poll()["SPY"]
        return seen is not None and seen.ask == Decimal("98.01")

    until(is_new, "the new quotes")


def test_reconnect_subscribes_anew(venue: Start) -> None:
    """Handles of an old socket are worth nothing: after a restart the quotes come again by themselves."""
    desk = venue({"at_s": 2, "do": [{"restart": {"for_s": 1}}]})
    source = subscribed(desk)
    desk.gateway.advance(2)
    until(lambda: source.poll()["SPY"] is None, "the loss")
    desk.gateway.advance(2)

    def is_there() -> bool:
        desk.gateway.advance(0.25)
        return source.poll()["SPY"] is not None

    until(is_there, "the quotes")


def test_account_without_real_time_data_says_so(venue: Start) -> None:
    """An account that has not subscribed to real-time data: every symbol is delayed, and none has a quote."""
    desk = venue(entitled=False)
    source = desk.source()
    source.subscribe(["SPY"])
    desk.gateway.advance(1)
    until(lambda: source.link_state().delayed.startswith("SPY (354: "), "the refusal")
    assert source.poll()["SPY"] is None
