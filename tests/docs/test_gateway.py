"""docs/gateway.md: what it shows is what the gateway reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from aurora.gateway.actions import ACTIONS
from aurora.gateway.faults import open_gateway
from aurora.gateway.scenario import read_scenario
from aurora.gateway.settings import Settings
from aurora.quotes.dummy import DummyQuotes

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "gateway.md").read_text("utf-8")
RULES = re.findall(r"`(\{(?:at_s|on|after): .*?\})`(?= \||  *and|  *or)", PAGE)


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_of_the_page_runs(rule: str, tmp_path: Path) -> None:
    """Every incident's rule is read, and a gateway runs with it for a minute and a half."""
    path = tmp_path / "s.yaml"
    path.write_text(f"scenario: docs\nrules:\n  - {rule}\n")
    gateway = open_gateway(DummyQuotes(), ("SPY",), read_scenario(path))
    for _ in range(90):
        gateway.step(1)


def test_the_page_has_its_rules_and_its_scenario(tmp_path: Path) -> None:
    """The example file is read whole, and the table of incidents has a rule for each that needs one."""
    (tmp_path / "s.yaml").write_text(re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[0])
    assert len(read_scenario(tmp_path / "s.yaml").rules) == 4
    assert len(RULES) >= 30


def test_every_action_and_setting_is_described() -> None:
    """No action and no setting is missing from the page."""
    for name in (*ACTIONS, *Settings.__struct_fields__):
        assert f"`{name}" in PAGE, name
