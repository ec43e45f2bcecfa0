"""Modes: what a session does with its orders (trading rule 1)."""

from __future__ import annotations

from enum import StrEnum


class Mode(StrEnum):
    """Simulated fills, computed but not sent, or sent."""

    PAPER = "paper"
    SHADOW = "shadow"
    LIVE = "live"
