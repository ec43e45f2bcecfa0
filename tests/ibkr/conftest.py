"""Fixtures of the adapter's tests: a gateway on quotes that stand still, with the faults that a test names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aurora.gateway.running import RunningGateway
from tests.gateway.conftest import StandingQuotes
from tests.gateway.kit import is_installed
from tests.ibkr.desk import VenueDesk

collect_ignore_glob = [] if is_installed("ib_async") or is_installed("ib_insync") else ["test_*.py"]


@pytest.fixture
def venue(start_gateway: Callable[..., RunningGateway]) -> Iterator[Callable[..., VenueDesk]]:
    """Start a gateway with the rules and settings given."""
    desks: list[VenueDesk] = []

    def start(*rules: dict[str, Any], **settings: Any) -> VenueDesk:
        quotes = StandingQuotes()
        scenario = {"scenario": "test", "settings": settings, "rules": list(rules)}
        desks.append(VenueDesk(start_gateway(scenario, source=quotes), quotes))
        return desks[-1]

    yield start
    for desk in desks:
        desk.close()
