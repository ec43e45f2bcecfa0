from __future__ import annotations

import json
from typing import Any

import pytest

from aurora.engine.profiles import load_profile
from aurora.risk.loosening import DIRECTIONS, SECTIONS, limits_of, loosened
from tests.trading import ROOT

LIMITS = limits_of(load_profile(ROOT, "base"))
SCHEMA = json.loads((ROOT / "profiles/profile.schema.json").read_text())


def values(schema: dict[str, Any], path: str) -> list[str]:
    """Return the dotted names of all values of a part of the profile's schema; limits of single symbols left out."""
    if "properties" not in schema:
        return [] if "patternProperties" in schema else [path]
    return [name for key, inner in schema["properties"].items() for name in values(inner, f"{path}.{key}")]


def test_each_value_of_a_profile_has_a_direction() -> None:
    """A new value of these sections says what makes it looser; none of the table is gone from the schema."""
    named = [name for section in SECTIONS for name in values(SCHEMA["properties"][section], section)]
    assert sorted(named) == sorted(DIRECTIONS)
    assert set(DIRECTIONS) <= set(LIMITS)


@pytest.mark.parametrize(
    ("name", "tighter", "looser"),
    [
        ("risk.max_spread_bps", "49", "51"),
        ("risk.daily_loss_limit_pct", "0.4", "0.6"),
        ("risk.min_trade_usd", "401", "399"),
        ("session.start_after_open_min", "6", "4"),
        ("risk.breaker.same_hold_polls", "4", "6"),
        ("capital_usd", "99999", "100001"),
        ("slo.loop_p95_ms", "249", "251"),
    ],
)
def test_looser_is_told_and_tighter_is_not(name: str, tighter: str, looser: str) -> None:
    """Each limit has its own direction; the line says from what to what."""
    assert loosened(LIMITS, LIMITS | {name: tighter}, ["SPY"]) == []
    (line,) = loosened(LIMITS, LIMITS | {name: looser}, ["SPY"])
    assert line == f"{name} was loosened from {LIMITS[name]} to {looser}"


def test_costs_never_loosen_and_other_choices_always_do() -> None:
    """Costs may be tuned either way; another model, bar or way out is another session."""
    assert loosened(LIMITS, LIMITS | {"risk.slippage_bps": "99", "risk.fee_bps": "0"}, ["SPY"]) == []
    for name, value in (("session.poll_sec", "1"), ("on_kill", "flatten"), ("models.name", "other")):
        assert loosened(LIMITS, LIMITS | {name: value}, ["SPY"]) == [
            f"{name} was changed from {LIMITS[name]} to {value}"
        ]
    assert loosened(LIMITS, LIMITS | {"session.poll_sec": "5.0"}, ["SPY"]) == []


def test_limit_of_a_single_symbol_counts_for_who_trades_it() -> None:
    """A symbol's own limit stands before everybody's; one of a symbol that is not traded loosens nothing."""
    own = {"risk.symbols.IBM.max_spread_bps": "80"}
    assert loosened(LIMITS, LIMITS | own, ["SPY"]) == []
    assert loosened(LIMITS, LIMITS | own, ["SPY", "IBM"]) == [
        "risk.symbols.IBM.max_spread_bps was loosened from 50 to 80"
    ]
    assert loosened(LIMITS | own, LIMITS, ["IBM"]) == []
    tight = {"risk.symbols.IBM.max_spread_bps": "10"}
    assert loosened(LIMITS | tight, LIMITS, ["IBM"]) == ["risk.symbols.IBM.max_spread_bps was loosened from 10 to 50"]


def test_what_is_not_said_is_looser() -> None:
    """A value that one of the two does not have can't be compared."""
    less = {name: value for name, value in LIMITS.items() if name != "risk.collar_bps"}
    assert loosened(less, LIMITS, ["SPY"]) == ["risk.collar_bps was not on record, and is 10"]
    assert loosened(LIMITS, less, ["SPY"]) == ["risk.collar_bps was 10, and is not said"]
