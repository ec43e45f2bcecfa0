"""The pytest plugin: the fixture `start_gateway`, which runs gateways on free ports until the test ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from aurora.gateway.running import RunningGateway


@pytest.fixture
def start_gateway() -> Iterator[Callable[..., RunningGateway]]:
    """Start a gateway: `start_gateway({"scenario": "x", "rules": […]}, symbols=("SPY",))`; its time stands still."""
    from aurora.gateway.faults import open_gateway  # noqa: PLC0415 - a test run that starts none does not pay for it
    from aurora.gateway.running import running  # noqa: PLC0415 - the same
    from aurora.gateway.scenario import Scenario, build_scenario  # noqa: PLC0415 - the same
    from aurora.quotes.dummy import DummyQuotes  # noqa: PLC0415 - the same

    with ExitStack() as stack:

        def start(
            scenario: Mapping[str, Any] | None = None, *, source: Any = None, symbols: tuple[str, ...] = ("SPY", "TSLA")
        ) -> RunningGateway:
            built = Scenario() if scenario is None else build_scenario(dict(scenario), "the scenario")
            gateway = open_gateway(source or DummyQuotes(seed=built.seed), symbols, built)
            return stack.enter_context(running(gateway))

        yield start
