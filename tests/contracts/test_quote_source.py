"""What every quote source keeps, whatever its quotes are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from aurora.clock import ManualClock
from aurora.errors import VenueRefusal
from aurora.gateway.running import RunningGateway
from aurora.ibkr.account import Account
from aurora.ibkr.address import Address
from aurora.ibkr.connection import Connection
from aurora.ibkr.quotes import IbkrQuotes
from aurora.market.mode import Mode
from aurora.market.quote import Quote
from aurora.quotes.base import QuoteSource
from aurora.quotes.sources import open_quotes
from aurora.session.run import Attempt, run_session
from aurora.session.settings import SessionRequest
from aurora.session.watched import WatchedQuotes
from tests.gateway.kit import LIBRARIES, is_installed
from tests.trading import FakeServices, write_lean

Open = Callable[[], QuoteSource]


def record_session(root: Path) -> None:
    """Leave a session's record in `root`."""
    request = SessionRequest(Mode.PAPER, ("SPY", "IBM"), "dummy:seed=3", steps=12)
    run_session(FakeServices(root), request, Attempt("recorded", root))


GATEWAY = "gateway"
"""The adapter over a simulated gateway, with the client that is installed: ib_async, or ib_insync."""


class VenueTime(ManualClock):
    """Time that passes at the machine and at the venue together; what the venue said by then has been heard."""

    def __init__(self, gateway: RunningGateway, start: datetime) -> None:
        super().__init__(start)
        self._gateway = gateway
        self.connection: Connection | None = None

    def sleep(self, seconds: float) -> None:
        self._hear()
        for _ in range(round(seconds / TICK_S)):
            self.advance(TICK_S)
            self._gateway.advance(TICK_S)
            self._hear()

    def _hear(self) -> None:
        assert self.connection is not None
        self.connection.run(self.connection.ask("currentTime", lambda client: client.reqCurrentTime()))


def open_gateway_quotes(start_gateway: Callable[..., RunningGateway]) -> IbkrQuotes:
    """Return the adapter's quotes of a gateway of its own."""
    plain = {"scenario": "contract", "seed": 5, "settings": {"max_messages_per_s": 100_000}}  # a clock asks often
    gateway = start_gateway(plain, symbols=("SPY", "IBM"))
    clock = VenueTime(gateway, gateway.gateway.now())
    account = Account(Address("127.0.0.1", gateway.port, 8, "DU1234567", spacing_s=0), clock=clock)
    clock.connection = account.connection
    return account.quotes()


@pytest.fixture(params=["dummy", "lean seconds", "lean ticks", "recorded", "watched", GATEWAY])
def kind(request: pytest.FixtureRequest) -> str:
    """Return the implementation that the contract is held against."""
    return str(request.param)


@pytest.fixture
def symbols(kind: str) -> list[str]:
    """Return symbols that the source has."""
    return {"lean seconds": ["SPY"], "lean ticks": ["IBM"]}.get(kind, ["SPY", "IBM"])


@pytest.fixture
def open_source(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Open]:
    """Return a function that opens the source anew, the same each time."""
    if kind == GATEWAY and not any(map(is_installed, LIBRARIES)):
        pytest.skip("no client of Interactive Brokers is installed")
    write_lean(tmp_path / "data")
    if kind == "recorded":
        record_session(tmp_path)
    spec = {"dummy": "dummy:seed=5", "recorded": "replay:session.jsonl"}.get(kind, "replay:data")
    opened: list[QuoteSource] = []

    def open_it() -> QuoteSource:
        if kind == GATEWAY:
            opened.append(open_gateway_quotes(request.getfixturevalue("start_gateway")))
            return opened[-1]
        source = open_quotes(spec, root=tmp_path)
        opened.append(WatchedQuotes(source) if kind == "watched" else source)
        return opened[-1]

    yield open_it
    for source in opened:
        source.close()


def look(source: QuoteSource, steps: list[float]) -> list[dict[str, Quote | None]]:
    """Return what is seen now and after each of `steps` seconds."""
    source.clock.sleep(0)  # what was said at the subscription has been heard
    seen = [dict(source.poll())]
    for step in steps:
        source.clock.sleep(step)
        seen.append(dict(source.poll()))
    return seen


TICK_S = 0.25
STEPS = [1.0, 0.25, 0.25, 5.0, 0.5, 13.0, 5.0]


def test_poll_gives_what_was_subscribed(open_source: Open, symbols: list[str]) -> None:
    """A poll has exactly the subscribed symbols, each with a quote of its own or None."""
    source = open_source()
    source.subscribe(symbols)
    for quotes in look(source, STEPS):
        assert list(quotes) == symbols
        assert all(quote is None or quote.symbol == symbol for symbol, quote in quotes.items())
    assert any(quote is not None for quote in quotes.values())


def test_unknown_symbol_is_refused_by_name(open_source: Open, symbols: list[str]) -> None:
    """A symbol that the source does not know is refused by name, also beside ones that it knows."""
    source = open_source()
    with pytest.raises(VenueRefusal, match="no such"):
        source.subscribe([*symbols, "no such"])


def test_nothing_is_asked_of_no_symbols(open_source: Open) -> None:
    """A subscription to nothing is refused: no session can trade on it."""
    with pytest.raises(VenueRefusal):
        open_source().subscribe([])


def test_quotes_are_never_from_the_future(open_source: Open, symbols: list[str]) -> None:
    """No look-ahead: a quote's time is never later than the source's clock."""
    source = open_source()
    source.subscribe(symbols)
    for step in STEPS:
        for quote in source.poll().values():
            assert quote is None or quote.at <= source.clock.now() + timedelta(microseconds=1)
        source.clock.sleep(step)


def test_time_never_goes_back(open_source: Open, symbols: list[str]) -> None:
    """Later polls never show an older quote."""
    source = open_source()
    source.subscribe(symbols)
    seen = look(source, STEPS)
    for symbol in symbols:
        times = [quote.at for quotes in seen if (quote := quotes[symbol]) is not None]
        assert times == sorted(times)


def test_second_look_at_an_instant_sees_the_same(open_source: Open, symbols: list[str]) -> None:
    """Polling changes nothing: two polls at one instant are equal."""
    source = open_source()
    source.subscribe(symbols)
    for step in STEPS:
        assert source.poll() == source.poll()
        source.clock.sleep(step)


def test_same_source_gives_the_same_quotes(open_source: Open, symbols: list[str]) -> None:
    """Opened twice, a source tells the same story: rehearsals can be repeated."""
    first, second = open_source(), open_source()
    first.subscribe(symbols)
    second.subscribe(symbols)
    assert first.clock.now() == second.clock.now()
    assert look(first, STEPS) == look(second, STEPS)


def test_rhythm_of_polling_changes_nothing(open_source: Open, symbols: list[str]) -> None:
    """What is seen at an instant does not depend on how often was looked before."""
    often, seldom = open_source(), open_source()
    often.subscribe(symbols)
    seldom.subscribe(symbols)
    seldom.clock.sleep(sum(STEPS))
    assert look(often, STEPS)[-1] == seldom.poll()


def test_prices_are_decimals_or_missing(open_source: Open, symbols: list[str]) -> None:
    """A price is a finite Decimal above zero, or None; sizes are whole shares."""
    source = open_source()
    source.subscribe(symbols)
    for quotes in look(source, STEPS):
        for quote in filter(None, quotes.values()):
            for price in (quote.bid, quote.ask):
                assert price is None or (type(price) is Decimal and price.is_finite() and price > 0)
            assert isinstance(quote.bid_size, int)
            assert isinstance(quote.ask_size, int)


def test_source_ends(open_source: Open, symbols: list[str], kind: str) -> None:
    """A recorded or generated source is exhausted some day, and says so; a venue's never is."""
    source = open_source()
    if kind == GATEWAY:
        assert source.exhausted is False
        return
    source.subscribe(symbols)
    source.poll()
    ended = [source.exhausted]
    source.clock.sleep(24 * 3600)
    source.poll()
    assert [*ended, source.exhausted] == [False, True]


def test_nobody_takes_it_for_the_market(open_source: Open, kind: str) -> None:
    """Trading rule 18: a venue's quotes alone are real-time, and each source has a name for the report."""
    source = open_source()
    assert source.realtime is (kind == GATEWAY)
    assert source.name


def test_closing_twice_is_harmless(open_source: Open, symbols: list[str]) -> None:
    """A source is closed once or twice, before or after it was used."""
    source = open_source()
    source.close()
    other = open_source()
    other.subscribe(symbols)
    other.poll()
    other.close()
    other.close()
