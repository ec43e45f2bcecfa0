"""Fixtures of the gateway's tests: each client library in turn, and quotes that stand still."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from aurora.clock import ManualClock
from aurora.gateway.running import RunningGateway
from aurora.market.quote import Quote
from tests.gateway.kit import LIBRARIES, Raw, Trader, is_installed, library

BID, ASK = Decimal("100.00"), Decimal("100.02")


class StandingQuotes:
    """A quote source whose quotes are what the test sets: 500 shares at 100.00 and 300 at 100.02 to begin with."""

    name = "standing"
    realtime = False
    exhausted = False

    def __init__(self) -> None:
        self.clock = ManualClock(datetime(2026, 1, 5, 15, 0, tzinfo=UTC))
        self.quotes: dict[str, Quote | None] = {}

    def subscribe(self, symbols: Any) -> None:
        for symbol in symbols:
            self.set(symbol)

    def set(
        self, symbol: str = "SPY", *, bid: Any = BID, ask: Any = ASK, bid_size: int = 500, ask_size: int = 300
    ) -> None:
        bid, ask = (None if price is None else Decimal(price) for price in (bid, ask))
        self.quotes[symbol] = Quote(symbol, self.clock.now(), bid, ask, bid_size, ask_size)

    def poll(self) -> dict[str, Quote | None]:
        return self.quotes

    def close(self) -> None:
        pass


@pytest.fixture
def quotes() -> StandingQuotes:
    """Quotes that the test sets."""
    return StandingQuotes()


@pytest.fixture
def gateway(start_gateway: Callable[..., RunningGateway], quotes: StandingQuotes) -> RunningGateway:
    """A gateway on those quotes, on which nothing goes wrong."""
    return start_gateway(source=quotes)


@pytest.fixture
def start(start_gateway: Callable[..., RunningGateway], quotes: StandingQuotes) -> Callable[..., RunningGateway]:
    """Start a gateway on those quotes with the rules and settings given."""

    def starter(*rules: dict[str, Any], **settings: Any) -> RunningGateway:
        return start_gateway({"scenario": "test", "settings": settings, "rules": list(rules)}, source=quotes)

    return starter


@pytest.fixture(params=[name for name in LIBRARIES if is_installed(name)] or [LIBRARIES[0]])
def lib(request: pytest.FixtureRequest) -> Any:
    """Each client library that is installed, unchanged; `test_each_client_is_here` says which are not."""
    return library(request.param)


@pytest.fixture
def trader(lib: Any) -> Callable[[], Trader]:
    """Make clients of the library; `run` disconnects them."""
    return lambda: Trader(lib)


@pytest.fixture
def raw(gateway: RunningGateway) -> Iterator[Raw]:
    """A bare connection to the gateway."""
    connection = Raw(gateway.port)
    yield connection
    connection.close()
