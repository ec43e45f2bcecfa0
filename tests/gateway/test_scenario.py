"""Scenario files: what they may say, and how wrong ones are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aurora.errors import UsageError
from aurora.gateway.faults import open_gateway
from aurora.gateway.scenario import build_scenario, read_scenario
from aurora.quotes.dummy import DummyQuotes

GOOD = """\
scenario: everything
seed: 11
settings: {cash: 5000.50, account: DU7, positions: [{symbol: SPY, quantity: 3, average_cost: 99.5}]}
rules:
  - {at_s: 2.5, do: [{link: {state: down}}]}
  - {on: place_order, nth: 2, do: [{reject: {code: 201, text: no}}]}
  - {after: fill, wait_s: 1, do: [reset]}
"""


def test_a_scenario_is_read_from_yaml(tmp_path: Path) -> None:
    """Seed, settings and rules are what the file says; `on` is a word, not YAML 1.1's true."""
    (tmp_path / "s.yaml").write_text(GOOD)
    scenario = read_scenario(tmp_path / "s.yaml")
    assert (scenario.name, scenario.seed, str(scenario.settings.cash)) == ("everything", 11, "5000.50")
    assert [(rule.at_s, rule.moment, rule.event) for rule in scenario.rules] == [
        (2.5, "", ""), (None, "on", "place_order"), (None, "after", "fill"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"do": ["reset"]}, "one of at_s, on and after"),
        ({"at_s": 1, "on": "place_order", "do": ["reset"]}, "one of at_s, on and after"),
        ({"on": "place_ordr", "do": ["reset"]}, "did you mean 'place_order'"),
        ({"on": "fill", "do": ["reset"]}, "write `after: fill`"),
        ({"at_s": 1, "do": []}, "nothing to do"),
        ({"at_s": -1, "do": ["reset"]}, "below its least"),
        ({"at_s": 1, "do": ["rest"]}, "did you mean 'reset'"),
        ({"at_s": 1, "do": [{"link": {"state": "sideways"}}]}, "sideways"),
        ({"at_s": 1, "do": [{"link": {"state": "down", "for_s": 1}}]}, "for_s"),
        ({"at_s": 1, "do": [{"drop": {"message": "comission_report"}}]}, "did you mean 'commission_report'"),
        ({"at_s": 1, "do": [{"drop": {"message": "position", "times": -1}}]}, "at least 0"),
        ({"at_s": 1, "do": [{"correct": {"by": "nan"}}]}, "was NaN"),
        ({"at_s": 1, "do": [{"a": {}, "b": {}}]}, "one action"),
        ({"at_s": 1, "every": 2, "do": ["reset"]}, "every"),
    ],
)
def test_a_wrong_rule_is_refused(rule: dict[str, Any], said: str) -> None:
    """Each fault is named with its place and, where one is near, the word that was meant."""
    with pytest.raises(UsageError) as caught:
        build_scenario({"scenario": "x", "rules": [rule]}, "x.yaml")
    assert said in caught.value.what
    assert "x.yaml" in caught.value.what


@pytest.mark.parametrize("settings", [{"cash": "nan"}, {"max_version": 200}, {"max_messages_per_s": -1}, {"colour": 1}])
def test_wrong_settings_are_refused(settings: dict[str, Any]) -> None:
    """Settings are known, finite and in their range."""
    with pytest.raises(UsageError):
        build_scenario({"scenario": "x", "settings": settings}, "x.yaml")


def test_yaml_faults_have_their_line(tmp_path: Path) -> None:
    """A file that is no YAML, or says a key twice, is refused with the line."""
    path = tmp_path / "s.yaml"
    path.write_text("scenario: a\nscenario: b\n")
    with pytest.raises(UsageError, match=r"s\.yaml:2"):
        read_scenario(path)


@pytest.mark.parametrize(
    "data",
    [
        {"rules": [{"at_s": 1, "do": [{"quote": {"symbol": "QQQ"}}]}]},
        {"settings": {"positions": [{"symbol": "QQQ", "quantity": 1, "average_cost": 1}]}},
    ],
)
def test_symbols_are_listed(data: dict[str, Any]) -> None:
    """A scenario that names a symbol which is not listed would never happen, so it is refused."""
    scenario = build_scenario({"scenario": "x", **data}, "x.yaml")
    with pytest.raises(UsageError, match="QQQ"):
        open_gateway(DummyQuotes(), ("SPY",), scenario)
