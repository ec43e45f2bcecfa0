"""`new`: what it writes lints and runs as it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from aurora.commands.new import new_runbook, new_step
from aurora.engine.functions import FunctionTable
from aurora.engine.lint import lint_names
from aurora.engine.project import Project
from aurora.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return a project with nothing in it but a simulated profile."""
    (tmp_path / "runbooks").mkdir()
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles/base.yaml").write_text("mode: paper\nvenue: simulated\n")
    return Project(tmp_path)


def test_a_new_runbook_lints_and_runs(project: Project) -> None:
    """The scaffold has no fault and runs green with its one question answered."""
    new_runbook(project, "open-check")
    assert lint_names(project, ["open-check"], FunctionTable(project.root)) == []
    (project.root / "answers.yaml").write_text("sure: yes\n")
    program = [sys.executable, "-c", "from aurora.commands.main import entry; entry()"]
    words = ["runbook", "open-check", "--answers", "answers.yaml", "--json"]
    done = subprocess.run(
        [*program, *words],
        cwd=project.root,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["data"]["outcome"] == "green"


def test_a_new_step_is_found(project: Project) -> None:
    """A new step is a step that a runbook can name."""
    new_step(project, "sky.look_up")
    assert FunctionTable(project.root).find("sky.look_up").output_hints() == {"problems": list[str]}


@pytest.mark.parametrize("name", ["Open", "../up", "a b", "", "x.Yaml", "-x"])
def test_a_bad_name_writes_nothing(project: Project, name: str) -> None:
    """A name that could leave the folder, or that lint would refuse, is refused first."""
    with pytest.raises(UsageError):
        new_runbook(project, name)
    with pytest.raises(UsageError):
        new_step(project, name)
    assert list(project.runbooks.iterdir()) == []


def test_nothing_that_exists_is_touched(project: Project) -> None:
    """A taken name is refused, and the file that has it stays as it is."""
    new_runbook(project, "mine")
    (project.runbooks / "mine.yaml").write_text("precious")
    with pytest.raises(UsageError, match="is there already"):
        new_runbook(project, "mine")
    assert (project.runbooks / "mine.yaml").read_text() == "precious"
