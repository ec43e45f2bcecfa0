"""Writing a tuned profile: the draft that was shown, byte for byte, or nothing."""

from __future__ import annotations

import shutil
from decimal import Decimal
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from aurora.engine.faults import RunbookError
from aurora.engine.profiles import load_profile
from aurora.errors import AuroraError, OperatorError
from aurora.governance.tuned_profile import TuningDraft, draft_tuning, write_tuning
from aurora.risk.loosening import limits_of
from tests.analytics.test_period import NOW
from tests.analytics.test_tuning import fills, looks, session
from tests.trading import ROOT

MINE = "extends: sim  # as ever\nrisk:\n  max_spread_bps: 40   # a calm year\n"


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    """Return a project with a profile of its own and three sessions."""
    shutil.copytree(ROOT / "profiles", tmp_path / "profiles")
    (tmp_path / "profiles/mine.yaml").write_text(MINE)
    session(tmp_path, 10, *looks(500, "0.10"))
    session(tmp_path, 11, *fills(25))
    session(tmp_path, 12)
    return tmp_path


def draft(desk: Path) -> TuningDraft:
    """Draft the profile `mine`."""
    return draft_tuning(desk, load_profile(desk, "mine"), NOW, 30, desk / "runs" / "r")


def test_draft_changes_nothing_and_the_write_keeps_comments(desk: Path) -> None:
    """The profile is what it was until it is written; then it holds the values, its comments, and what it extends."""
    found = draft(desk)
    assert (desk / "profiles/mine.yaml").read_text() == MINE
    assert "+  slippage_bps: 2" in found.diff
    assert found.changes == len(found.lines) > 2
    done = write_tuning(desk, load_profile(desk, "mine"), found.draft, found.before, found.after)
    text = (desk / "profiles/mine.yaml").read_text()
    assert "extends: sim  # as ever" in text
    assert "max_spread_bps: 40   # a calm year" in text
    risk = load_profile(desk, "mine").risk
    assert (Decimal(risk.slippage_bps), Decimal(risk.symbols.SPY.max_spread_bps)) == (Decimal(2), Decimal(15))
    assert (done.before, done.after) == (found.before, found.after)
    again = write_tuning(desk, load_profile(desk, "mine"), found.draft, found.before, found.after)
    assert again == done  # a resume after the write finds it done


@pytest.mark.parametrize(
    "text",
    [
        "extends: sim\nrisk:\n    max_spread_bps: 40   # four\n    symbols: {SPY: {max_quote_age_s: 5.00}}\n",
        "extends: sim\r\nrisk: {max_spread_bps: 40}\r\n",
        "extends: sim",
        "extends: 'sim'\nrisk: {}\n",
        "{extends: sim, risk: {max_spread_bps: 4e1}}\n",
    ],
)
def test_whatever_way_it_is_written_only_the_values_change(desk: Path, text: str) -> None:
    """Four spaces, Windows' line ends, no line end, an empty section, one line: only the values change."""
    path = desk / "profiles/mine.yaml"
    path.write_bytes(text.encode())
    before = limits_of(load_profile(desk, "mine"))
    found = draft(desk)
    write_tuning(desk, load_profile(desk, "mine"), found.draft, found.before, found.after)
    after = limits_of(load_profile(desk, "mine"))
    changed = {key for key in after if after[key] != before.get(key)}
    assert changed == {line.split(":")[0] for line in found.lines}


def test_profile_that_would_say_another_thing_is_refused(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that changes more than the values is found out: nothing is written, and a person is told what to do."""
    monkeypatch.setattr(YAML, "load", lambda *_: {"extends": "base", "risk": {}})
    with pytest.raises(OperatorError, match="without changing more than the proposed values"):
        draft(desk)
    assert (desk / "profiles/mine.yaml").read_text() == MINE


@pytest.mark.parametrize("what", ["profile", "draft"])
def test_what_was_changed_since_is_not_written(desk: Path, what: str) -> None:
    """A profile that somebody edited meanwhile, or a draft that is another, is refused; nothing is lost."""
    found = draft(desk)
    path = desk / (found.profile if what == "profile" else found.draft)
    path.write_text(path.read_text() + "# later\n")
    before = (desk / "profiles/mine.yaml").read_text()
    with pytest.raises(OperatorError, match="is not what was shown any more"):
        write_tuning(desk, load_profile(desk, "mine"), found.draft, found.before, found.after)
    assert (desk / "profiles/mine.yaml").read_text() == before


def test_policy_that_is_wrong_is_refused_and_none_loosens_nothing(desk: Path) -> None:
    """A bound that is no number is a fault of the policy; without a policy nothing is loosened."""
    for number in (13, 14, 15):
        session(desk, number, *looks(500, "1.00"))
    assert draft(desk).loosens == 1
    (desk / "profiles/policy.yaml").write_text("orders.open: {}\ntuning: {max_loosening_pct: lots}\n")
    with pytest.raises((RunbookError, AuroraError), match=r"max_loosening_pct|lots"):
        draft(desk)
    (desk / "profiles/policy.yaml").unlink()
    assert draft(desk).loosens == 0


def test_nothing_to_propose_is_no_change(tmp_path: Path) -> None:
    """Without sessions the draft is the profile."""
    shutil.copytree(ROOT / "profiles", tmp_path / "profiles")
    (tmp_path / "profiles/mine.yaml").write_text(MINE)
    found = draft(tmp_path)
    assert (found.changes, found.diff, found.before) == (0, "", found.after)
