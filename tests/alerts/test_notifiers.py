from __future__ import annotations

import json
from pathlib import Path

import pytest

from aurora.alerts.notifiers import NOTIFIERS, build_notifiers
from aurora.clock import ManualClock
from aurora.engine.faults import RunbookError
from aurora.engine.profiles import load_profile
from tests.trading import ROOT, START


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({}, []),
        ({"log": False, "push": False}, []),
        ({"log": True, "push": False}, ["log"]),
        ({"push": True, "log": True}, ["log", "push"]),
    ],
)
def test_profile_names_the_notifiers(wanted: dict[str, bool], names: list[str], tmp_path: Path) -> None:
    """Those that are true are built, the log first: it is written whatever the network does."""
    assert [each.name for each in build_notifiers(wanted, tmp_path, {}, ManualClock(START), ["NTFY_URL"])] == names


def test_table_and_schema_agree() -> None:
    """Each notifier is a key of `alerts` in the profile's schema; what else is there says where to, and how badly."""
    schema = json.loads((ROOT / "profiles/profile.schema.json").read_text())
    assert set(schema["properties"]["alerts"]["properties"]) == {*NOTIFIERS, "addresses", "required"}


def write_profile(root: Path, text: str) -> None:
    """Write the profile `mine` beside copies of the shipped base and schema."""
    (root / "profiles").mkdir()
    for name in ("base.yaml", "profile.schema.json"):
        (root / "profiles" / name).write_text((ROOT / "profiles" / name).read_text())
    (root / "profiles/mine.yaml").write_text(f"extends: base\n{text}\n")


def test_profile_that_pushes_masks_the_address(tmp_path: Path) -> None:
    """A profile that pushes without NTFY_URL among its secrets is refused: the address would stand in records."""
    write_profile(tmp_path, "alerts: {push: true}")
    with pytest.raises(RunbookError) as caught:
        load_profile(tmp_path, "mine")
    assert "NTFY_URL" in caught.value.diagnostics()


def test_real_money_tells_a_person(tmp_path: Path) -> None:
    """A real-money profile that pushes nothing is refused."""
    write_profile(tmp_path, "live: true\nvenue: live\nmode: live")
    with pytest.raises(RunbookError) as caught:
        load_profile(tmp_path, "mine")
    assert "must be True" in caught.value.diagnostics() or "must be true" in caught.value.diagnostics()


@pytest.mark.parametrize(
    ("name", "push"),
    [("base", False), ("sim", False), ("paper_strict", True), ("paper_account", True), ("live_canary", True)],
)
def test_shipped_profiles_push_where_a_person_is_needed(name: str, push: bool) -> None:
    """Rehearsals push nothing; the canary and the way back from it do, and mask the address."""
    profile = load_profile(ROOT, name)
    assert (profile.alerts.log, profile.alerts.push) == (True, push)
    assert ("NTFY_URL" in profile.secrets) is push
