"""The probes of the venue's set-up, on a venue that answers as each test says."""

from __future__ import annotations

from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aurora.brokers.base import Terms
from aurora.brokers.simulated import SimulatedBroker
from aurora.errors import VenueRefusal, VenueSilent
from aurora.market.link import LinkState
from aurora.quotes.base import QuoteSource
from aurora.session.venue_checks import look_at_market_data, probe_orders, reach_venue, read_terms
from tests.trading import FakeServices, ScriptedQuotes, make_quote


class Probed(SimulatedBroker):
    """A venue whose answers are set: `said` to what-if orders (an error is raised), and its terms."""

    said: str | VenueRefusal = ""
    size = Terms(Decimal("0.01"), Decimal(1), Decimal(1))

    def what_if(self, symbol: str, bid: Decimal) -> str:
        if isinstance(self.said, VenueRefusal):
            raise self.said
        return self.said

    def terms(self, symbol: str) -> Terms:
        if symbol == "NOPE":
            raise VenueRefusal("The venue knows no stock 'NOPE'.", todo="look the symbol up in TWS")
        return self.size


class Lined(ScriptedQuotes):
    """Quotes over a line whose state is set."""

    state = LinkState()

    def link_state(self) -> LinkState:
        return self.state


class ProbedServices(FakeServices):
    """Services on such a venue; it can be one that nobody reaches."""

    refusal: VenueRefusal | None = None

    def __init__(self, project: Path) -> None:
        super().__init__(project, source=Lined())
        self.venue = Probed(quote_of=lambda _: None, clock=self.clock, cash=Decimal(100))

    def open_probe(self, stack: ExitStack) -> tuple[Any, QuoteSource]:
        if self.refusal:
            raise self.refusal
        assert self.source is not None
        stack.callback(self.source.close)
        return self.venue, self.source


@pytest.fixture
def services(tmp_path: Path) -> ProbedServices:
    """Return services on a venue on which everything is well."""
    return ProbedServices(tmp_path)


def lined(services: ProbedServices) -> Lined:
    """Return the quotes of `services`."""
    assert isinstance(services.source, Lined)
    return services.source


def test_all_is_well_where_it_is(services: ProbedServices) -> None:
    """A good venue has no problems, and what was probed is closed again."""
    assert reach_venue(services).problems == []
    data = look_at_market_data(services, ["SPY"])
    assert (data.problems, data.delayed, data.symbols[0].bid) == ([], "", Decimal("168.00"))
    assert read_terms(services, ["SPY"]).problems == []
    taken = probe_orders(services, ["SPY"])
    assert (taken.problems, taken.probed, taken.open_orders) == ([], ["SPY"], 0)
    assert lined(services).closed


def test_venue_that_is_not_reached_is_a_problem_in_words(services: ProbedServices) -> None:
    """What stands in the way is told in one line, with what to do about it."""
    services.refusal = VenueRefusal("127.0.0.1:9 can't be reached.", todo="start TWS")
    reached = reach_venue(services)
    assert (reached.broker, reached.problems) == ("", ["127.0.0.1:9 can't be reached; start TWS"])


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (LinkState(delayed="SPY (354: not subscribed)"), "Market Data Subscriptions"),
        (LinkState(down="10197: competing live session"), "end the other login"),
        (LinkState(down="market data farm usfarm"), "market data farm usfarm"),
    ],
)
def test_data_that_is_not_real_time_is_a_problem(services: ProbedServices, state: LinkState, said: str) -> None:
    """Delayed, taken by another login, or a farm that is down: told with what to click, quotes or not."""
    lined(services).state = state
    (problem,) = look_at_market_data(services, ["SPY"]).problems
    assert said in problem


@pytest.mark.parametrize("sides", [("168.00", None), (None, "168.01"), (None, None)])
def test_silent_symbol_is_a_problem(services: ProbedServices, sides: tuple[str | None, str | None]) -> None:
    """A symbol without two sides is named after ten seconds, and beside one that has them."""
    lined(services).script = lambda symbol, _, now: make_quote(
        *(sides if symbol == "TSLA" else ("168.00", "168.01")), symbol=symbol, at=now
    )
    (problem,) = look_at_market_data(services, ["SPY", "TSLA"]).problems
    assert "within 10 s: TSLA" in problem
    assert lined(services).clock.monotonic() == pytest.approx(10)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("321: Read-Only mode", "clear Read-Only API"),
        ("460: No trading permissions", "Trading Permissions"),
        ("201: Order rejected", "see TWS's API settings"),
        (VenueSilent("it did not answer."), "Bypass Order Precautions"),
    ],
)
def test_order_that_would_be_refused_is_a_problem(services: ProbedServices, said: Any, told: str) -> None:
    """Each reason is told with what to click; silence is a dialog that waits in TWS."""
    services.venue.said = said
    (problem,) = probe_orders(services, ["SPY"]).problems
    assert told in problem


def test_probe_without_a_bid_is_no_probe(services: ProbedServices) -> None:
    """Without a bid there is no price that could not trade: nothing is asked, and that is a problem."""
    lined(services).script = lambda symbol, _, now: make_quote(None, "168.01", symbol=symbol, at=now)
    services.venue.said = VenueRefusal("nobody may ask")
    (problem,) = probe_orders(services, ["SPY"]).problems
    assert "no price" in problem


def test_question_that_became_an_order_is_an_error(services: ProbedServices) -> None:
    """That is no finding among others: the step ends with it."""
    services.venue.said = VenueRefusal("A what-if order became an order.")
    with pytest.raises(VenueRefusal, match="became an order"):
        probe_orders(services, ["SPY"])


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (Terms(Decimal("0.01"), Decimal(100), Decimal(1)), "from 100 shares on"),
        (Terms(Decimal("0.01"), Decimal(1), Decimal("0.3")), "steps of 0.3"),
        (Terms(Decimal("0.01"), Decimal(1), Decimal(10)), "steps of 10"),
    ],
)
def test_stock_that_is_not_taken_by_one_share_is_a_problem(services: ProbedServices, size: Terms, said: str) -> None:
    """Aurora trades single shares; a stock in lots is named, one that is not listed as well."""
    services.venue.size = size
    first, second = read_terms(services, ["SPY", "NOPE"]).problems
    assert said in first
    assert "NOPE" in second
