"""Fixtures that many tests use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.engine.kit import Lab, bound_steps


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A project of the test's own."""
    with bound_steps(), closing(Lab(tmp_path / "project")) as lab:
        yield lab
