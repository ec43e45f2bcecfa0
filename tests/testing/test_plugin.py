from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from aurora.testing import Rehearsal, passes, plugin
from aurora.testing.plugin import steps_given_back

ROOT = Path(__file__).resolve().parents[2]
CONFTEST = """
from pathlib import Path
import pytest

@pytest.fixture(scope="session")
def rehearsal_project():
    return Path(__file__).parent / "shop"
"""
TESTS = """
from aurora.testing import passes, red

def test_a_green_day(rehearsal):
    assert rehearsal("day", steps={"*": passes()}).outcome == "green"

def test_a_day_that_is_not(rehearsal):
    assert rehearsal("day", steps={"till": red()}).outcome == "green"

def test_a_misspelt_step(rehearsal):
    rehearsal("day", steps={"tilt": passes()})
"""


def test_the_fixture_rehearses_the_project_around_the_root(rehearsal: Rehearsal, rehearsal_project: Path) -> None:
    """Without more words the project is the one that pytest was started in; real steps are its own."""
    assert (rehearsal_project / "runbooks" / "preflight.yaml").is_file()
    run = rehearsal("preflight", steps={"*": passes()}, real=["disk"])
    assert run.outcome == "green"
    assert run.outputs("disk").free_mb > 0


def test_records_lie_in_the_tests_own_folder(rehearsal: Rehearsal, tmp_path: Path) -> None:
    """What a rehearsal writes, it writes under `tmp_path`."""
    run = rehearsal("preflight", steps={"*": passes()})
    assert run.folder.is_relative_to(tmp_path)


def test_a_project_elsewhere_is_named_by_a_fixture(shop: Any, tmp_path: Path) -> None:
    """A suite that overrides `rehearsal_project` rehearses that project; failures show why a run ended as it did."""
    shop.book("steps: [{id: till, uses: shop.count, gate: open}]\n")
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_day.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "aurora.testing.plugin", "-p", "no:randomly", "--color=no"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)
    assert "1 passed" in done.stdout, done.stdout + done.stderr
    assert "2 failed" in done.stdout
    assert "day: red, exit 3; till red (open)" in done.stdout
    assert "aurora/testing" not in done.stdout
    assert "There is no step 'tilt' in day; did you mean 'till'?" in done.stdout


def test_steps_are_given_back(shop: Any) -> None:
    """After a rehearsal `steps` and the import path are what they were before."""
    path, before = list(sys.path), sys.modules.get("steps")
    shop.book("steps: [{id: till, uses: shop.count}]\n")
    with steps_given_back():
        shop.rehearsal("day", steps={"till": passes()})
        assert sys.modules["steps"] is not before
    assert sys.path == path
    assert sys.modules.get("steps") is before


def test_the_plugin_is_found_by_its_entry_point() -> None:
    """Pytest finds the plugin in an installed Aurora, under the name that keeps it from being loaded twice."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {
        name: name for name in ("aurora.testing.plugin", "aurora.gateway.plugin")
    }


@pytest.mark.parametrize("name", ["rehearsal", "rehearsal_project"])
def test_fixtures_say_what_they_are(name: str) -> None:
    """`pytest --fixtures` shows a line for each fixture."""
    assert getattr(plugin, name).__doc__
