"""Fixtures of the documentation's tests."""

from __future__ import annotations

from tests.engine.conftest import lab

__all__ = ["lab"]
