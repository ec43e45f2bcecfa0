"""A profile goes back to a commit in a real repository, and its models go off with the comments kept."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from aurora.engine.profiles import load_profile
from aurora.errors import OperatorError
from aurora.housekeeping.rollback import models_off, plan_rollback, restore

BASE = "mode: paper  # as it was\nmodels:\n  enable: true  # kept\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a repository with one profile, changed since its commit."""
    (tmp_path / "profiles").mkdir()
    (tmp_path / "runbooks").mkdir()
    (tmp_path / "profiles/base.yaml").write_text(BASE)
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.invalid", "-c", "commit.gpgsign=false"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        subprocess.run([*git, *words], cwd=tmp_path, check=True)
    (tmp_path / "profiles/base.yaml").write_text(BASE.replace("paper", "live"))
    return tmp_path


def test_the_difference_is_shown_and_then_written(root: Path) -> None:
    """The plan writes nothing and shows both lines; restore writes the commit's text to the byte."""
    change = plan_rollback(root, "base", "HEAD")
    assert change.changes
    assert "-mode: live" in change.diff
    assert "+mode: paper" in change.diff
    assert "live" in (root / "profiles/base.yaml").read_text()
    restore(root, "base", change.commit)
    assert (root / "profiles/base.yaml").read_text() == BASE
    assert not plan_rollback(root, "base", "HEAD").changes


@pytest.mark.parametrize("commit", ["", "nosuch", "--output=x", "HEAD~9"])
def test_a_commit_that_nobody_knows_changes_nothing(root: Path, commit: str) -> None:
    """No green run, an unknown name, an option in place of a name: refused, and the file stays."""
    with pytest.raises(OperatorError, match=r"commit|green"):
        plan_rollback(root, "base", commit)
    assert sorted(path.name for path in root.iterdir()) == [".git", "profiles", "runbooks"]


def test_models_go_off_and_comments_stay(root: Path) -> None:
    """The profile's own file says enable: false, and every comment is still there."""
    models_off(root, "base")
    assert load_profile(root, "base").models.enable is False
    text = (root / "profiles/base.yaml").read_text()
    assert "# as it was" in text
    assert "# kept" in text
