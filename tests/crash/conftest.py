"""Fixtures of the crash tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.crash.matrix import Driver


@pytest.fixture(scope="session")
def driver() -> Iterator[Driver]:
    """The process that forks engines."""
    with closing(Driver()) as driver:
        yield driver
