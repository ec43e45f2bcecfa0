"""The shipped profiles and their schema."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from aurora.engine.faults import RunbookError
from aurora.engine.profiles import load_profile
from tests.trading import ROOT, make_profile

SCHEMA: dict[str, Any] = json.loads((ROOT / "profiles/profile.schema.json").read_text())
PROFILES = ["base", "sim", "paper_strict", "paper_account", "live_canary"]


def test_schema_is_one() -> None:
    """The schema is a valid JSON Schema 2020-12."""
    Draft202012Validator.check_schema(SCHEMA)


def test_nothing_unknown_is_let_in() -> None:
    """No map of a profile takes a key that the schema does not name."""

    def maps(schema: Any) -> list[Any]:
        if not isinstance(schema, dict):
            return []
        own = [schema] if schema.get("type") == "object" else []
        return own + [inner for value in schema.values() for inner in maps(value)]

    assert maps(SCHEMA)
    assert all(schema["additionalProperties"] is False for schema in maps(SCHEMA))


def test_numbers_carry_their_unit() -> None:
    """A number's name says its unit (or that it is a count or a coefficient)."""
    units = (
        "_s",
        "_sec",
        "_min",
        "_ms",
        "_mb",
        "_usd",
        "_pct",
        "_bps",
        "_polls",
        "_bars",
        "_rejects",
        "bias",
        "_psi",
        "_values",
        "_days",
    )

    def numbers(schema: dict[str, Any]) -> list[str]:
        found = []
        for name, inner in schema.get("properties", {}).items():
            if inner.get("type") in ("number", "integer"):
                found.append(name)
            found += numbers(inner)
        return found

    assert numbers(SCHEMA)
    assert [name for name in numbers(SCHEMA) if not name.endswith(units)] == []


@pytest.mark.parametrize("name", PROFILES)
def test_shipped_profiles_load(name: str) -> None:
    """Each shipped profile loads through its chain and keeps the schema."""
    assert load_profile(ROOT, name).name == name


def test_only_live_canary_is_real_money() -> None:
    """Of the shipped profiles one trades real money, and it says so."""
    assert [name for name in PROFILES if make_profile(name).live] == ["live_canary"]


def test_strict_is_tighter_than_base() -> None:
    """What one falls back to is tighter than what one comes from, in each limit that it changes."""
    base, strict = make_profile("base"), make_profile("paper_strict")
    own = yaml.safe_load((ROOT / "profiles/paper_strict.yaml").read_text())["risk"]
    assert own
    assert all(strict.risk[key] < base.risk[key] for key in own)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("on_kill: hold", "on_kill: hope"),
        ("at_end: flatten", "at_end: hold"),
        ("on_lockout: flatten", "on_lockout: hold"),
        ("max_quote_age_s: 1.5", "max_quote_age_s: 6"),
        ("max_quote_age_s: 1.5", "max_quote_age: 1.5"),
        ("start_after_open_min: 5", "start_after_open_min: 4"),
        ("end_before_close_min: 5", "end_before_close_min: 0"),
        ("live: false", "live: true"),
        ("id: SIM", "id: U1234567"),
        ("secrets: []", "secrets: [lower-case]"),
        ("per_trade_notional_pct: 1", "per_trade_notional_pct: 0"),
        ("symbols: {}", "symbols: {IBM: {max_quote_age_s: 5.1}}"),
        ("symbols: {}", "symbols: {IBM: {max_spread_bps: 0}}"),
        ("symbols: {}", "symbols: {IBM: {poll_sec: 1}}"),
        ("symbols: {}", "symbols: {IBM: {}}"),
        ("symbols: {}", "symbols: {ibm: {max_spread_bps: 5}}"),
        ("answer_ms: 250", "answer_ms: 0"),
    ],
)
def test_what_must_not_be_does_not_load(tmp_path: Path, old: str, new: str) -> None:
    """Trading rules 3, 12 and 14: what a profile may not change, or not so far, does not load."""
    shutil.copytree(ROOT / "profiles", tmp_path / "profiles")
    base = tmp_path / "profiles/base.yaml"
    text = base.read_text()
    assert text.count(old) == 1
    base.write_text(text.replace(old, new))
    with pytest.raises(RunbookError):
        load_profile(tmp_path, "base")


def limits() -> Iterator[tuple[str, ...]]:
    """Yield the way to each number of base.yaml that bounds what a session may do."""
    values = yaml.safe_load((ROOT / "profiles/base.yaml").read_text())
    # Where more is stricter, or nothing is bounded, a hundred times as much is no danger.
    harmless = {"min_trade_usd", "slippage_bps", "fee_bps", "min_free_disk_mb", "start_after_open_min"}
    sections = [("risk",), ("risk", "breaker"), ("session",), ("models",), ("slo",), ("machine",)]
    for section in sections:
        inner = values
        for name in section:
            inner = inner[name]
        yield from ((*section, key) for key, value in inner.items() if isinstance(value, int | float)
                    and not isinstance(value, bool) and key not in harmless)  # fmt: skip


@pytest.mark.parametrize("way", list(limits()), ids=".".join)
@pytest.mark.parametrize("fault", ["missing", "negative", "100x", "NaN", "text"])
def test_limit_that_is_missing_or_absurd_does_not_load(tmp_path: Path, way: tuple[str, ...], fault: str) -> None:
    """A profile whose limit is missing, negative, a hundred times as large or no number is refused, by its name."""
    shutil.copytree(ROOT / "profiles", tmp_path / "profiles")
    base = tmp_path / "profiles/base.yaml"
    values = yaml.safe_load(base.read_text())
    inner = values
    for name in way[:-1]:
        inner = inner[name]
    old = inner.pop(way[-1])
    if fault != "missing":
        inner[way[-1]] = {"negative": -old, "100x": old * 100, "NaN": float("nan"), "text": "much"}[fault]
    base.write_text(yaml.safe_dump(values))
    with pytest.raises(RunbookError, match=way[-1]):
        load_profile(tmp_path, "base")


def test_a_bound_of_the_schema_is_the_number_that_it_says(tmp_path: Path) -> None:
    """A profile may say exactly the least that the schema allows: 0.1 is 0.1, not what a float makes of it."""
    shutil.copytree(ROOT / "profiles", tmp_path / "profiles")
    (tmp_path / "profiles/quick.yaml").write_text("extends: sim\nsession: {poll_sec: 0.1}\n")
    assert load_profile(tmp_path, "quick").session.poll_sec == Decimal("0.1")
