"""Smoke, in part: real commands in a desk beside this one, on a simulated gateway in a process of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from aurora.checks.smoke import PARTS, Smoked, smoke
from aurora.clock import SystemClock
from aurora.errors import OperatorError
from tests.gateway.kit import is_installed
from tests.trading import ROOT

pytestmark = pytest.mark.skipif(
    not (is_installed("ib_async") or is_installed("ib_insync")), reason="no client of Interactive Brokers is installed"
)
WHOLE = [name for name in PARTS if name != "canary"]


def run(root: Path, folder: Path, parts: list[str], said: list[str]) -> Smoked:
    """Run parts of smoke."""
    return smoke(root, folder, parts, SystemClock(), said.append)


def copied(root: Path) -> Path:
    """Return a copy of the project's runbooks, steps and profiles."""
    for name in ("runbooks", "steps", "profiles"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", root)
    return root


@pytest.mark.slow
def test_a_session_on_the_wire_whatever_day_it_is(tmp_path: Path) -> None:
    """The canary in shadow runs at night and on Sundays, too; nothing of it is written beside its folder."""
    project = copied(tmp_path / "project")
    before = sorted(path for path in project.rglob("*") if "__pycache__" not in path.parts)
    found = run(project, tmp_path / "smoke", ["lint", "shadow"], said := list[str]())
    assert found.problems == [], said
    assert not [path for path in (tmp_path / "smoke").rglob("*") if path.is_symlink() or ".keys" in path.parts]
    assert [(part.name, part.exit_code) for part in found.parts] == [("lint", 0), ("shadow", 0)]
    assert found.took_s > 0
    assert sorted(path for path in project.rglob("*") if "__pycache__" not in path.parts) == before


def test_a_part_that_fails_hides_none_after_it(tmp_path: Path) -> None:
    """A runbook with a fault is a problem with what to type, and the parts behind it are run."""
    project = copied(tmp_path / "project")
    (project / "runbooks/broken.yaml").write_text("runbook: other\nsteps: []\n")
    found = run(project, tmp_path / "smoke", ["lint", "verify"], said := list[str]())
    assert [part.exit_code for part in found.parts] == [2, found.parts[1].exit_code]
    assert found.problems[0].startswith("lint: exit 2; by hand: invoke lint")
    assert any("broken.yaml" in line for line in said)


@pytest.mark.parametrize("parts", [[], ["fly"]])
def test_a_part_that_is_none_is_refused(tmp_path: Path, parts: list[str]) -> None:
    """No part, and an unknown one, are no smoke test that passed."""
    with pytest.raises(OperatorError, match="Smoke has no part"):
        run(ROOT, tmp_path / "smoke", parts, [])


@pytest.mark.nightly
@pytest.mark.slow
def test_the_whole_system_within_its_minute(tmp_path: Path) -> None:
    """Every part, as the runbook asks for them, exits 0."""
    found = run(ROOT, tmp_path / "smoke", WHOLE, said := list[str]())
    assert found.problems == [], said
    assert not list((tmp_path / "smoke").rglob(".keys"))  # no key is left in a record
